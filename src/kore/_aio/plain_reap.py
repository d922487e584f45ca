"""`proc.reap()` without `await`, as in Kore's API page: a short wait that blocks the loop."""

import select
from collections.abc import Iterator, Sequence
from opcode import opmap
from time import monotonic
from types import FrameType
from typing import Final, Protocol

from kore._aio.child import ChildWatcher, create_timeout_error

# A longer wait would be noticed by other clients: it has to be awaited.
WAIT_MAX_SECONDS: Final = 0.5
# How often a process without a pidfd is checked, in seconds.
CHECK_INTERVAL: Final = 0.01
CACHE: Final = opmap.get("CACHE", 0)
GET_AWAITABLE: Final = opmap["GET_AWAITABLE"]
# An instruction of CPython, in bytes.
INSTRUCTION_SIZE: Final = 2


def _opcodes_named(*prefixes: str) -> frozenset[int]:
    """Return the instructions of this Python whose names begin with one of *prefixes*."""
    return frozenset(code for name, code in opmap.items() if name.startswith(prefixes))


# Instructions that may follow a call whose result is passed on unused.
PASSED_ON: Final = _opcodes_named("POP_TOP", "RETURN_VALUE", "LIST_APPEND", "SET_ADD")
# Instructions that may follow a call whose result is used as a value.
VALUE_USES: Final = _opcodes_named("STORE_", "BUILD_MAP", "FORMAT_", "CONVERT_", "POP_JUMP")
STATEMENT_ENDS: Final = PASSED_ON | _opcodes_named("STORE_", "POP_JUMP")


class CapturedOutput(Protocol):
    """A pipe that a process writes to."""

    def fileno(self) -> int:
        """Return its descriptor, -1 when it need not be read during the wait."""

    def read_ahead(self) -> bool:
        """Read what is there and save it for later receivers. Return whether more may come."""


def is_awaited(frame: FrameType) -> bool:
    """Return whether the statement that *frame* is in awaits what its current call returns.

    It is when an `await` follows in the same statement, directly or around another call, as in
    `await asyncio.wait_for(proc.reap(), 5)`, and when the result is handed on unused: dropped,
    returned, or collected by a comprehension.
    """
    following = _following_opcodes(frame)
    opcode = next(following, None)
    if opcode in PASSED_ON or opcode == GET_AWAITABLE:
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
    """Wait at most WAIT_MAX_SECONDS for the end of a process; return its status, or None.

    Its output is read and saved for later receivers meanwhile: with a full pipe it could not end.
    Raises TimeoutError if the process's own timeout passes.
    """
    child.raise_if_timed_out()
    now = monotonic()
    deadline = now + WAIT_MAX_SECONDS
    own_deadline = now + child.get_time_left()
    open_outputs = {output.fileno(): output for output in outputs}
    open_outputs.pop(-1, None)
    while (status := child.status) is None:
        now = monotonic()
        if now >= own_deadline:
            child.cancel_timeout()
            raise create_timeout_error()
        if now >= deadline:
            break
        _read_once(child.pidfd, open_outputs, min(deadline, own_deadline) - now)
    return status


def _read_once(pidfd: int, open_outputs: dict[int, CapturedOutput], seconds: float) -> None:
    """Wait for output or the end, and read the output."""
    poll = select.poll()
    for fd in (pidfd, *open_outputs):
        if fd >= 0:
            poll.register(fd, select.POLLIN)
    wait_seconds = seconds if pidfd >= 0 else min(seconds, CHECK_INTERVAL)
    for fd, _ in poll.poll(wait_seconds * 1000):
        if fd in open_outputs and not open_outputs[fd].read_ahead():
            del open_outputs[fd]
