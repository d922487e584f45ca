"""The order in which waiters get connections, and when another connection is needed."""

import pytest

from kore._pgsql.queue import ConnectionQueue
from kore.errors import DatabaseError


class Waiter:
    """A future in name only, which may have been cancelled."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_cancelled = False

    def done(self) -> bool:
        return self.is_cancelled

    def __repr__(self) -> str:
        return self.name


def make_queue(connection_limit: int = 2, waiter_limit: int = 10) -> ConnectionQueue[str, Waiter]:
    return ConnectionQueue(connection_limit, waiter_limit)


def test_waiters_are_served_in_order() -> None:
    queue = make_queue()
    waiters = [Waiter(name) for name in "abc"]
    for waiter in waiters:
        queue.add_waiter(waiter)

    assert [queue.pop_waiter() for _ in range(4)] == [*waiters, None]


def test_cancelled_waiter_is_skipped() -> None:
    queue = make_queue()
    first, second = Waiter("first"), Waiter("second")
    queue.add_waiter(first)
    queue.add_waiter(second)
    first.is_cancelled = True

    assert queue.pop_waiter() is second


def test_removed_waiter_makes_room() -> None:
    queue = make_queue(connection_limit=1, waiter_limit=0)
    queue.opening_count = 1
    first = Waiter("first")
    queue.add_waiter(first)
    with pytest.raises(DatabaseError, match="pgsql error: no available connection"):
        queue.add_waiter(Waiter("second"))
    queue.remove_waiter(first)
    queue.remove_waiter(first)
    queue.add_waiter(Waiter("third"))


def test_expired_waiters_are_removed() -> None:
    queue = make_queue()
    waiters = [Waiter(name) for name in "abc"]
    for deadline, waiter in enumerate(waiters):
        queue.add_waiter(waiter, deadline)
    waiters[0].is_cancelled = True

    assert queue.pop_expired(1.5) == [waiters[1]]
    assert queue.pop_waiter() is waiters[2]


@pytest.mark.parametrize(
    ("limit", "open_count", "opening_count", "waiting", "needed"),
    [
        (2, 0, 0, 0, False),
        (2, 0, 0, 1, True),
        (2, 0, 1, 1, False),
        (2, 0, 1, 2, True),
        (2, 1, 1, 5, False),
        (2, 2, 0, 5, False),
        (0, 50, 0, 1, True),
    ],
)
def test_connections_are_opened_for_waiters_up_to_the_limit(
    limit: int, open_count: int, opening_count: int, waiting: int, *, needed: bool
) -> None:
    queue = make_queue(limit)
    queue.open_count, queue.opening_count = open_count, opening_count
    for number in range(waiting):
        queue.add_waiter(Waiter(str(number)))

    assert queue.needs_connection is needed


def test_waiters_are_unservable_only_without_open_connections() -> None:
    queue = make_queue()
    waiters = [Waiter("a"), Waiter("b")]
    for waiter in waiters:
        queue.add_waiter(waiter)
    queue.open_count = 1
    assert queue.pop_unservable() == []
    queue.open_count = 0
    assert queue.pop_unservable() == waiters
    assert queue.pop_unservable() == []
