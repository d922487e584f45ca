"""A library to be loaded before all others, with which looking up slow.test takes minutes."""

import subprocess
from pathlib import Path
from typing import Final

SOURCE: Final = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **found)
{
    int (*real)() = dlsym(RTLD_NEXT, "getaddrinfo");
    if (node != NULL && strcmp(node, "slow.test") == 0) {
        sleep(300);
        return EAI_AGAIN;
    }
    return real(node, service, hints, found);
}
"""


def lookups(place: Path) -> str:
    """Build it in *place*; return its path, for LD_PRELOAD."""
    (place / "slow.c").write_text(SOURCE)
    command = ["gcc", "-shared", "-fPIC", "-w", "-o", "slow.so", "slow.c", "-ldl"]
    subprocess.run(command, cwd=place, check=True)
    return str(place / "slow.so")
