"""Workers whose event loop is blocked: noticed, reported with stacks, replaced."""

import os
import re
import signal
import socket
import sys
import time
from typing import Any

import pytest

from tests.helpers.fix_serve import Launcher, Server
from tests.process.process_helpers import answer, ask, get, replaced, took

APP = """
import asyncio, os, re, time
domain = kore.domain("*", attach="http")

@kore.route("/pid", methods=["get"])
def pid(req):
    req.response(200, str(os.getpid()))

@kore.route("/sleep", methods=["get"])
def sleep(req):
    kore.log(kore.LOG_NOTICE, "it begins")
    time.sleep(float(req.request_header("seconds")))
    req.response(200, b"done")

@kore.route("/late", methods=["get"])
async def late(req):
    await asyncio.sleep(0.01)
    sleep(req)

@kore.route("/value", methods=["get"], get={"v": r"^([a-z]+ ?)+$"})
def value(req):
    req.response(200, b"ok")

@kore.route("/purpose", methods=["get"])
async def purpose(req):
    with kore.blocking(), kore.blocking():
        sleep(req)

@kore.route("/waits", methods=["get"])
async def waits(req):
    kore.log(kore.LOG_NOTICE, "it begins")
    await asyncio.sleep(float(req.request_header("seconds")))
    req.response(200, b"done")
"""
RUN = "import sys; from kore._cli.main import main; sys.exit(main(development=True))"
DEVELOPMENT = (sys.executable, "-c", RUN)
STUCK = re.compile(r"worker 1 \(pid (\d+)\) is stuck (.*): its event loop has not turned for (\d)")
# What is reported is stuck for more than 5 s: the other tests need not wait for that.
STUCK_FOR = 6.6


class Held:
    """A server, the answer it owes, and the worker it had."""

    def __init__(self, server: Server, client: socket.socket) -> None:
        self.server = server
        self.client = client
        self.worker = server.worker


def hold(serve: Launcher, path: str, seconds: float, timeout: int, **options: Any) -> Held:
    """Start a server, and ask for what takes it so many seconds."""
    server = serve(APP, settings={"worker_stuck_timeout": timeout}, **options)
    return Held(server, ask(server, path, seconds))


@pytest.fixture(scope="module", autouse=True)
def reported(serve_module: Launcher) -> Held:
    return hold(serve_module, "/sleep", STUCK_FOR, 0)


@pytest.fixture(scope="module", autouse=True)
def development(serve_module: Launcher) -> Held:
    return hold(serve_module, "/sleep", STUCK_FOR, 1, command=DEVELOPMENT)


@pytest.fixture(scope="module", autouse=True)
def excused(serve_module: Launcher) -> list[Held]:
    return [hold(serve_module, path, 2.6, 1) for path in ("/purpose", "/waits")]


VALUE = f"/value?v={'a' * 60}1"


def test_stuck_workers_are_replaced_with_their_stacks_logged(serve: Launcher) -> None:
    """A handler, one that has waited before, a validator; and a process that was stopped."""
    held = {path: hold(serve, path, 100, 1) for path in ("/sleep", "/late", VALUE, "/pid")}
    os.kill(held["/pid"].worker, signal.SIGSTOP)
    for path, each in held.items():
        got = answer(each.client)
        assert got == b"" or path == "/pid"
        each.server.log.wait("killed by SIGKILL", 0)
        replaced(each.server, [each.worker], 1)
        each.server.log.accept()
        text = each.server.log.text()
        found = re.search(r"worker 1 \(pid (\d+)\) is stuck (.*): its event loop .* for 1 s", text)
        assert found
        assert int(found[1]) == each.worker
        assert ("in no route" if path == "/pid" else f"'{path.partition('?')[0]}'") in found[2]

    stack = r'\| +File ".*/%s", line \d+ in %s\]'
    for path in ("/sleep", "/late"):
        assert re.search(stack % ("app.py", "sleep"), held[path].server.log.text())
    assert "kore/_http/params.py" in held[VALUE].server.log.text()


def test_workers_that_wait_or_block_on_purpose_are_not_stuck(excused: list[Held]) -> None:
    for each in excused:
        assert b"done" in answer(each.client)
        assert get(each.server) == str(each.worker).encode()
        assert "stuck" not in each.server.log.text()


def test_a_stuck_worker_is_reported_once_and_goes_on_where_none_is_replaced(
    reported: Held,
) -> None:
    server = reported.server
    assert b"done" in answer(reported.client)
    server.log.wait(" goes on after ")

    text = server.log.text()
    assert [found[1:] for found in STUCK.findall(text)] == [("while in route '/sleep'", "5")]
    assert re.search(r'\| +File ".*/app.py", line \d+ in sleep\]', text)
    assert get(server) == str(reported.worker).encode()
    server.log.check()


def test_kodev_run_reports_but_replaces_nothing(development: Held) -> None:
    assert b"done" in answer(development.client)
    assert STUCK.search(development.server.log.text())
    assert "killed" not in development.server.log.text()


@pytest.mark.parametrize("path", ["/sleep", "/late"])
def test_in_development_a_handler_that_holds_the_loop_is_logged(
    development: Held, path: str
) -> None:
    log = development.server.log
    begun, start = time.monotonic(), log.size()
    assert b"done" in answer(ask(development.server, path, 0.2))
    found = log.search(
        rf"route '{path}' \(.*/app.py:\d+\) has held the event loop for (\d+) ms", start
    )
    assert 200 <= int(found[1]) <= took(begun) * 1000


@pytest.mark.parametrize("path", ["/purpose", "/waits"])
def test_in_development_a_waiting_handler_is_not_logged(
    development: Held, path: str
) -> None:
    start = development.server.log.size()
    assert b"done" in answer(ask(development.server, path, 0.2))
    assert get(development.server)
    assert "has held" not in development.server.log.text(start)
