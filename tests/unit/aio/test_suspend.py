"""Pauses."""

import asyncio
import subprocess
import sys
import time

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
async def test_others_go_on_meanwhile() -> None:
    seen: list[str] = []

    async def other() -> None:
        await kore.suspend(1)
        seen.append("other")

    task = asyncio.create_task(other())
    start = time.monotonic()
    await kore.suspend(30)
    seen.append("slept")
    await task

    assert seen == ["other", "slept"]
    assert time.monotonic() - start > 0.025


@on_both
async def test_a_pause_can_be_cancelled() -> None:
    async def sleeper() -> None:
        await kore.suspend(100_000)

    task = asyncio.create_task(sleeper())
    await passes(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@on_both
async def test_a_pause_can_be_awaited_again() -> None:
    pause = kore.suspend(1)
    await pause
    await pause

    assert repr(pause) == "<kore.suspend 1 ms>"


@pytest.mark.slow
@pytest.mark.parametrize("how", ["asyncio.run(main())", "import uvloop; uvloop.run(main())"])
def test_a_hundred_thousand_suspended_tasks_fit_in_250_mb(how: str) -> None:
    code = MANY.replace("RUN", how)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    count, resident = done.stdout.split()

    assert count == "100000"
    assert int(resident) < 250 * 10**6
