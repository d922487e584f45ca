"""End what a dead child of ours has left: processes that it had started, and their descendants.

The parent adopts all orphans below it, its own and others: what an entry script has started before
it became this server, and as process 1 of a container everybody's. Each template and each worker
therefore has a mark in its environment, which the programs it starts inherit.
"""

import contextlib
import ctypes
import os
import secrets
import signal
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Final

MARK: Final = "KORE_PROCESS"
# The end of a mark: a letter, and the number of a worker in four digits. Programs of a worker, what
# it has forked, and all that a template has started.
MARK_END: Final = 5
PROGRAM, FORKED, FROM_TEMPLATE = "p", "f", "t"


def new_mark() -> str:
    """Return a mark for a template."""
    return f"{os.getpid()}-{secrets.token_hex(8)}-{FROM_TEMPLATE}0000"


def mark_of(template: str, letter: str, number: int) -> str:
    """Return a mark of a worker, as long as that of its template."""
    return f"{template[:-MARK_END]}{letter}{number:04d}"


def mark_worker(number: int) -> None:
    """Mark this process, a worker, and what it starts from here on.

    What it forks has a copy of the environment that the kernel shows, where the mark is replaced in
    place; programs get that of `os.environ`.
    """
    template = os.environ.get(MARK, "")
    if len(template) <= MARK_END:
        return
    replace_in_place(MARK, template, mark_of(template, FORKED, number))
    os.environ[MARK] = mark_of(template, PROGRAM, number)


def replace_in_place(name: str, value: str, other: str) -> None:
    """Replace the value of a variable in the environment this process was started with."""
    libc = ctypes.CDLL(None)
    libc.getenv.restype = ctypes.c_void_p
    place = libc.getenv(name.encode())
    old, new = value.encode(), other.encode()
    if place and len(old) == len(new) and ctypes.string_at(place) == old:
        ctypes.memmove(place, new, len(new))


def kill(mark: str, number: int, known: Container[int]) -> None:
    """Kill what a child has left: the template with *mark*, or its worker of that *number*.

    Of a worker that is what it has forked, and programs with a group of their own; of a template
    everything. What has made itself a session wants to outlive its parent in either case, and
    *known* are our own children.
    """
    letters = (FORKED, PROGRAM) if number else (FROM_TEMPLATE,)
    marks = {mark_of(mark, letter, number).encode() for letter in letters}
    program = mark_of(mark, PROGRAM, number).encode()
    for pid in adopted():
        if pid not in known and in_our_session(pid) and (found := mark_in(pid)) in marks:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if os.getpgid(pid) == pid:
                    os.killpg(pid, signal.SIGKILL)
                elif found != program:
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
