"""`proc.reap()` without `await`, as in Kore's API page: a short wait that blocks the loop."""

import select
from collections.abc import Iterator, Sequence
from opcode import opmap
from time import monotonic
from types import FrameType
from typing import Final, Protocol

from kore._aio.child import ChildWatcher, late

# Seconds. Longer, other clients would notice, and the rest has to be awaited.
WAIT_MAX: Final = 0.5
# How often a process is looked at that no descriptor stands for, in seconds.
LOOK_INTERVAL: Final = 0.01
CACHE: Final = opmap.get("CACHE", 0)
GET_AWAITABLE: Final = opmap["GET_AWAITABLE"]
# An instruction of CPython, in bytes.
INSTRUCTION_SIZE: Final = 2


def _opcodes_named(*prefixes: str) -> frozenset[int]:
    """Return the instructions of this Python whose names begin with one of *prefixes*."""
    return frozenset(code for name, code in opmap.items() if name.startswith(prefixes))


# What may follow a call whose result is handed on as it is.
HANDED_ON: Final = _opcodes_named("POP_TOP", "RETURN_VALUE", "LIST_APPEND", "SET_ADD")
# What may follow one whose result is used as a value.
VALUE_USES: Final = _opcodes_named("STORE_", "BUILD_MAP", "FORMAT_", "CONVERT_", "POP_JUMP")
STATEMENT_ENDS: Final = HANDED_ON | _opcodes_named("STORE_", "POP_JUMP")


class CapturedOutput(Protocol):
    """A pipe that a process writes to."""

    def fileno(self) -> int:
        """Return its descriptor, -1 when there is nothing to read for this wait."""

    def read_ahead(self) -> bool:
        """Keep what can be read for later receivers. Return whether more may come."""


def is_awaited(frame: FrameType) -> bool:
    """Return whether the statement that *frame* is in awaits what its current call returns.

    That is when an `await` follows in the same statement, directly or around another call, as in
    `await asyncio.wait_for(proc.reap(), 5)`, and when the result is handed on unused: dropped,
    returned, or collected by a comprehension.
    """
    following = _following_opcodes(frame)
    opcode = next(following, None)
    if opcode in HANDED_ON or opcode == GET_AWAITABLE:
        return True
    if opcode in VALUE_USES:
        return False
    for later in following:
        if later == GET_AWAITABLE:
            return True
        if later in STATEMENT_ENDS:
            return False
    return False


def _following_opcodes(frame: FrameType) -> Iterator[int]:
    """Yield the instructions after the current one, without their inline caches."""
    opcodes = frame.f_code.co_code[frame.f_lasti + INSTRUCTION_SIZE :: INSTRUCTION_SIZE]
    return (opcode for opcode in opcodes if opcode != CACHE)


def wait_for_end(child: ChildWatcher, outputs: Sequence[CapturedOutput]) -> int | None:
    """Wait a moment for the end of a process and return its status; None: it still runs.

    What it writes meanwhile is kept for later receivers: it could not end with a full pipe.
    Raises TimeoutError if the process's own time is up.
    """
    child.punctual()
    now = monotonic()
    deadline = now + WAIT_MAX
    own_deadline = now + child.time_left()
    open_outputs = {output.fileno(): output for output in outputs}
    open_outputs.pop(-1, None)
    while (status := child.status) is None:
        now = monotonic()
        if now >= own_deadline:
            child.cancel_timeout()
            raise late()
        if now >= deadline:
            break
        _read_once(child.pidfd, open_outputs, min(deadline, own_deadline) - now)
    return status


def _read_once(pidfd: int, open_outputs: dict[int, CapturedOutput], seconds: float) -> None:
    """Wait for output or the end, and read what there is."""
    poll = select.poll()
    for fd in (pidfd, *open_outputs):
        if fd >= 0:
            poll.register(fd, select.POLLIN)
    patience = seconds if pidfd >= 0 else min(seconds, LOOK_INTERVAL)
    for fd, _ in poll.poll(patience * 1000):
        if fd in open_outputs and not open_outputs[fd].read_ahead():
            del open_outputs[fd]
