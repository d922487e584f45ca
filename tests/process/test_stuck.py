"""Workers whose event loop is blocked: noticed, reported with stacks, replaced."""

import os
import re
import signal
import sys
import time

import pytest

from tests.helpers.fix_serve import Launcher, Server
from tests.process.house import answer, ask, full, get, replaced, took

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


@pytest.mark.parametrize("path", ["/sleep", "/late"])
def test_a_stuck_worker_is_replaced_and_its_stacks_are_logged(serve: Launcher, path: str) -> None:
    server = serve(APP, settings={"worker_stuck_timeout": 1, "workers": 2})
    before = full(server, 2)
    with server.expecting("killed by SIGKILL", errors=None):
        client = ask(server, path, 100)
        assert answer(client) == b""
        (dead,) = set(before) - set(server.workers)
        replaced(server, [dead], 2)

    text = server.log.text()
    found = re.search(r"worker \d \(pid (\d+)\) is stuck (.*): its event loop .* for 1 s", text)
    assert found
    assert int(found[1]) == dead
    assert path in found[2]
    assert re.search(r'\| +File ".*/app.py", line \d+ in sleep\]', text)


def test_a_validator_that_never_ends_is_one_too(serve: Launcher) -> None:
    server = serve(APP, settings={"worker_stuck_timeout": 2})
    worker = server.worker
    logged = ("is stuck while in route '/value'", "killed by SIGKILL")
    with server.expecting(*logged, errors=None), server.connect("GET") as client:
        client.send(b"GET /value?v=" + b"a" * 60 + b"1 HTTP/1.1\r\nhost: x\r\n\r\n")
        replaced(server, [worker], 1)
    assert "kore/_http/params.py" in server.log.text()


def test_a_worker_that_was_stopped_is_reported_before_it_is_replaced(serve: Launcher) -> None:
    server = serve(APP, settings={"worker_stuck_timeout": 1})
    worker = server.worker
    with server.expecting("killed by SIGKILL", errors=None):
        os.kill(worker, signal.SIGSTOP)
        replaced(server, [worker], 1)
    assert STUCK.search(server.log.text())


def test_a_stuck_worker_is_reported_once_and_goes_on_where_none_is_replaced(
    serve: Launcher,
) -> None:
    server = serve(APP, settings={"worker_stuck_timeout": 0})
    worker = server.worker
    client = ask(server, "/sleep", 7.4)
    assert b"done" in answer(client)
    server.log.wait(" goes on after ")

    text = server.log.text()
    assert [found[1:] for found in STUCK.findall(text)] == [("while in route '/sleep'", "5")]
    assert re.search(r'\| +File ".*/app.py", line \d+ in sleep\]', text)
    assert get(server) == str(worker).encode()
    server.log.check()


@pytest.mark.parametrize("path", ["/purpose", "/waits"])
def test_who_waits_or_says_so_is_not_stuck(serve: Launcher, path: str) -> None:
    server = serve(APP, settings={"worker_stuck_timeout": 1})
    worker = server.worker
    assert b"done" in answer(ask(server, path, 3.5))
    assert get(server) == str(worker).encode()
    assert "stuck" not in server.log.text()


def test_kodev_run_reports_but_replaces_nothing(serve: Launcher) -> None:
    server = serve(APP, settings={"worker_stuck_timeout": 1}, command=DEVELOPMENT)
    assert b"done" in answer(ask(server, "/sleep", 6.8))
    assert STUCK.search(server.log.text())
    assert "killed" not in server.log.text()


@pytest.fixture
def development(serve: Launcher) -> Server:
    return serve(APP, command=DEVELOPMENT)


@pytest.mark.parametrize("path", ["/sleep", "/late"])
def test_in_development_a_handler_that_holds_the_loop_is_logged(
    development: Server, path: str
) -> None:
    begun = time.monotonic()
    assert b"done" in answer(ask(development, path, 0.2))
    found = development.log.search(
        rf"route '{path}' \(.*/app.py:\d+\) has held the event loop for (\d+) ms"
    )
    assert 200 <= int(found[1]) <= took(begun) * 1000


@pytest.mark.parametrize("path", ["/purpose", "/waits"])
def test_in_development_a_handler_that_waits_or_says_so_is_not(
    development: Server, path: str
) -> None:
    assert b"done" in answer(ask(development, path, 0.2))
    assert get(development)
    assert "has held" not in development.log.text()
