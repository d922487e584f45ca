"""Every hook is called, in its process, in both forms and from both start modes."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.helpers import procs
from tests.helpers.fix_serve import Launcher, Server
from tests.process.conf_project import serving
from tests.process.process_helpers import end, finished, full, get

START = """
import asyncio, os, signal, subprocess
import kore
kore.config.workers = 1
kore.server("http", ip="127.0.0.1", port="0", tls=False)
kore.domain("*", attach="http").route("/", lambda req: req.response(200, b"ok"))

def say(name, *arguments):
    kore.log(kore.LOG_NOTICE, f"hook {name}{arguments} in {os.getpid()} of {kore.worker()}")
"""
KOREAPP = """
class App:
    def configure(self, args): say("configure", *args)
    def cleanup(self): say("cleanup")
    def workerstart(self): say("workerstart")
    def workerstop(self): say("workerstop")
    def signal(self, number): say("signal", number)
koreapp = App()
"""
FUNCTIONS = """
def kore_parent_configure(args): say("configure", *args)
def kore_parent_teardown(): say("cleanup")
def kore_worker_configure(): say("workerstart")
def kore_worker_teardown(): say("workerstop")
def kore_worker_signal(number): say("signal", number)
"""
ASYNC = """
class App:
    def configure(self, args): say("configure", *args)
    def cleanup(self): say("cleanup")
    async def workerstart(self):
        await asyncio.sleep(0.01)
        say("workerstart")
    async def workerstop(self):
        await asyncio.sleep(0.01)
        say("workerstop")
    async def signal(self, number):
        await asyncio.sleep(0.1)
        say("signal", number)
koreapp = App()
"""
FORMS = {"koreapp": KOREAPP, "functions": FUNCTIONS, "async": ASYNC}


@pytest.fixture(params=["script", "file"])
def started(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], Server]]:
    """Return what starts an application, as a script or from a configuration file."""
    with_file = request.param == "file"
    (tmp_path / "kore.conf").write_text("python_import ./app.py\n")
    arguments = ["-c", "kore.conf", "x"] if with_file else ["app.py", "x"]
    entered = []

    def start(source: str) -> Server:
        (tmp_path / "app.py").write_text(source)
        entered.append(serving(tmp_path, *arguments))
        return entered[0].__enter__()

    yield start
    for one in entered:
        one.__exit__(None, None, None)


@pytest.mark.parametrize("form", FORMS)
def test_each_hook_is_called_in_its_process(
    started: Callable[[str], Server], form: str
) -> None:
    server = started(START + FORMS[form])
    (worker,) = full(server, 1)
    (template,) = set(procs.children(server.process.pid)) - {worker}
    for number in (signal.SIGUSR1, signal.SIGHUP):
        os.kill(server.process.pid, number)
        server.log.wait(f"hook signal({int(number)},) in {worker} of 1")
    server.log.wait(f"hook workerstop() in {worker} of 1")
    server.log.wait(f"hook cleanup() in {template} of None")
    (second,) = full(server, 1)
    assert end(server, signal.SIGTERM) == 0
    text = server.log.text()

    assert f"hook configure('kore', 'x') in {template} of None" in text
    assert f"hook workerstart() in {worker} of 1" in text
    assert f"hook workerstart() in {second} of 1" in text
    assert f"hook signal(15,) in {second} of 1" in text
    assert f"hook workerstop() in {second} of 1" in text
    counts = {name: text.count(f"hook {name}(") for name in ("configure", "cleanup", "signal")}
    assert counts == {"configure": 2, "cleanup": 2, "signal": 3}


def test_a_signal_to_a_worker_itself_is_one_to_its_hook(serve: Launcher, loop: str) -> None:
    server = serve(START.partition("import kore\n")[0] + KOREAPP_ONLY, loop=loop)
    (worker,) = full(server, 1)
    for number in (signal.SIGUSR1, signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        os.kill(worker, number)
        server.log.wait(f"hook signal({int(number)},) in {worker}")


def test_a_signal_that_was_trapped_is_one_to_the_hook(serve: Launcher, loop: str) -> None:
    server = serve(TRAPS + KOREAPP_ONLY, loop=loop)
    (worker,) = full(server, 1)
    os.kill(worker, signal.SIGWINCH)
    server.log.wait(f"hook signal({int(signal.SIGWINCH)},) in {worker}")
    assert get(server, "/trap") == b"trapped"
    os.kill(worker, signal.SIGUSR2)
    server.log.wait(f"hook signal({int(signal.SIGUSR2)},) in {worker}")
    os.kill(worker, signal.SIGUSR1)
    server.log.wait(f"hook signal({int(signal.SIGUSR1)},) in {worker}")
    assert full(server, 1) == [worker]


TRAPS = """
import asyncio, os, signal
kore.sigtrap(signal.SIGWINCH)
kore.sigtrap(signal.SIGUSR1)
kore.sigtrap(signal.SIGCHLD)
@kore.route("/trap", methods=["get"])
def trap(req):
    kore.sigtrap(signal.SIGUSR2)
    req.response(200, b"trapped")
@kore.route("/pid", methods=["get"])
def pid(req):
    req.response(200, str(os.getpid()))
"""


KOREAPP_ONLY = """
domain = kore.domain("*", attach="http")
class App:
    def signal(self, number):
        kore.log(kore.LOG_NOTICE, f"hook signal({number},) in {os.getpid()}")
    async def run(self, req):
        program = await asyncio.create_subprocess_exec("true")
        req.response(200, str(await program.wait()))
koreapp = App()
domain.route("/run", koreapp.run)
"""


def test_a_terminals_interrupt_is_one_to_the_hook(serve: Launcher) -> None:
    server = serve(START.partition("import kore\n")[0] + KOREAPP_ONLY)
    full(server, 1)
    os.killpg(server.process.pid, signal.SIGINT)

    assert finished(server) == 0
    assert server.log.text().count("hook signal(2,)") == 1


def test_a_hook_for_signals_does_not_keep_programs_from_being_waited_for(
    serve: Launcher, loop: str
) -> None:
    server = serve(START.partition("import kore\n")[0] + KOREAPP_ONLY, loop=loop)
    with server.connect("GET") as client:
        client.send(b"GET /run HTTP/1.1\r\nhost: x\r\n\r\n")
        assert client.answer().body == b"0"
    if loop == "asyncio":
        server.log.wait(f"hook signal({int(signal.SIGCHLD)},)")


@pytest.mark.parametrize("prefix", ["", "async "])
def test_raising_signal_hook_is_logged_and_the_signal_takes_effect(
    serve: Launcher, prefix: str
) -> None:
    server = serve(
        'kore.domain("*", attach="http")\nclass App:\n'
        f"    {prefix}def signal(self, number):\n        raise ValueError(number)\n"
        "koreapp = App()\n"
    )
    full(server, 1)
    with server.expecting("ValueError: 10"):
        os.kill(server.process.pid, signal.SIGUSR1)
    with server.expecting("ValueError: 15", "goodbye"):
        assert end(server, signal.SIGTERM) == 0


GENERATOR = """
async def numbers():
    try:
        for number in range(10):
            yield number
    finally:
        kore.log(kore.LOG_NOTICE, "the numbers have come to an end")

class App:
    async def workerstart(self):
        self.kept = numbers()
        await anext(self.kept)
    def workerstop(self): kore.log(kore.LOG_NOTICE, "the worker stops")
koreapp = App()
kore.domain("*", attach="http").route("/", lambda req: req.response(200, b"ok"))
"""


def test_unfinished_async_generator_is_closed_with_the_worker(serve: Launcher) -> None:
    server = serve(GENERATOR)
    server.stop()

    text = server.log.text()
    assert text.index("the worker stops") < text.index("the numbers have come to an end")
