"""Slow handlers under `kodev run`: which steps are logged."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kore._process.worker.slow_handlers import SLOW_SECONDS, SlowHandlers

LONG = SLOW_SECONDS * 1.2


def wrap(handler: Any, blocked_at: float = 0.0) -> Any:
    """Return a handler with its steps measured."""
    heartbeat = cast("Any", SimpleNamespace(blocked_at=blocked_at))
    return SlowHandlers(heartbeat).wrap("/slow", handler, handler)


def test_handler_that_blocks_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def handler(request: object) -> str:
        time.sleep(LONG)
        return "done"

    assert wrap(handler)(None) == "done"
    assert "route '/slow' (" in caplog.text
    assert "has held the event loop for 1" in caplog.text


def test_fast_handler_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    assert wrap(lambda request: 5)(None) == 5
    assert caplog.text == ""


def test_step_of_an_async_handler_that_blocks_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def handler(request: object) -> str:
        await asyncio.sleep(0)
        time.sleep(LONG)  # noqa: ASYNC251 - it blocks on purpose
        return "done"

    assert asyncio.run(wrap(handler)(None)) == "done"
    assert caplog.text.count("has held the event loop") == 1


def test_waiting_is_not_blocking(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(request: object) -> None:
        await asyncio.sleep(LONG)

    asyncio.run(wrap(handler)(None))
    assert caplog.text == ""


def test_step_with_a_blocking_block_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    wrap(lambda request: time.sleep(LONG), blocked_at=time.monotonic() + 60)(None)
    assert caplog.text == ""
