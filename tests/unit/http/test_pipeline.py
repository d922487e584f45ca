"""A route folded: steps around a list, sync and async."""

import asyncio
from typing import Any

from kore._conf.schema import Route
from kore._http.pipeline import fold_steps

Seen = list[Any]


def handler(seen: Seen, *captures: str) -> None:
    seen.append(("handler", *captures))


async def waiting(seen: Seen, *captures: str) -> None:
    await asyncio.sleep(0)
    seen.append(("waited", *captures))


def first(seen: Seen) -> None:
    seen.append("first")


def stops(seen: Seen) -> bool:
    seen.append("stops")
    return False


async def slow(seen: Seen) -> int:
    await asyncio.sleep(0)
    seen.append("slow")
    return 0  # falsy, but not False


async def slow_stop(seen: Seen) -> bool:
    await asyncio.sleep(0)
    seen.append("slow_stop")
    return False


def run(function: Any, *steps: Any, captures: tuple[str, ...] = ()) -> Seen:
    """Return what happened."""
    seen: Seen = []
    pending = fold_steps(Route("/", function, ("GET",)), steps)(seen, *captures)
    if pending is not None:
        seen.append("pending")
        asyncio.run(pending)
    return seen


def test_a_route_without_steps_is_its_handler() -> None:
    assert fold_steps(Route("/", handler, ("GET",))) is handler


def test_steps_run_in_order_before_the_handler() -> None:
    assert run(handler, first, first, captures=("a", "b")) == [
        "first",
        "first",
        ("handler", "a", "b"),
    ]


def test_a_step_that_returns_false_is_the_last() -> None:
    assert run(handler, first, stops, first) == ["first", "stops"]


def test_an_async_step_is_waited_for() -> None:
    assert run(handler, first, slow, first, captures=("a",)) == [
        "first",
        "pending",
        "slow",
        "first",
        ("handler", "a"),
    ]


def test_an_async_step_that_returns_false_is_the_last() -> None:
    assert run(handler, slow_stop, first) == ["pending", "slow_stop"]


def test_an_async_handler_behind_async_steps_is_waited_for() -> None:
    assert run(waiting, slow, slow, captures=("a",)) == ["pending", "slow", "slow", ("waited", "a")]


def test_an_async_handler_behind_sync_steps_is_the_coroutine_returned() -> None:
    assert run(waiting, first) == ["first", "pending", ("waited",)]
