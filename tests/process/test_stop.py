import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers import procs
from tests.helpers.fix_serve import Launcher
from tests.helpers.server_log import Log
from tests.process.process_helpers import APP, answer, ask, end, finished, get, port_is_free, took


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_stop_signal_ends_all_processes(serve: Launcher, number: signal.Signals) -> None:
    server = serve(APP, settings={"workers": 2})

    assert end(server, number) == 0
    assert port_is_free(server.address[1])
    lines = server.log.text().splitlines()
    assert lines[-1].endswith("proc=[parent] log=[goodbye]")
    assert sum("server shutting down" in line for line in lines) == 1


@pytest.mark.parametrize("path", ["/wait", "/sleep"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_requests_in_progress_are_answered_before_the_end(
    serve: Launcher, number: signal.Signals, path: str
) -> None:
    server = serve(APP, settings={"workers": 2})
    client = ask(server, path, 0.7)
    server.log.wait(" in ")

    assert end(server, number) == 0
    assert answer(client).startswith(b"HTTP/1.1 200 OK\r\n")
    assert "waiting for workers to drain and shutdown" in server.log.text()


@pytest.mark.parametrize("path", ["/wait", "/sleep"])
def test_quit_ends_at_once(serve: Launcher, path: str) -> None:
    server = serve(APP, settings={"drain_timeout": 100})
    client = ask(server, path, 100)
    server.log.wait(" in ")

    assert end(server, signal.SIGQUIT) == 0
    assert b"200 OK" not in answer(client)


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_second_stop_signal_ends_at_once(serve: Launcher, second: signal.Signals) -> None:
    server = serve(APP, settings={"drain_timeout": 100})
    client = ask(server, "/wait", 100)
    server.log.wait("waiting in")
    os.kill(server.process.pid, signal.SIGTERM)
    server.log.wait("waiting for workers to drain and shutdown")

    assert end(server, second) == 0
    assert b"200 OK" not in answer(client)


@pytest.mark.parametrize("path", ["/wait", "/sleep"])
def test_request_beyond_the_drain_timeout_is_aborted(serve: Launcher, path: str) -> None:
    server = serve(APP, settings={"drain_timeout": 1})
    client = ask(server, path, 100)
    server.log.wait(" in ")
    since = time.monotonic()

    assert end(server, signal.SIGTERM) == 0
    assert took(since) > 0.9
    assert b"200 OK" not in answer(client)


def test_ctrl_c_in_a_terminal_stops_in_order(serve: Launcher) -> None:
    server = serve(APP + "App.cleanup = lambda self: print('cleaned up', flush=True)\n")
    client = ask(server, "/wait", 0.7)
    server.log.wait("waiting in")
    # The fixture gives each server a session, and with it a group, of its own.
    os.killpg(server.process.pid, signal.SIGINT)

    assert finished(server) == 0
    assert b"200 OK" in answer(client)
    assert "restarting" not in server.log.text()
    assert "Traceback" not in server.log.text()
    assert "cleaned up" in server.log.text(), "the template lived to the end, too"


def test_slow_stop_logs_what_it_waits_for(serve: Launcher) -> None:
    server = serve(APP)
    client = ask(server, "/wait", 30)
    server.log.wait("waiting in")

    os.kill(server.process.pid, signal.SIGINT)

    server.log.wait("still waiting, for 10 s at most: another TERM or ctrl-C ends it at once")
    said = r"worker 1 \(pid \d+\): draining, .*1 connections, with 1 requests waiting"
    server.log.search(said)
    os.kill(server.process.pid, signal.SIGINT)
    assert finished(server) == 0
    client.close()


def test_new_connections_are_refused_while_it_ends(serve: Launcher) -> None:
    server = serve(APP, settings={"workers": 2})
    client = ask(server, "/wait", 1.5)
    server.log.wait("waiting in")
    os.kill(server.process.pid, signal.SIGTERM)
    procs.until(lambda: port_is_free(server.address[1]), what="the port is free")

    assert finished(server) == 0
    assert b"200 OK" in answer(client)


def test_an_application_may_end_the_server(serve: Launcher) -> None:
    server = serve(
        """
        domain = kore.domain("*", attach="http")
        def stop(req):
            req.response(200, b"bye")
            kore.shutdown()
        domain.route("/stop", stop, methods=["get"])
        """
    )

    assert get(server, "/stop") == b"bye"
    assert finished(server) == 0
    assert "shutdown requested by worker 1, going down" in server.log.text()


def test_an_application_may_end_the_server_as_failed(serve: Launcher) -> None:
    server = serve(
        """
        domain = kore.domain("*", attach="http")
        domain.route("/fail", lambda req: kore.fatalx("the disk is gone"), methods=["get"])
        """,
        settings={"workers": 2},
    )
    answer(ask(server, "/fail", 0))

    assert finished(server) == 1
    assert "the disk is gone" in server.log.text()
    assert "restarting" not in server.log.text()


def test_the_last_hook_runs_after_the_last_worker(serve: Launcher) -> None:
    server = serve(
        """
        class App:
            def configure(self, args):
                kore.domain("*", attach="http")
            def workerstop(self):
                kore.log(kore.LOG_INFO, "a worker ends")
            def cleanup(self):
                kore.log(kore.LOG_INFO, "all is over")
        koreapp = App()
        """,
        settings={"workers": 2},
    )

    assert end(server, signal.SIGTERM) == 0
    text = server.log.text()
    assert text.count("a worker ends") == 2
    assert text.count("all is over") == 1
    assert text.rindex("a worker ends") < text.index("all is over") < text.index("goodbye")


def test_ignored_signals_have_no_effect(serve: Launcher) -> None:
    server = serve(APP, settings={"workers": 2})
    workers = server.workers
    for number in (signal.SIGPIPE, signal.SIGWINCH, signal.SIGALRM, signal.SIGUSR2):
        os.kill(server.process.pid, number)
    server.log.wait("status: worker 2")

    assert server.workers == workers
    assert get(server)


def test_pidfile_exists_while_the_server_runs(serve: Launcher) -> None:
    server = serve(APP, settings={"pidfile": "mine.pid"})
    path = server.log.path.parent / "mine.pid"

    assert path.read_text() == f"{server.process.pid}\n"
    assert end(server, signal.SIGTERM) == 0
    assert not path.exists()


def test_default_pidfile_is_not_written_in_development(serve: Launcher) -> None:
    server = serve(APP)

    assert not list(server.log.path.parent.glob("*.pid"))


# A template that never comes back from a fork, once the file is there.
STUCK = """
import os, pathlib, time
kore.domain("*", attach="http")
def stuck():
    while pathlib.Path("stuck").exists():
        time.sleep(0.01)
os.register_at_fork(before=stuck)
"""


@pytest.mark.parametrize("numbers", [[signal.SIGQUIT], [signal.SIGTERM], [signal.SIGTERM] * 2])
def test_stuck_template_does_not_delay_a_stop(
    serve: Launcher, numbers: list[signal.Signals]
) -> None:
    server = serve(STUCK, settings={"drain_timeout": 100})
    (server.log.path.parent / "stuck").touch()
    os.kill(server.worker, signal.SIGKILL)
    server.log.wait("restarting worker 1")
    for number in numbers[1:]:
        os.kill(server.process.pid, number)
        server.log.wait("server shutting down")

    assert end(server, numbers[0]) == 0


def test_stuck_starting_worker_does_not_delay_a_stop(serve: Launcher) -> None:
    server = serve(
        """
        import pathlib, time
        def kore_worker_configure():
            if pathlib.Path("stuck").exists():
                print("stuck", flush=True)
                time.sleep(100)
        kore.domain("*", attach="http")
        """,
        settings={"drain_timeout": 100},
    )
    (server.log.path.parent / "stuck").touch()
    os.kill(server.worker, signal.SIGKILL)
    server.log.wait("\nstuck")

    assert end(server, signal.SIGTERM) == 0


def test_a_terminal_that_is_closed_ends_the_server_in_it(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import kore\n"
        "kore.config.workers = 1\n"
        "kore.config.logfile = 'kore.log'\n"
        "kore.server(ip='127.0.0.1', port=0, tls=False)\n"
        "kore.domain('*')\n"
    )
    ours, theirs = pty.openpty()
    server = subprocess.Popen(
        [sys.executable, "-m", "kore", "app.py"],
        cwd=tmp_path,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    log = Log(tmp_path / "kore.log")
    procs.until(lambda: log.path.exists(), what="the log")
    log.wait("all worker processes started")
    os.kill(server.pid, signal.SIGHUP)
    log.wait("reloading")
    os.close(ours)
    os.kill(server.pid, signal.SIGHUP)

    assert server.wait(30) == 0
    procs.until(lambda: not procs.session(server.pid), what="all processes gone")
    assert log.text().count("reloading") == 1
    assert "the terminal is gone" in log.text()
