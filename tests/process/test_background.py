"""A server in the background: its start, its log, its end."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kore._process.parent.pidfile import find_owner
from tests.helpers import procs
from tests.helpers.syslogd import Syslogd
from tests.process.process_helpers import alive

APP = """
import os, sys
import kore
kore.config.workers = 1
kore.config.syslog_socket = "syslog"
kore.server("http", ip="127.0.0.1", port="0", tls=False)
print("imported", flush=True)

class App:
    def configure(self, args):
        kore.domain("*", attach="http").route("/", lambda req: req.response(200, b""))

    def daemonized(self):
        kore.log(kore.LOG_NOTICE, f"daemonized in session {os.getsid(0)}")

    async def workerstart(self):
        print("a worker's words", flush=True)
        kore.log(kore.LOG_ALERT, "one\\ntwo")

koreapp = App()
"""
PRODUCTION = APP + 'kore.config.deployment = "production"\n'


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """Return a directory whose server is stopped in the end, whatever became of it."""
    (tmp_path / "app.py").write_text(APP)
    yield tmp_path
    if pid := find_owner(tmp_path / "kore.pid"):
        os.kill(pid, signal.SIGTERM)
        procs.until(lambda: not alive(pid), what="the end of the server")


def kore(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end; a pipe that a server kept would hold it up."""
    return subprocess.run(
        [sys.executable, "-m", "kore", *arguments],
        cwd=place,
        capture_output=True,
        text=True,
        timeout=30,
    )


def stop(place: Path) -> None:
    pid = find_owner(place / "kore.pid")
    os.kill(pid, signal.SIGTERM)
    procs.until(lambda: not alive(pid), what="the end of the server")


def family(pid: int) -> list[int]:
    return [pid, *procs.children(pid)]


def opened(pid: int, fd: str) -> str:
    return str(Path(f"/proc/{pid}/fd/{fd}").readlink())


@pytest.mark.parametrize(
    ("source", "options"), [(APP, ["-d"]), (PRODUCTION, ["-n", "-r"]), (PRODUCTION, ["-ndr"])]
)
def test_background_command_exits_when_the_server_is_ready(
    place: Path, source: str, options: list[str]
) -> None:
    (place / "app.py").write_text(source)
    with Syslogd(place / "syslog") as log:
        run = kore(place, *options, "app.py")

        assert (run.returncode, run.stderr) == (0, "")
        assert run.stdout.startswith("imported\n")
        assert "a worker's words" not in run.stdout
        pid = find_owner(place / "kore.pid")
        assert (place / "kore.pid").read_text() == f"{pid}\n"
        log.wait("all worker processes started")
        session = int(procs.stat(pid)[3])
        assert session not in (pid, os.getsid(0)), "no terminal, and no way to one"
        for process in family(pid):
            for fd in "012":
                assert opened(process, fd) == "/dev/null"
        stop(place)
        log.wait("goodbye")
        assert not (place / "kore.pid").exists()


def test_syslog_gets_a_priority_a_time_a_name_and_the_line(place: Path) -> None:
    with Syslogd(place / "syslog") as log:
        kore(place, "-d", "app.py")
        pid = find_owner(place / "kore.pid")

        line = log.wait("one")
        assert re.fullmatch(
            rf"<25>[A-Z][a-z][a-z] [ \d]\d \d\d:\d\d:\d\d kore\[{pid}\]: "
            r"proc=\[wrk 1\] log=\[one\\ntwo\]",
            line,
        )
        assert log.wait("all worker").startswith("<30>")
        stop(place)


def test_syslog_is_reconnected_after_it_was_away(place: Path) -> None:
    with Syslogd(place / "syslog") as log:
        kore(place, "-d", "app.py")
        pid = find_owner(place / "kore.pid")
        log.wait("all worker")
    first = set(procs.children(pid))
    os.kill(pid, signal.SIGUSR2)
    os.kill(pid, signal.SIGHUP)
    procs.until(lambda: set(procs.children(pid)) - first, what="a reload without a syslog")
    with Syslogd(place / "syslog") as log:
        log.wait("log=[status: ")
        log.wait("reloading")
        log.wait("all worker")
        assert not any("lost" in line for line in log.lines)
        stop(place)
        log.wait("goodbye")


def test_identity_facility_and_form_are_settings(place: Path) -> None:
    more = """
kore.setname("my shop")
kore.config.syslog_facility = "local3"
kore.config.log_format = "json"
"""
    (place / "app.py").write_text(APP + more)
    with Syslogd(place / "syslog") as log:
        kore(place, "-d", "app.py")

        line = log.wait("one")
        assert line.startswith("<153>")
        assert " my_shop[" in line
        assert '"message": "one\\ntwo"' in line
        stop(place)


def test_without_a_syslog_standard_error_gets_the_log_after_one_notice(place: Path) -> None:
    with (place / "err").open("w+b") as err:
        command = [sys.executable, "-m", "kore", "-d", "app.py"]
        run = subprocess.run(command, cwd=place, stderr=err, timeout=30, check=True)
    text = (place / "err").read_text

    assert run.returncode == 0
    procs.until(lambda: "all worker" in text())
    os.kill(find_owner(place / "kore.pid"), signal.SIGHUP)
    procs.until(lambda: text().count("all worker") == 2)
    assert text().count("no syslog at syslog (No such file or directory)") == 1
    stop(place)
    procs.until(lambda: "goodbye" in text())


def test_logfile_replaces_syslog(place: Path) -> None:
    (place / "app.py").write_text(APP + 'kore.config.logfile = "log"\n')
    run = kore(place, "-d", "app.py")

    assert (run.returncode, run.stderr) == (0, "")
    stop(place)
    assert "log=[goodbye]" in (place / "log").read_text()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("1 / 0\n", "ZeroDivisionError"),
        ('kore.config.logfile = "/no/where"\n', "logfile /no/where: No such file"),
        ('kore.config.logfile = "log"\nApp.workerstart = None.x\n', "AttributeError"),
        ('App.workerstart = lambda _: 1 / 0\nkore.config.logfile = "log"\n', "ZeroDivisionError"),
        ("App.daemonized = lambda self: 1 / 0\n", "fatal: daemonized() failed"),
        ("async def later(self): ...\nApp.daemonized = later\n", "daemonized() must not be async"),
        ("import sys\nApp.daemonized = lambda self: sys.exit('no')\n", "no"),
    ],
)
def test_startup_error_is_written_to_the_terminal(place: Path, change: str, reason: str) -> None:
    (place / "app.py").write_text(APP + change)

    run = kore(place, "-d", "app.py")

    assert run.returncode == 1
    assert reason in run.stderr
    assert not (place / "kore.pid").exists()


def test_production_requires_n_and_r(place: Path) -> None:
    (place / "app.py").write_text(PRODUCTION)

    run = kore(place, "app.py")

    assert run.returncode == 1
    assert "needs chroot and a switch of user" in run.stderr


def test_foreground_option_overrides_production(place: Path) -> None:
    (place / "app.py").write_text(PRODUCTION + "App.workerstart = lambda self: kore.shutdown()\n")

    run = kore(place, "-f", "-n", "-r", "app.py")

    assert run.returncode == 0
    assert "shutdown requested by worker 1" in run.stdout


def test_an_interrupted_start_leaves_nothing(place: Path) -> None:
    slow = "import asyncio\nasync def slow(self): await asyncio.sleep(60)\nApp.workerstart = slow\n"
    (place / "app.py").write_text(APP + slow)
    with subprocess.Popen(
        [sys.executable, "-m", "kore", "-d", "app.py"], cwd=place, stderr=subprocess.PIPE
    ) as command:
        procs.until(lambda: find_owner(place / "kore.pid"), what="a pid file")
        pid = find_owner(place / "kore.pid")
        command.send_signal(signal.SIGINT)

        assert command.wait(30) == 130
        procs.until(lambda: not alive(pid), what="the end of the server")
    assert not (place / "kore.pid").exists()


def test_an_interrupt_is_ignored_in_the_background_and_a_reload_is_not(place: Path) -> None:
    with Syslogd(place / "syslog") as log:
        kore(place, "-d", "app.py")
        pid = find_owner(place / "kore.pid")
        first = procs.children(pid)
        os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGHUP)
        log.wait("reloading")
        procs.until(lambda: not set(first) & set(procs.children(pid)), what="new processes")

        assert sum("daemonized in session" in line for line in log.lines) >= 1
        assert not any("shutting down" in line for line in log.lines)
        for process in family(pid):
            assert opened(process, "1") == "/dev/null"
        stop(place)


def test_hangup_during_startup_reloads(place: Path) -> None:
    slow = "import asyncio\nasync def slow(self): await asyncio.sleep(60)\nApp.workerstart = slow\n"
    (place / "app.py").write_text(APP + slow)
    with (
        Syslogd(place / "syslog") as log,
        subprocess.Popen([sys.executable, "-m", "kore", "-d", "app.py"], cwd=place) as command,
    ):
        procs.until(lambda: find_owner(place / "kore.pid"), what="a pid file")
        pid = find_owner(place / "kore.pid")
        procs.until(lambda: len(procs.children(pid)) == 2, what="a worker that starts")
        (place / "app.py").write_text(APP)
        os.kill(pid, signal.SIGHUP)

        assert command.wait(30) == 0
        log.wait("all worker processes started")
        procs.until(lambda: len(procs.children(pid)) == 2, what="the old ones gone")
        assert sum("serving http" in line for line in log.lines) == 1
        stop(place)


def test_daemon_has_a_default_umask(place: Path) -> None:
    (place / "app.py").write_text(APP + 'kore.config.logfile = "log"\n')
    start = "import os, sys; os.umask(0); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    command = [sys.executable, "-c", start, "-m", "kore", "-d", "app.py"]
    subprocess.run(command, cwd=place, timeout=30, check=True)

    procs.until(lambda: find_owner(place / "kore.pid"))
    text = Path(f"/proc/{find_owner(place / 'kore.pid')}/status").read_text()
    assert "\nUmask:\t0022\n" in text
    stop(place)


def test_daemon_closes_inherited_descriptors(place: Path) -> None:
    (place / "app.py").write_text(APP + 'kore.config.logfile = "log"\n')
    read, write = os.pipe()
    command = [sys.executable, "-m", "kore", "-d", "app.py"]
    subprocess.run(command, cwd=place, timeout=30, check=True, pass_fds=[write])
    os.close(write)

    assert os.read(read, 1) == b""
    os.close(read)
    stop(place)


def test_a_datagram_that_is_too_large_is_sent_in_pieces(place: Path) -> None:
    (place / "app.py").write_text(APP.replace('"one\\ntwo"', '"x" * 1_000_000'))
    with Syslogd(place / "syslog") as log:
        kore(place, "-d", "app.py")
        log.wait("bytes left out")
        log.wait("all worker")
        with contextlib.suppress(socket.timeout):
            stop(place)
        log.wait("goodbye")

        assert max(map(len, log.lines)) < 2200
        assert sum(line.count("x" * 1000) for line in log.lines) > 100
        assert all(" log=[| " in line or "log=[x" in line for line in log.lines if "xxxx" in line)
