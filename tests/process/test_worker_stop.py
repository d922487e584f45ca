"""The end of a worker: what the application needs to end well is there until it has ended."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.helpers import procs
from tests.helpers.fix_serve import Launcher, Server
from tests.process.process_helpers import end, finished, full, get, replaced, took

# Work that is accepted, and written by a task, a timer or a thread of the application's own.
QUEUE = """
import asyncio, os, time

def write(line):
    with open("written", "a") as file:
        print(line, file=file)

class App:
    async def workerstart(self):
        self.items = []
        self.empty = asyncio.Event()
        if {how!r} == "asyncio":
            self.task = asyncio.create_task(self.work())
        elif {how!r} == "task_create":
            kore.task_create(self.work())
        else:
            kore.timer(self.step, 20, 0)

    async def work(self):
        while True:
            await asyncio.sleep(0.02)
            self.step()

    def step(self):
        if self.items:
            write(self.items.pop(0))
        if not self.items:
            self.empty.set()

    async def workerstop(self):
        self.empty.clear()
        await self.empty.wait()
        write("stopped")

koreapp = App()
domain = kore.domain("*", attach="http")

def accept(req):
    koreapp.items.extend(range(5))
    req.response(200, str(os.getpid()))
domain.route("/", accept, methods=["get"])
"""


def until_written(server: Server, count: int) -> list[str]:
    """Wait until so many lines are in the application's file, and return them."""
    path = server.log.path.parent / "written"

    def lines() -> list[str]:
        return path.read_text().splitlines() if path.exists() else []

    procs.until(lambda: len(lines()) >= count, what=f"{count} lines")
    return lines()


@pytest.mark.parametrize("how", ["asyncio", "task_create", "timer"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_stop_hook_runs_while_tasks_and_connections_exist(
    serve: Launcher, number: signal.Signals, how: str, loop: str
) -> None:
    server = serve(QUEUE.format(how=how), loop=loop)
    get(server, "/")
    os.kill(server.process.pid, number)

    assert until_written(server, 6) == ["0", "1", "2", "3", "4", "stopped"]
    assert end(server, signal.SIGTERM) == 0
    assert "killed" not in server.log.text()


def test_a_worker_that_is_told_to_end_does_so_as_well(serve: Launcher) -> None:
    server = serve(QUEUE.format(how="asyncio"))
    pid = int(get(server, "/"))
    os.kill(pid, signal.SIGTERM)

    assert until_written(server, 6)[-1] == "stopped"
    replaced(server, [pid], 1)


# What is left after the hook is cancelled, and may clean up.
REST = """
import asyncio
domain = kore.domain("*", attach="http")
domain.route("/", lambda req: req.response(200, b"ok"))

async def forever(name):
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        await asyncio.sleep(0.01)
        kore.log(kore.LOG_NOTICE, f"{name} has ended")

class App:
    async def workerstart(self):
        self.task = asyncio.create_task(forever("a task"))
        kore.task_create(forever("another"))
    async def workerstop(self):
        kore.log(kore.LOG_NOTICE, "the hook begins")
        %s
koreapp = App()
"""


def test_remaining_tasks_are_cancelled_after_the_stop_hook(serve: Launcher, loop: str) -> None:
    server = serve(REST % 'kore.log(kore.LOG_NOTICE, "the hook has ended")', loop=loop)
    server.stop()

    text = server.log.text()
    places = [text.index(f"{name} has ended") for name in ("the hook", "a task", "another")]
    assert places[0] < min(places[1:])


def test_a_stop_hook_that_fails_is_reported_and_the_rest_goes_on(serve: Launcher) -> None:
    server = serve(REST % 'raise ValueError("no disk")')
    with server.expecting("uncaught exception ValueError('no disk') in workerstop"):
        assert end(server, signal.SIGTERM) == 0
    assert "a task has ended" in server.log.text()


@pytest.mark.parametrize(
    "what",
    [
        "[task.cancel() for task in asyncio.all_tasks()]",
        "[task.cancel() for task in asyncio.all_tasks() - {asyncio.current_task()}]",
        "asyncio.get_running_loop().stop()",
    ],
)
def test_a_stop_hook_that_cancels_all_tasks_or_stops_the_loop_ends_no_worker(
    serve: Launcher, what: str, loop: str
) -> None:
    server = serve(REST % f"{what}; await asyncio.sleep(0.01)", loop=loop)
    with server.expecting(errors=None):
        assert end(server, signal.SIGTERM) == 0
    assert "exited with status 0" in server.log.text()


def test_a_stop_hook_that_does_not_end_is_cancelled_and_named(serve: Launcher) -> None:
    server = serve(REST % 'await forever("the hook")', settings={"drain_timeout": 1})
    since = time.monotonic()
    assert end(server, signal.SIGTERM) == 0

    text = server.log.text()
    assert 0.9 < took(since) < 10
    assert "workerstop has not ended within drain_timeout: cancelled at " in text
    assert "/app.py:" in text.partition("cancelled at ")[2].splitlines()[0]
    assert text.index("the hook has ended") < text.index("a task has ended")
    assert "killed" not in text


def test_stop_hook_gets_the_rest_of_the_drain_timeout(serve: Launcher) -> None:
    """A handler that takes all of it leaves the hook a moment."""
    server = serve(
        REST % 'await asyncio.sleep(0.05); kore.log(kore.LOG_NOTICE, "the hook has ended")'
        + """
async def wait(req):
    kore.log(kore.LOG_NOTICE, "a request waits")
    await forever("a request")
domain.route("/wait", wait)
""",
        settings={"drain_timeout": 1},
    )
    with server.connect("GET") as client:
        client.send(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n")
        server.log.wait("a request waits")
        assert end(server, signal.SIGTERM) == 0
        assert client.answer().status == 503
    text = server.log.text()
    assert text.index("a request has ended") < text.index("the hook begins")
    assert text.index("the hook has ended") < text.index("a task has ended")


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGQUIT])
def test_a_second_signal_ends_a_stop_hook(serve: Launcher, second: signal.Signals) -> None:
    server = serve(REST % 'await forever("the hook")', settings={"drain_timeout": 100})
    os.kill(server.process.pid, signal.SIGTERM)
    server.log.wait("the hook begins")

    assert end(server, second) == 0
    assert "the hook has ended" in server.log.text()


def test_quit_calls_the_stop_hook_too(serve: Launcher) -> None:
    server = serve(
        REST % 'await asyncio.sleep(0.05); kore.log(kore.LOG_NOTICE, "the hook has ended")'
    )
    assert end(server, signal.SIGQUIT) == 0
    assert "the hook has ended" in server.log.text()


THREAD = """
import asyncio, pathlib, time
kore.domain("*", attach="http").route("/", lambda req: req.response(200, b"ok"))
def work():
    time.sleep(0.5)
    pathlib.Path("written").write_text("by a thread")
class App:
    async def workerstart(self):
        asyncio.get_running_loop().run_in_executor(None, work)
koreapp = App()
"""


def test_threads_of_the_loop_finish_their_work(
    serve: Launcher, loop: str, tmp_path: Path
) -> None:
    server = serve(THREAD, loop=loop)
    path = server.log.path.parent / "written"
    assert end(server, signal.SIGTERM) == 0
    assert path.read_text() == "by a thread"


# The last words of a WebSocket and of a worker reach the application of another worker.
OTHERS = """
import asyncio
domain = kore.domain("*", attach="http")

class App:
    def onmsg(self, obj):
        kore.log(kore.LOG_NOTICE, f"worker {kore.worker()} hears {obj}")
    async def workerstop(self):
        if kore.worker() == 1:
            kore.sendobj("a farewell", worker=2)
        else:
            await asyncio.sleep(0.5)
koreapp = App()
"""


def test_objects_arrive_while_stop_hooks_run(serve: Launcher) -> None:
    server = serve(OTHERS, settings={"workers": 2})
    full(server, 2)
    assert end(server, signal.SIGTERM) == 0
    assert "worker 2 hears a farewell" in server.log.text()


# Anything that can be awaited is, wherever the application is called.
AWAITABLES = """
import asyncio, types
domain = kore.domain("*", attach="http")

class Slow:
    def __init__(self, name, result=None):
        self.name, self.result = name, result
    def __await__(self):
        yield from asyncio.sleep(0.05).__await__()
        kore.log(kore.LOG_NOTICE, f"{{self.name}} was awaited")
        return self.result

def task(name, result=None):
    async def run():
        return await Slow(name, result)
    return asyncio.ensure_future(run())

@types.coroutine
def generator(name, result=None):
    return (yield from Slow(name, result).__await__())

def handler(req):
    async def answer():
        await KIND("the handler")
        req.response(200, b"ok")
    return asyncio.ensure_future(answer())

KIND = {kind}
domain.route(
    "/", handler, methods=["get"],
    auth={{"type": "request", "verify": lambda req: KIND("auth", True)}},
    hooks={{
        "on_headers": lambda req: KIND("on_headers"),
        "on_free": lambda req: KIND("on_free"),
    }},
)
kore.prerequest(lambda req: KIND("prerequest"))

class App:
    def workerstart(self):
        kore.timer(lambda: KIND("timer"), 1, kore.TIMER_ONESHOT)
        return KIND("workerstart")
    def signal(self, number):
        return KIND("signal")
    def onmsg(self, obj):
        return KIND("onmsg")
    def workerstop(self):
        return KIND("workerstop")
    def cleanup(self):
        return generator_for_cleanup()
async def generator_for_cleanup():
    kore.log(kore.LOG_NOTICE, "cleanup was awaited")
koreapp = App()
domain.route("/send", lambda req: [kore.sendobj(1), req.response(200)] and None, methods=["get"])
"""


@pytest.mark.parametrize("kind", ["task", "Slow", "generator"])
def test_any_awaitable_of_a_stop_hook_is_awaited(serve: Launcher, kind: str) -> None:
    server = serve(AWAITABLES.format(kind=kind))
    text = server.log.text()
    assert text.index("workerstart was awaited") < text.index("all worker processes started")
    assert get(server, "/") == b"ok"
    get(server, "/send")
    os.kill(server.process.pid, signal.SIGUSR1)
    names = ("timer", "auth", "prerequest", "on_headers", "the handler", "on_free", "signal")
    for name in (*names, "onmsg"):
        server.log.wait(f"{name} was awaited")
    os.kill(server.process.pid, signal.SIGTERM)
    assert finished(server) == 0
    text = server.log.text()
    assert text.count("workerstop was awaited") == 1
    assert text.count("cleanup was awaited") == 1
