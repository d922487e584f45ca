"""Awaitables that a handler forgets to await: the log says where, and what to write."""

import pytest

from tests.helpers.fix_serve import Launcher
from tests.process.process_helpers import get

APP = """
import asyncio

kore.domain("*", attach="http")

async def work():
    pass

@kore.route("/")
async def index(req):
    {statement}
    req.response(200, b"done")

@kore.route("/right")
async def right(req):
    await kore.suspend(1)
    await kore.gather(kore.suspend(1), work())
    pause = kore.suspend(1)
    await asyncio.wait([asyncio.ensure_future(pause)])
    for late in (0, 0.001):
        try:
            await asyncio.wait_for(kore.suspend(1000), late)
        except TimeoutError:
            pass
    task = asyncio.ensure_future(kore.suspend(5))
    task.cancel()
    one_at_a_time = kore.gather(*[kore.suspend(1000) for _ in range(3)], concurrency=1)
    try:
        await asyncio.wait_for(one_at_a_time, 0.001)
    except TimeoutError:
        pass
    kore.httpclient("http://127.0.0.1:1/").get().close()
    req.response(200, b"right")
"""
STATEMENTS = {
    "kore.suspend(1000)": "suspend",
    "kore.gather(kore.suspend(5))": "gather",
    "kore.gather(work(), work())": "gather",
    "kore.gather(kore.gather(kore.suspend(5)), kore.suspend(5))": "gather",
    'kore.httpclient("http://127.0.0.1:1/").get()': "request",
    "work()": "work",
}


@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_forgotten_await_is_in_the_log(serve: Launcher, statement: str) -> None:
    server = serve(APP.replace("{statement}", statement))
    name = STATEMENTS[statement]
    text = f"coroutine '{name}' was never awaited: it has not run; write `await {name}(...)`"
    with server.expecting(text, errors=0):
        assert get(server, "/") == b"done"
    server.log.search(rf"app\.py:\d+: coroutine '{name}'")


def test_awaited_and_cancelled_coroutines_are_not_logged(serve: Launcher) -> None:
    server = serve(APP.replace("{statement}", "pass"))
    assert get(server, "/right") == b"right"
    assert get(server, "/right") == b"right"
    assert "never awaited" not in server.log.text()
