"""Processes that an application forks from a worker, and what runs at the end of a worker."""

import json
import os
import signal
import tempfile
from pathlib import Path

import pytest

from tests.helpers import procs
from tests.helpers.fix_serve import Launcher, Server
from tests.process.process_helpers import alive, end, full, get, replaced

APP = """
import asyncio, atexit, json, multiprocessing, os, signal, tempfile, time
from concurrent.futures import ProcessPoolExecutor

domain = kore.domain("*", attach="http")
kept = []
scratch = tempfile.TemporaryDirectory()
atexit.register(lambda: log("at import"))

def log(where):
    kore.log(kore.LOG_NOTICE, f"exit handler registered {where} in {os.getpid()}")

class App:
    def workerstart(self):
        atexit.register(log, "at the start")
    def workerstop(self):
        kore.log(kore.LOG_NOTICE, f"workerstop in {os.getpid()}")
    def signal(self, number):
        kore.log(kore.LOG_NOTICE, f"signal {number} in {os.getpid()}")
koreapp = App()

@kore.route("/pid", methods=["get"])
def pid(req):
    atexit.register(log, "by a handler")
    req.response(200, json.dumps([os.getpid(), scratch.name]))

@kore.route("/start", methods=["get"])
async def start(req):
    pool = ProcessPoolExecutor(1)
    await asyncio.get_running_loop().run_in_executor(pool, abs, -1)
    pids = list(pool._processes)
    for name in ("fork", "spawn", "forkserver"):
        context = multiprocessing.get_context(name)
        for daemon in (True, False):
            process = context.Process(target=time.sleep, args=(300,), daemon=daemon)
            process.start()
            kept.append(process)
            pids.append(process.pid)
        kept.extend((context.Pool(1), context.Manager(), context.Queue()))
        pids.extend((kept[-3]._pool[0].pid, kept[-2]._process.pid))
        await asyncio.to_thread(kept[-3].map, abs, [1])
        nested = context.Process(target=nest, args=(kept[-1],))
        nested.start()
        kept.append(nested)
        pids.extend(await asyncio.to_thread(kept[-2].get))
        kept[-2].put(b"x" * 1_000_000)
    kept.append(pool)
    req.response(200, json.dumps(pids))

def nest(queue):
    process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(300,))
    process.start()
    queue.put([os.getpid(), process.pid])
    time.sleep(300)

@kore.route("/child", methods=["get"])
async def child(req):
    "Return how a child ends by a signal, after it had time to hear of it."
    number = int(req.request_header("number"))
    ready, begin = os.pipe()
    if (pid := os.fork()) == 0:
        if req.request_header("own"):
            signal.signal(number, lambda *_: os._exit(7))
        os.write(begin, b"x")
        time.sleep(30)
        os._exit(0)
    await asyncio.to_thread(os.read, ready, 1)
    os.kill(pid, number)
    _, status = await asyncio.to_thread(os.waitpid, pid, 0)
    req.response(200, str(os.waitstatus_to_exitcode(status)))

def fork_and_end(number):
    if (pid := os.fork()) == 0:
        time.sleep(30)
        os._exit(0)
    os.kill(pid, number)
    return pid

@kore.route("/children", methods=["get"])
async def children(req):
    "Return how children end by a signal that comes at once."
    number = int(req.request_header("number"))
    pids = [fork_and_end(number) for _ in range(20)]
    pids += [await asyncio.to_thread(fork_and_end, number) for _ in range(20)]
    ends = [(await asyncio.to_thread(os.waitpid, pid, 0))[1] for pid in pids]
    req.response(200, json.dumps([os.waitstatus_to_exitcode(status) for status in ends]))
"""
SIGNALS = [signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1]


@pytest.fixture(scope="module")
def server(serve_module: Launcher, loop: str) -> Server:
    return serve_module(APP, loop=loop)


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_to_a_forked_child_is_handled_there(server: Server, number: signal.Signals) -> None:
    (worker,) = full(server, 1)
    start = server.log.size()
    assert get(server, "/child", number=str(int(number))) == str(-number).encode()
    assert get(server, "/child", number=str(int(number)), own="yes") == b"7"

    os.kill(worker, signal.SIGUSR1)
    server.log.wait(f"signal {int(signal.SIGUSR1)} in {worker}", start)
    told = server.log.text(start).count(f"signal {int(number)} in")
    assert told == (number == signal.SIGUSR1)
    assert server.worker == worker


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_that_comes_right_after_a_fork_is_not_lost(
    server: Server, number: signal.Signals
) -> None:
    found = json.loads(get(server, "/children", number=str(int(number))))
    assert found == [-number] * 40


def test_interrupt_of_a_forked_child_is_a_keyboard_interrupt(server: Server) -> None:
    (worker,) = full(server, 1)
    with server.expecting(errors=None):
        assert get(server, "/child", number=str(int(signal.SIGINT))) == b"1"
    assert server.worker == worker


def test_a_worker_catches_its_own_signals_after_a_fork(server: Server) -> None:
    (worker,) = full(server, 1)
    get(server, "/child", number=str(int(signal.SIGTERM)))
    os.kill(worker, signal.SIGTERM)
    replaced(server, [worker], 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_exit_handlers_run_at_an_orderly_end(
    serve: Launcher, number: signal.Signals, loop: str
) -> None:
    server = serve(APP, loop=loop)
    pid, directory = json.loads(get(server))
    assert Path(directory).parent == Path(tempfile.gettempdir())
    os.kill(pid, signal.SIGTERM)
    (second,) = replaced(server, [pid], 1)
    assert Path(directory).is_dir(), "it is the template's"
    assert end(server, number) == 0

    text = server.log.text()
    for where in ("at import", "at the start", "by a handler"):
        assert text.count(f"exit handler registered {where} in {pid}]") == 1
    assert text.count(f"exit handler registered at import in {second}]") == 1
    assert text.index(f"workerstop in {pid}") < text.index("exit handler")
    if number == signal.SIGTERM:
        assert text.count("exit handler registered at import") == 3, "and in the template"
        assert not Path(directory).exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_processes_of_multiprocessing_end_with_their_worker(
    serve: Launcher, number: signal.Signals
) -> None:
    server = serve(APP)
    pid = server.worker
    pids = json.loads(get(server, "/start"))
    assert all(map(alive, pids))
    os.kill(server.process.pid, number)

    procs.until(lambda: not any(map(alive, pids)), what="the end of the children")
    if number == signal.SIGHUP:
        replaced(server, [pid], 1)
        server.stop()
    else:
        server.process.wait(30)
    assert "killed" not in server.log.text()


def test_processes_of_multiprocessing_end_when_their_worker_is_killed(serve: Launcher) -> None:
    server = serve(APP)
    pid = server.worker
    pids = json.loads(get(server, "/start"))
    with server.expecting("killed by SIGKILL", errors=0):
        os.kill(pid, signal.SIGKILL)
        procs.until(lambda: not any(map(alive, pids)), what="the end of the children")
        replaced(server, [pid], 1)
