"""What a dead worker leaves behind: the processes it had started, each with a group of its own."""

import contextlib
import os
import signal
from collections.abc import Container, Iterator
from pathlib import Path


def kill(known: Container[int]) -> None:
    """Kill what became ours with the death of its parent; *known* are our own children.

    A worker on its way may be ours before it is known; it is in our group. Who made itself a
    session wants to outlive its parent. And as long as its worker lives, a process is not ours.
    """
    for pid in adopted():
        if pid not in known and is_abandoned_group(pid):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)


def adopted() -> Iterator[int]:
    """Yield all children of this process, which has one thread."""
    own = os.getpid()
    # Not every kernel has this file.
    with contextlib.suppress(OSError):
        yield from map(int, Path(f"/proc/{own}/task/{own}/children").read_text().split())


def is_abandoned_group(pid: int) -> bool:
    """Whether a child leads a group, but no session."""
    try:
        return os.getpgid(pid) == pid and os.getsid(pid) == os.getsid(0)
    except ProcessLookupError:
        return False
