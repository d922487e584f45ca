"""Exit statuses: a number that may be awaited, or one that is not known yet."""

import asyncio

import pytest

from kore._aio.status import ExitStatus, PendingStatus
from kore.errors import KoreError


class Process:
    """A process whose end the test decides."""

    status: int | None = None

    async def wait(self) -> int:
        self.status = 3
        return 3


async def await_status(status: ExitStatus | PendingStatus) -> int:
    return await status


def test_a_known_status_is_a_number_and_may_be_awaited() -> None:
    assert ExitStatus(3) == 3
    assert asyncio.run(await_status(ExitStatus(3))) == 3


def test_a_pending_status_is_no_number_before_the_end() -> None:
    pending = PendingStatus(Process())

    assert repr(pending) == "<kore.proc status: running>"
    with pytest.raises(KoreError):
        int(pending)


def test_a_pending_status_is_a_number_after_the_end() -> None:
    process = Process()
    pending = PendingStatus(process)
    assert asyncio.run(await_status(pending)) == 3

    assert (int(pending), str(pending), repr(pending), f"{pending:03}") == (3, "3", "3", "003")
    assert pending == 3
    assert pending != 4
    assert 2 < pending < 4
    assert 3 <= pending <= 3
    assert {pending: "x"}[3] == "x"  # type: ignore[index]
    assert bool(pending)
