"""Coroutines as tests, on both event loops, held responsible for what they leave behind."""

import asyncio
import functools
import gc
import inspect
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

import pytest
import uvloop

from tests.helpers import procs

LOOPS: Final = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
PATIENCE: Final = 20.0

Check = Callable[..., Coroutine[Any, Any, Any]]


def on_both(check: Check) -> Callable[..., None]:
    """Make a test of a coroutine function; its parameters are fixtures."""

    def test(kind: str, **fixtures: Any) -> None:
        run(kind, check, **fixtures)

    own = inspect.signature(check)
    kind = inspect.Parameter("kind", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    test.__signature__ = own.replace(parameters=[kind, *own.parameters.values()])  # type: ignore[attr-defined]
    test.__name__ = check.__name__
    test.__doc__ = check.__doc__
    test.__module__ = check.__module__
    test.pytestmark = [  # type: ignore[attr-defined]
        *getattr(check, "pytestmark", []),
        pytest.mark.parametrize("kind", LOOPS).mark,
    ]
    return test


def run(kind: str, check: Check, **fixtures: Any) -> Any:
    """Run *check* on a loop of that kind: no mistake in a callback, no descriptor may be left."""
    mistakes: list[dict[str, Any]] = []

    async def main() -> Any:
        asyncio.get_running_loop().set_exception_handler(lambda _, what: mistakes.append(what))
        async with asyncio.timeout(PATIENCE):
            return await check(**fixtures)

    warm_up(kind)
    before = descriptors()
    with asyncio.Runner(loop_factory=LOOPS[kind]) as runner:
        result = runner.run(main())
    assert mistakes == []
    procs.until(lambda: left_behind(before) == [], what="all descriptors closed")
    return result


def left_behind(before: list[str]) -> list[str]:
    """Return which descriptors are open that were not, once nothing but garbage holds any."""
    if descriptors() != before:
        gc.collect()
    return [each for each in descriptors() if each not in before]


@functools.cache
def warm_up(kind: str) -> None:
    """Let the first loop of a kind open what it opens once."""
    with asyncio.Runner(loop_factory=LOOPS[kind]) as runner:
        runner.run(asyncio.sleep(0))
    gc.collect()


def descriptors() -> list[str]:
    """Return the open descriptors of this process."""
    mine = f"/proc/{os.getpid()}/fd"
    return [entry.name for entry in os.scandir("/proc/self/fd") if not is_listing(entry, mine)]


def is_listing(entry: "os.DirEntry[str]", mine: str) -> bool:
    """Whether this descriptor is the one that lists them."""
    try:
        return str(Path(entry.path).readlink()) == mine
    except OSError:
        return True


class Errors:
    """What reaches the loop's exception handler."""

    def __init__(self) -> None:
        self.found: list[tuple[str, BaseException]] = []
        asyncio.get_running_loop().set_exception_handler(self.take)

    def take(self, _: object, context: dict[str, Any]) -> None:
        self.found.append((context["message"], context["exception"]))


async def passes(count: int) -> None:
    """Let the loop run so often."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(happened: Callable[[], object], what: str = "") -> None:
    """Wait for something that is due to happen; the limit only ends a failing test."""
    deadline = asyncio.get_running_loop().time() + PATIENCE / 2
    while not happened():
        assert asyncio.get_running_loop().time() < deadline, what or "it did not happen"
        await asyncio.sleep(0.002)
