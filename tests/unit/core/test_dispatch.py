"""What handlers, resolvers and reporters do wrong: one answer each, one report, nothing further."""

from collections.abc import Callable, Generator
from typing import Any

import pytest

from kore._core.request import Request
from tests.helpers.core_client import get
from tests.helpers.fix_core import Pair

Make = Callable[..., Pair]


class EvilError(Exception):
    """What nobody expects."""


FAULTS = [
    ValueError,
    EvilError,
    SystemExit,
    KeyboardInterrupt,
    GeneratorExit,
    MemoryError,
    StopIteration,
]


@pytest.mark.parametrize("error", FAULTS)
@pytest.mark.parametrize("place", ["run", "resolve", "spawn"])
def test_an_error_is_one_500_and_one_report(
    pair: Make, error: type[BaseException], place: str
) -> None:
    def fault(*_: Any) -> None:
        raise error

    house = pair(fault if place == "run" else None)
    if place == "resolve":
        house.resolve = fault
    if place == "spawn":
        house.task = fault  # type: ignore[assignment,method-assign]

    assert house.ask(get()) == [500]
    assert house.failed() == [error]
    assert house.client.last.body == b"500 Internal Server Error\n"
    assert house.ask(get()) == [500], "the connection is in step"
    house.failed()


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_an_error_after_the_answer_is_reported_only(pair: Make, error: type[BaseException]) -> None:
    def run(request: Request) -> None:
        request.response(200, b"done")
        raise error

    house = pair(run)

    assert house.ask(get() + get()) == [200, 200]
    assert house.failed() == [error, error]


@pytest.mark.parametrize("result", [None, True, 0, "text", object()])
def test_a_handler_without_an_answer_is_one_500_and_one_report(pair: Make, result: object) -> None:
    house = pair(lambda request: result)

    assert house.ask(get()) == [500]
    assert house.failed() == [None]


def test_a_result_that_cannot_even_be_looked_at_is_an_error(pair: Make) -> None:
    class Shy:
        @property
        def __class__(self) -> type:
            raise SystemExit

    house = pair(lambda request: Shy())

    assert house.ask(get()) == [500]
    assert house.failed() == [SystemExit]


def test_what_can_be_awaited_is_spawned(pair: Make) -> None:
    class Awaitable:
        def __await__(self) -> Generator[None, None, None]:
            yield

    house = pair(lambda request: Awaitable())
    house.ask(get())

    assert len(house.tasks) == 1


def test_a_resolver_that_says_nothing_is_a_500(pair: Make) -> None:
    assert pair(resolve=lambda request: None).ask(get()) == [500]


def test_a_resolver_that_answers_and_finds_a_route_too_is_answered_once(pair: Make) -> None:
    def resolve(request: Request) -> object:
        request.refuse(404)
        return house.route

    house = pair(resolve=resolve)

    assert house.ask(get() + get()) == [404, 404]


@pytest.mark.parametrize("route", [3, "route", object()])
def test_a_resolver_that_finds_nonsense_is_a_500(pair: Make, route: object) -> None:
    house = pair(resolve=lambda request: route)

    assert house.ask(get()) == [500]
    assert house.failed() == [AttributeError]


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_a_reporter_that_fails_is_logged(pair: Make, error: type[BaseException]) -> None:
    class Reported(list[BaseException | None]):
        def append(self, _: object) -> None:
            raise error

    def run(request: Request) -> None:
        raise EvilError("mine")

    house = pair(run)
    house.failures = Reported()

    assert house.ask(get()) == [500]
    assert house.logged() == ["cannot report EvilError('mine')"]


def test_a_handler_that_hangs_up_owes_no_answer(pair: Make) -> None:
    house = pair(lambda request: request.connection.disconnect())

    assert house.ask(get() + get()) == []
    assert (house.client.end, house.failed(), house.seen) == ("closed", [], ["/"])


def test_a_handler_that_answers_and_hangs_up_is_heard(pair: Make) -> None:
    def run(request: Request) -> None:
        request.response(200, b"bye")
        request.connection.disconnect()

    house = pair(run)

    assert house.ask(get() + get()) == [200]
    assert (house.client.end, house.client.last.body) == ("closed", b"bye")
