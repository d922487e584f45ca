"""Kill what a dead child has left: processes that it had started, and their descendants.

Found by the marks in their environments (`process_marks.py`).
"""

import contextlib
import os
import signal
from collections.abc import Collection, Container, Iterator
from pathlib import Path
from typing import Final

from kore._process.process_marks import FORKED, MARK, PROGRAM, derive_mark

# In the command lines of what multiprocessing starts by "spawn" and "forkserver".
MULTIPROCESSING: Final = b"-c\0from multiprocessing."


def kill_leftovers_of_worker(mark: str, number: int, known: Container[int]) -> None:
    """Kill what worker *number* has left; *mark* is that of its template.

    Processes that it has forked, processes of multiprocessing, and programs with a process group of
    their own. What has created a session is meant to outlive its parent. *known*: our own children.
    """
    program = derive_mark(mark, PROGRAM, number).encode()
    _kill_marked({derive_mark(mark, FORKED, number).encode(), program}, program, known)


def kill_leftovers(mark: str, known: Container[int]) -> None:
    """Kill all that a spawned process with *mark* has left, but for what has created a session."""
    _kill_marked({mark.encode()}, b"", known)


def _kill_marked(marks: Collection[bytes], program: bytes, known: Container[int]) -> None:
    """Kill adopted processes with one of *marks*; of those with the mark *program* only some."""
    # All are found before the first is killed: what that had started would be adopted later.
    for pid in list(_list_adopted(known)):
        if _is_in_our_session(pid) and (mark := _read_mark(pid)) in marks:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if os.getpgid(pid) == pid:
                    os.killpg(pid, signal.SIGKILL)
                elif mark != program or _is_of_multiprocessing(pid):
                    os.kill(pid, signal.SIGKILL)


def _list_adopted(known: Container[int]) -> Iterator[int]:
    """Yield the children of this process that are not *known*, and their descendants."""
    for pid in _list_children(os.getpid()):
        if pid not in known:
            yield from _list_with_descendants(pid)


def _list_with_descendants(pid: int) -> Iterator[int]:
    """Yield a process and all below it."""
    yield pid
    for child in _list_children(pid):
        yield from _list_with_descendants(child)


def _list_children(pid: int) -> Iterator[int]:
    """Yield the children of all threads of a process."""
    # Not every kernel has these files, and a process may end meanwhile.
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            yield from map(int, (thread / "children").read_text().split())


def _is_of_multiprocessing(pid: int) -> bool:
    """Return whether a process is an interpreter that multiprocessing started, or a fork of one."""
    try:
        return MULTIPROCESSING in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _is_in_our_session(pid: int) -> bool:
    """Return whether a process belongs to the session of this one."""
    try:
        return os.getsid(pid) == os.getsid(0)
    except ProcessLookupError:
        return False


def _read_mark(pid: int) -> bytes:
    """Return the mark in the environment that a process was started with, or nothing."""
    try:
        entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # it has ended, or changed its user
        return b""
    start = MARK.encode() + b"="
    return next((entry[len(start) :] for entry in entries if entry.startswith(start)), b"")
