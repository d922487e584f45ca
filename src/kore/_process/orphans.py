"""End what a dead child of ours has left: processes that it had started, and their descendants.

The parent adopts all orphans below it, its own and others: what an entry script has started before
it became this server, and as process 1 of a container everybody's. Each template and each worker
therefore has a mark in its environment, which the programs it starts inherit.
"""

import contextlib
import os
import secrets
import signal
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Final

MARK: Final = "KORE_PROCESS"


def new_mark() -> str:
    """Return a mark for a template."""
    return f"{os.getpid()}-{secrets.token_hex(8)}"


def mark_of_worker(template: str, number: int) -> str:
    """Return the mark of a worker: that of its template, and more."""
    return f"{template}-{number}"


def kill(mark: str, known: Container[int], *, whole: bool = False) -> None:
    """Kill what a child with *mark* has left; *known* are our own children.

    Of a worker's processes only those with a group of their own; *whole*: all of them, for a
    template. What has made itself a session wants to outlive its parent in either case.
    """
    for pid in adopted():
        if pid not in known and in_our_session(pid) and mark_in(pid) == mark.encode():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if os.getpgid(pid) == pid:
                    os.killpg(pid, signal.SIGKILL)
                elif whole:
                    os.kill(pid, signal.SIGKILL)


def adopted() -> Iterator[int]:
    """Yield all children of this process, which has one thread."""
    own = os.getpid()
    # Not every kernel has this file.
    with contextlib.suppress(OSError):
        yield from map(int, Path(f"/proc/{own}/task/{own}/children").read_text().split())


def in_our_session(pid: int) -> bool:
    """Whether a process is of our session."""
    try:
        return os.getsid(pid) == os.getsid(0)
    except ProcessLookupError:
        return False


def mark_in(pid: int) -> bytes:
    """Return the mark in the environment that a process was started with, or nothing."""
    try:
        entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # gone, or somebody else's by now
        return b""
    start = MARK.encode() + b"="
    return next((entry[len(start) :] for entry in entries if entry.startswith(start)), b"")
