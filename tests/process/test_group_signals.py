"""Signals sent to all processes of a server, to one that they are not meant for, or blocked."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import procs
from tests.helpers.fix_serve import KORE, Launcher, Server
from tests.helpers.ports import free_port
from tests.process.process_helpers import (
    alive,
    answer,
    ask,
    finished,
    full,
    get,
    replaced,
    status,
    template,
)

APP = """
import asyncio, os, pathlib, signal

class App:
    def configure(self, args):
        domain = kore.domain("*", attach="http")
        domain.route("/pid", lambda req: req.response(200, str(os.getpid())), methods=["get"])
        domain.route("/wait", self.wait, methods=["get"])

    async def wait(self, req):
        print("waiting", flush=True)
        while not pathlib.Path("go").exists():
            await asyncio.sleep(0.01)
        req.response(200, str(os.getpid()))

    def workerstop(self):
        print("workerstop", flush=True)

    def cleanup(self):
        print("cleanup", flush=True)

koreapp = App()
"""
# What the parent has a use for, or ends other programs by default.
FOR_THE_PARENT = ("SIGHUP", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGVTALRM")


def everyone(server: Server) -> list[int]:
    return [server.process.pid, template(server), *server.workers]


@pytest.mark.parametrize("name", ["SIGUSR1", "SIGUSR2", "SIGALRM", "SIGVTALRM"])
def test_harmless_signal_to_the_group_ends_no_process(serve: Launcher, name: str) -> None:
    server = serve(APP, settings={"workers": 2})
    family = everyone(server)

    for pid in family:
        os.kill(pid, getattr(signal, name))

    status(server)
    assert get(server)
    assert everyone(server) == family
    assert "killed by" not in server.log.text()


@pytest.mark.parametrize("name", [*FOR_THE_PARENT, "SIGTERM", "SIGINT", "SIGQUIT"])
def test_no_signal_ends_a_template_on_its_own(serve: Launcher, name: str) -> None:
    server = serve(APP)
    before = template(server)

    os.kill(before, getattr(signal, name))

    # It still forks.
    (worker,) = full(server, 1)
    os.kill(worker, signal.SIGKILL)
    replaced(server, [worker], 1)
    assert template(server) == before


def test_a_hangup_to_all_is_one_reload_that_loses_nothing(serve: Launcher) -> None:
    server = serve(APP)
    client = ask(server, "/wait", 0)
    server.log.wait("waiting")

    for pid in everyone(server):
        os.kill(pid, signal.SIGHUP)

    server.log.search(r"(?s)reloading.*all worker processes started")
    server.log.path.with_name("go").touch()
    assert answer(client).startswith(b"HTTP/1.1 200 OK")
    assert server.log.text().count("reloading") == 1


def test_a_hangup_to_a_worker_is_a_notice_that_names_the_parent(serve: Launcher) -> None:
    server = serve(APP)
    os.kill(server.worker, signal.SIGHUP)

    server.log.wait(f"send it to the parent, process {server.process.pid}, which loads")
    assert "reloading" not in server.log.text()


def test_a_stop_signal_to_all_loses_nothing_and_runs_every_hook(serve: Launcher) -> None:
    server = serve(APP, settings={"workers": 2})
    clients = [ask(server, "/wait", 0) for _ in range(4)]
    procs.until(lambda: server.log.text().count("waiting\n") == 4, what="four requests")

    for pid in reversed(everyone(server)):
        os.kill(pid, signal.SIGTERM)
    server.log.wait("server shutting down")
    server.log.path.with_name("go").touch()

    assert all(answer(client).startswith(b"HTTP/1.1 200 OK") for client in clients)
    assert finished(server) == 0
    text = server.log.text()
    assert text.count("workerstop") == 2
    assert text.count("cleanup") == 1
    assert "killed by" not in text


def test_traps_of_the_application_still_get_their_signals(serve: Launcher) -> None:
    server = serve(
        "import signal\nfor number in (signal.SIGALRM, signal.SIGUSR2): kore.sigtrap(number)\n"
        + APP.replace(
            "    def cleanup",
            "    def signal(self, number):\n"
            "        print(f'trapped {number}', flush=True)\n\n    def cleanup",
        )
    )
    for number in (signal.SIGALRM, signal.SIGUSR2):
        os.kill(server.worker, number)
        server.log.wait(f"trapped {int(number)}\n")


MASKED = """
import os, signal, sys
numbers = {signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP, signal.SIGUSR1, signal.SIGINT}
if sys.argv[1] == "blocked":
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
else:
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.mark.parametrize("how", ["blocked", "ignored"])
def test_a_server_started_with_signals_off_hears_them(serve: Launcher, how: str) -> None:
    server = serve(APP, command=(sys.executable, "-c", MASKED, how, *KORE))
    (old,) = full(server, 1)
    os.kill(old, signal.SIGKILL)
    (old,) = replaced(server, [old], 1)

    os.kill(server.process.pid, signal.SIGHUP)
    server.log.search(r"(?s)reloading.*all worker processes started")
    replaced(server, [old], 1)
    os.kill(server.process.pid, signal.SIGTERM)
    assert finished(server) == 0


def test_a_daemon_started_with_signals_blocked_hears_them(tmp_path: Path) -> None:
    source = "import kore\nkore.config.workers = 1\nkore.config.logfile = 'log'\n"
    source += "kore.config.pidfile = 'kore.pid'\n"
    source += f"kore.server('http', ip='127.0.0.1', port={free_port()}, tls=False)\n"
    (tmp_path / "app.py").write_text(source)
    command = [sys.executable, "-c", MASKED, "blocked", *KORE, "-d", "app.py"]
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0
    pid = int((tmp_path / "kore.pid").read_text())

    os.kill(pid, signal.SIGTERM)

    procs.until(lambda: not alive(pid), what="the end of the daemon")
    assert "goodbye" in (tmp_path / "log").read_text()
