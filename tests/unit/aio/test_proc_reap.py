"""`proc.reap()` without `await`, as Kore's API page has it, and with."""

import asyncio
import json
from collections.abc import Callable
from sys import _getframe
from typing import Any

import pytest

import kore
from kore._aio import plain_reap
from kore._aio.plain_reap import is_awaited
from tests.helpers.loops import on_both
from tests.helpers.spawned_processes import output

KB = 1024
# Ways to use the status of an ended process without a wait of one's own.
USES: dict[str, Callable[[Any], object]] = {
    "dict": lambda proc: json.dumps({"retcode": proc.reap(), "more": 1}),
    "argument": lambda proc: json.dumps([proc.reap()]),
    "format": lambda proc: f"[{proc.reap()}]",
    "sum": lambda proc: str([proc.reap() + 0]),
}


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Wait for what does end, however busy the machine is."""
    if "endless" not in request.node.name:
        monkeypatch.setattr(plain_reap, "WAIT_MAX_SECONDS", 60)


@pytest.mark.parametrize("use", USES)
@on_both
async def test_reap_without_await_is_an_int(use: str) -> None:
    proc = kore.proc("sh -c 'sleep 0.05; exit 3'")
    said = USES[use](proc)
    assert said == ('{"retcode": 3, "more": 1}' if use == "dict" else "[3]")


@on_both
async def test_process_with_a_full_output_pipe_can_end() -> None:
    proc = kore.proc(["head", "-c", str(300 * KB), "/dev/zero"])
    first = await proc.recv(8192)
    retcode = proc.reap()
    assert isinstance(retcode, int)
    assert retcode == 0
    assert len(first or b"") + len(await output(proc)) == 300 * KB


@on_both
async def test_process_with_a_full_stderr_pipe_can_end() -> None:
    script = f"head -c {100 * KB} /dev/zero >&2; echo end"
    proc = kore.proc(["sh", "-c", script], stderr=True)
    retcode = proc.reap()
    assert (isinstance(retcode, int), retcode) == (True, 0)
    found = b""
    while data := await proc.recv_stderr(200 * KB):
        found += data
    assert found == bytes(100 * KB)
    assert await output(proc) == b"end\n"


@on_both
async def test_endless_process_is_neither_waited_for_nor_read_endlessly() -> None:
    proc = kore.proc("yes")
    status = proc.reap()
    assert not isinstance(status, int)
    assert (await proc.recv(4 * KB * KB) or b"")[:4] == b"y\ny\n"
    proc.kill()
    assert await status == 9


@on_both
async def test_other_task_goes_on_reading() -> None:
    proc = kore.proc("sh -c 'sleep 0.05; echo x'")
    reading = asyncio.create_task(proc.recv(10))
    await kore.suspend(1)
    status = proc.reap()
    assert (await reading, status) == (b"x\n", 0)


@on_both
async def test_process_timeout_is_raised_once() -> None:
    proc = kore.proc("sleep 100", 30)
    with pytest.raises(TimeoutError, match="before process exited"):
        int(proc.reap())
    proc.kill()
    assert await proc.reap() == 9


@on_both
async def test_await_is_distinguished_from_other_uses() -> None:
    found: list[bool] = []

    def awaitable(*_: object, **__: object) -> Any:
        found.append(is_awaited(_getframe(1)))
        return asyncio.sleep(0)

    await awaitable()
    await awaitable(1, key=[2])
    stored = awaitable()
    await stored
    async with asyncio.timeout(60):
        assert [await awaitable(), None] == [None, None]
    assert found == [True, True, False, True]


@on_both
async def test_status_awaited_by_another_call_does_not_block() -> None:
    procs = [kore.proc("sleep 0.2") for _ in range(6)]
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.01)
            turns += 1

    counting = asyncio.create_task(count())
    assert await asyncio.wait_for(procs[0].reap(), 60) == 0
    assert await kore.gather(procs[1].reap(), procs[2].reap()) == [0, 0]
    assert await kore.gather(*[proc.reap() for proc in procs[3:]]) == [0, 0, 0]
    counting.cancel()
    assert turns >= 3


@on_both
async def test_status_that_is_dropped_or_returned_does_not_block() -> None:
    proc = kore.proc("sleep 100")

    def status_of() -> Any:
        return proc.reap()

    proc.reap()
    status = status_of()
    assert not isinstance(status, int)
    proc.kill()
    assert await status == 9
