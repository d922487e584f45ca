"""End what a dead child of ours has left: processes that it had started, and their descendants.

The parent adopts all orphans below it, its own and others: what an entry script has started before
it became this server, and as process 1 of a container everybody's. Each template and each worker
therefore has a mark in its environment, which the programs it starts inherit.
"""

import contextlib
import ctypes
import os
import signal
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Final

MARK: Final = "KORE_PROCESS"
# The end of a mark: a letter, and the number of a worker in four digits. Programs of a worker, what
# it has forked, and all that a template has started.
MARK_END: Final = 5
PROGRAM, FORKED, FROM_TEMPLATE = "p", "f", "t"
# In the command lines of what multiprocessing starts by "spawn" and "forkserver".
MULTIPROCESSING: Final = b"-c\0from multiprocessing."


def new_mark() -> str:
    """Return a mark for a template."""
    return f"{os.getpid()}-{os.urandom(8).hex()}-{FROM_TEMPLATE}0000"


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

    Of a worker that is what it has forked, processes of multiprocessing, and programs with a group
    of their own; of a template everything. What has made itself a session wants to outlive its
    parent in either case, and *known* are our own children.
    """
    letters = (FORKED, PROGRAM) if number else (FROM_TEMPLATE,)
    marks = {mark_of(mark, letter, number).encode() for letter in letters}
    program = mark_of(mark, PROGRAM, number).encode()
    # All are found before the first is killed: what that had started would be adopted later.
    for pid in list(adopted(known)):
        if in_our_session(pid) and (found := mark_in(pid)) in marks:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if os.getpgid(pid) == pid:
                    os.killpg(pid, signal.SIGKILL)
                elif found != program or is_of_multiprocessing(pid):
                    os.kill(pid, signal.SIGKILL)


def adopted(known: Container[int]) -> Iterator[int]:
    """Yield the children of this process that are not *known*, and their descendants."""
    for pid in children(os.getpid()):
        if pid not in known:
            yield from with_descendants(pid)


def with_descendants(pid: int) -> Iterator[int]:
    """Yield a process and all below it."""
    yield pid
    for child in children(pid):
        yield from with_descendants(child)


def children(pid: int) -> Iterator[int]:
    """Yield the children of all threads of a process."""
    # Not every kernel has these files, and a process may end meanwhile.
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            yield from map(int, (thread / "children").read_text().split())


def is_of_multiprocessing(pid: int) -> bool:
    """Whether a program is an interpreter that multiprocessing has started, or a fork of one."""
    try:
        return MULTIPROCESSING in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


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
