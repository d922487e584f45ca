"""Exit statuses that `proc.reap()` returns: they can be awaited, or used as an int directly."""

from collections.abc import Generator
from typing import Any, Protocol

from kore.errors import KoreError


class Exitable(Protocol):
    """A process with an exit status."""

    @property
    def status(self) -> int | None:
        """The exit status, None while it runs."""

    async def wait(self) -> int:
        """Wait for the end and return the status."""


class ExitStatus(int):
    """The exit status of a process that has ended: an int, which may be awaited as well."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, int]:
        yield from ()
        return int(self)


class PendingStatus:
    """The exit status of a process that had not ended yet. Awaited, it waits for the end.

    Used as an int, it is the status if the process has ended by then. Raises KoreError if not.
    """

    __slots__ = ("_kept", "_process")

    def __init__(self, process: Exitable, kept: object = None) -> None:
        self._process = process
        # An object to keep alive for as long as a task waits: the process would be killed.
        self._kept = kept

    def __await__(self) -> Generator[Any, None, int]:
        # Not `return await`: this frame keeps this object alive, and with it *kept*.
        return (yield from self._process.wait().__await__())

    def __int__(self) -> int:
        status = self._process.status
        if status is None:
            raise KoreError("the process has not ended yet: write `await proc.reap()`")
        return status

    __index__ = __int__

    def __bool__(self) -> bool:
        return bool(int(self))

    def __eq__(self, other: object) -> bool:
        return int(self) == other

    def __ne__(self, other: object) -> bool:
        return int(self) != other

    def __lt__(self, other: int) -> bool:
        return int(self) < other

    def __le__(self, other: int) -> bool:
        return int(self) <= other

    def __gt__(self, other: int) -> bool:
        return int(self) > other

    def __ge__(self, other: int) -> bool:
        return int(self) >= other

    def __hash__(self) -> int:
        return hash(int(self))

    def __format__(self, form: str) -> str:
        return format(int(self), form)

    def __str__(self) -> str:
        return str(int(self))

    def __repr__(self) -> str:
        status = self._process.status
        return "<kore.proc status: running>" if status is None else str(status)
