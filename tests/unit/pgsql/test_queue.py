"""Who gets which connection next."""

import pytest

from kore._pgsql.queue import ConnectionQueue
from kore.errors import DatabaseError


class Waiter:
    """Somebody who waits, or has gone."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.gone = False

    def done(self) -> bool:
        return self.gone

    def __repr__(self) -> str:
        return self.name


def line(most: int = 2, patient: int = 10) -> ConnectionQueue[str, Waiter]:
    return ConnectionQueue(most, patient)


def test_first_come_first_served() -> None:
    made = line()
    waiters = [Waiter(name) for name in "abc"]
    for waiter in waiters:
        made.stand(waiter)

    assert [made.next(), made.next(), made.next(), made.next()] == [*waiters, None]


def test_who_has_gone_is_passed_over() -> None:
    made = line()
    first, second = Waiter("first"), Waiter("second")
    made.stand(first)
    made.stand(second)
    first.gone = True

    assert made.next() is second


def test_who_leaves_makes_room() -> None:
    made = line(most=1, patient=0)
    made.opening = 1
    first = Waiter("first")
    made.stand(first)
    with pytest.raises(DatabaseError, match="pgsql error: no available connection"):
        made.stand(Waiter("second"))
    made.leave(first)
    made.leave(first)
    made.stand(Waiter("third"))


@pytest.mark.parametrize(
    ("most", "is_open", "opening", "waiting", "wanted"),
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
def test_connections_are_opened_for_those_who_wait(
    most: int, is_open: int, opening: int, waiting: int, *, wanted: bool
) -> None:
    made = line(most)
    made.open, made.opening = is_open, opening
    for number in range(waiting):
        made.stand(Waiter(str(number)))

    assert made.wants_more is wanted


def test_as_long_as_there_is_a_connection_there_is_hope() -> None:
    made = line()
    waiters = [Waiter("a"), Waiter("b")]
    for waiter in waiters:
        made.stand(waiter)
    made.open = 1
    assert made.hopeless() == []
    made.open = 0
    assert made.hopeless() == waiters
    assert made.hopeless() == []
