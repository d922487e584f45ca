"""The machine a run was made on, described for the page."""

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
MEMINFO = Path("/proc/meminfo")
CONGESTION = Path("/proc/sys/net/ipv4/tcp_congestion_control")
OWN = ("kore-server", "uvloop")


def described(python_version: str) -> list[tuple[str, str]]:
    """Return what matters of the machine: name and value."""
    return [
        ("CPU", f"{_cpu()}, {os.cpu_count()} cores"),
        ("memory", _memory()),
        ("kernel", f"{platform.system()} {platform.release()}"),
        ("TCP", CONGESTION.read_text().strip() if CONGESTION.exists() else "unknown"),
        ("Python", python_version),
        ("load generator", _wrk()),
    ]


def packages(installed: Mapping[str, str], names: Iterable[str]) -> str:
    """Return the versions of some packages in one line."""
    return ", ".join(f"{name} {installed[name]}" for name in names if name in installed)


def tls_programs() -> str:
    """Return the versions of the system's OpenSSL and of nginx, as far as they are installed."""
    commands = {"openssl": ["openssl", "version"], "nginx": ["nginx", "-v"]}
    path = f"{os.environ['PATH']}:/usr/sbin"
    said = []
    for name, command in commands.items():
        program = shutil.which(name, path=path)
        if program is not None:
            command[0] = program
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            version = (done.stdout + done.stderr).strip()
            said.append(re.sub(r"^nginx version: | \(Lib.*", "", version))
    return ", ".join(said)


def _cpu() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", CPUINFO.read_text(), re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def _memory() -> str:
    found = re.search(r"^MemTotal:\s*(\d+) kB", MEMINFO.read_text(), re.MULTILINE)
    return f"{int(found[1]) / 2**20:.0f} GiB" if found else "unknown"


def _wrk() -> str:
    # It ends with status 1 after saying its version.
    said = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False)
    words = (said.stdout + said.stderr).split()
    return " ".join(words[:2])
