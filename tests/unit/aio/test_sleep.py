"""Pauses."""

import asyncio
import subprocess
import sys
import time
from typing import Any

import pytest

import kore
from tests.helpers.loops import on_both, passes

MANY = """
import asyncio, kore, os

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

async def main():
    for _ in range(100_000):
        kore.task_create(kore_suspended())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    used = resident()
    print(len(kore.tasks()), used, flush=True)
    os._exit(0)

async def kore_suspended():
    await kore.suspend(100_000)

RUN
"""


@on_both
async def test_other_tasks_run_during_a_pause() -> None:
    seen: list[str] = []

    async def other() -> None:
        await kore.suspend(1)
        seen.append("other")

    task = asyncio.create_task(other())
    start = time.monotonic()
    await kore.suspend(300)
    seen.append("slept")
    await task

    assert seen == ["other", "slept"]
    assert time.monotonic() - start > 0.29


@on_both
async def test_suspend_can_be_cancelled() -> None:
    async def sleeper() -> None:
        await kore.suspend(100_000)

    task = asyncio.create_task(sleeper())
    await passes(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@on_both
async def test_suspend_can_be_awaited_again() -> None:
    pause = kore.suspend(1)
    await pause
    await pause

    assert repr(pause) == "<kore.suspend 1 ms>"


def test_suspend_counts_from_the_await() -> None:
    async def pause() -> float:
        awaitable = kore.suspend(40)
        await asyncio.sleep(0.05)
        start = time.monotonic()
        await awaitable
        return time.monotonic() - start

    # The loop's clock may be a tick ahead of a timer.
    assert asyncio.run(pause()) > 0.035


@pytest.mark.parametrize("delay", [0, -5])
def test_suspend_of_zero_lets_other_tasks_run_once(delay: int) -> None:
    seen = []

    async def other() -> None:
        seen.append("other")

    async def pause() -> None:
        waiting = asyncio.create_task(other())
        await kore.suspend(delay)
        seen.append("paused")
        await waiting

    asyncio.run(pause())
    assert seen == ["other", "paused"]


def test_suspend_that_is_never_awaited_warns() -> None:
    with pytest.warns(RuntimeWarning, match="coroutine 'suspend' was never awaited") as warned:
        kore.suspend(1000)
    assert warned[0].filename == __file__


@pytest.mark.parametrize("delay", [1.5, "1", None])
def test_suspend_takes_integers_only(delay: Any) -> None:
    with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
        kore.suspend(delay)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["asyncio.run(main())", "import uvloop; uvloop.run(main())"])
def test_hundred_thousand_suspended_tasks_fit_in_250_mb(how: str) -> None:
    code = MANY.replace("RUN", how)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    count, resident = done.stdout.split()

    assert count == "100000"
    assert int(resident) < 250 * 10**6
