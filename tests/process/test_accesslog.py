"""The files of access logs: opened by the parent, rotated, full, gone; what a reload changes."""

import contextlib
import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import procs
from tests.helpers.fix_serve import Launcher, Server
from tests.process.conf_project import kore, serving
from tests.process.process_helpers import full, get, replaced

APP = """
domain = kore.domain("*", attach="http", accesslog="LOG", accesslog_format="FORMAT")
domain.route("/", lambda req: req.response(200, b"hello"), methods=["get"])
domain.route("/pid", lambda req: req.response(200, str(__import__("os").getpid())))
"""
REQUEST = b"GET /?%d HTTP/1.1\r\nhost: a\r\nuser-agent: %b\r\n\r\n"


def app(log: Path | str, form: str = "json") -> str:
    return APP.replace("LOG", str(log)).replace("FORMAT", form)


class Load(threading.Thread):
    """Clients that ask one request after the other, each of another number, until told to stop."""

    def __init__(self, server: Server, name: int) -> None:
        super().__init__()
        self.server = server
        self.name_of = name
        self.answered = 0
        self.enough = threading.Event()

    def run(self) -> None:
        client: socket.socket | None = None
        while not self.enough.is_set():
            if client is None:
                client = socket.create_connection(self.server.address, timeout=20)
            client.sendall(REQUEST % (self.answered, b"%d" % self.name_of + b"x" * 300))
            answer = client.recv(4096)
            assert answer.endswith(b"hello")
            self.answered += 1
            if b"connection: close" in answer:
                client.close()
                client = None
        if client is not None:
            client.close()


@contextlib.contextmanager
def load(server: Server, count: int = 4) -> Iterator[list[Load]]:
    """Have clients ask while the block runs."""
    clients = [Load(server, name) for name in range(count)]
    for client in clients:
        client.start()
    try:
        yield clients
    finally:
        for client in clients:
            client.enough.set()
        for client in clients:
            client.join(30)


def seen(*logs: Path) -> dict[int, list[int]]:
    """Return the numbers of the requests of each client, in order; every line is one."""
    found: dict[int, list[int]] = {}
    for log in logs:
        text = log.read_bytes()
        assert text.endswith(b"\n") or not text
        for told in map(json.loads, text.splitlines()):
            found.setdefault(int(told["user_agent"].rstrip("x")), []).append(
                int(told["target"][2:])
            )
    return {name: sorted(numbers) for name, numbers in found.items()}


def complete(clients: list[Load]) -> dict[int, list[int]]:
    return {client.name_of: list(range(client.answered)) for client in clients}


def until_complete(clients: list[Load], *logs: Path) -> None:
    """Wait until every request has its line; while lines are written the last may be half one."""

    def all_there() -> bool:
        try:
            return seen(*logs) == complete(clients)
        except (AssertionError, ValueError):
            return False

    procs.until(all_there, what="all lines")


def test_no_line_is_lost_when_files_are_moved_away_under_load(
    serve: Launcher, tmp_path: Path
) -> None:
    log = tmp_path / "access.log"
    server = serve(app(log), settings={"workers": 2})
    full(server, 2)
    moved = []
    with load(server) as clients:
        for number in range(5):
            moved.append(tmp_path / f"access.log.{number}")
            procs.until(lambda: log.exists() and log.stat().st_size, what="lines")
            log.rename(moved[-1])
            os.kill(server.process.pid, signal.SIGUSR1)
            procs.until(log.exists, what="a new file")
    until_complete(clients, *moved, log)

    assert log.stat().st_mode & 0o777 == 0o644
    # Nobody holds on to what was moved away.
    for pid in (server.process.pid, *server.workers):
        procs.until(lambda pid=pid: not any(".log." in path for path in procs.descriptors(pid)))  # type: ignore[misc]


def test_stop_writes_pending_lines(serve: Launcher, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    server = serve(app(log), settings={"workers": 2})
    full(server, 2)
    with load(server) as clients:
        procs.until(lambda: all(client.answered > 20 for client in clients), what="requests")
    server.stop()

    assert seen(log) == complete(clients)


def test_reload_under_load_keeps_or_changes_the_file(
    serve: Launcher, tmp_path: Path
) -> None:
    log, other = tmp_path / "access.log", tmp_path / "other.log"
    server = serve(app(log), settings={"workers": 2})
    source = server.log.path.with_name("app.py")
    with load(server) as clients:
        before = full(server, 2)
        os.kill(server.process.pid, signal.SIGHUP)
        before = replaced(server, before, 2)
        source.write_text(source.read_text().replace(str(log), str(other)))
        os.kill(server.process.pid, signal.SIGHUP)
        replaced(server, before, 2)
        procs.until(lambda: other.exists() and other.stat().st_size, what="the other file")
    until_complete(clients, log, other)

    procs.until(lambda: str(log) not in procs.descriptors(server.process.pid), what="it closed")


WAITING = """
import asyncio, pathlib

async def wait(req):
    print("waiting", flush=True)
    while not pathlib.Path("go").exists():
        await asyncio.sleep(0.02)
    req.response(200, b"waited")

domain.route("/wait", wait)
"""


def test_reopened_files_reach_workers_of_earlier_generations(
    serve: Launcher, tmp_path: Path
) -> None:
    log = tmp_path / "access.log"
    server = serve(app(log) + WAITING)
    (old,) = full(server, 1)
    slow = threading.Thread(target=get, args=(server, "/wait"))
    slow.start()
    server.log.wait("waiting")
    os.kill(server.process.pid, signal.SIGHUP)
    started = "all worker processes started"
    procs.until(lambda: server.log.text().count(started) == 2, what="new code")
    log.rename(tmp_path / "moved")
    os.kill(server.process.pid, signal.SIGUSR1)
    procs.until(log.exists, what="a new file")
    procs.until(lambda: str(log) in procs.descriptors(old), what="it reaches the old worker")
    server.log.path.with_name("go").touch()
    slow.join(30)
    procs.until(lambda: b"/wait" in log.read_bytes(), what="the late line")

    assert json.loads(log.read_bytes().splitlines()[-1])["pid"] == old


def test_killed_worker_loses_only_unwritten_lines(
    serve: Launcher, tmp_path: Path
) -> None:
    log = tmp_path / "access.log"
    server = serve(app(log))
    (old,) = full(server, 1)
    with server.expecting(f"worker 1 (pid {old}) killed by SIGKILL", errors=0):
        get(server, "/")
        procs.until(lambda: log.stat().st_size, what="a line")
        os.kill(old, signal.SIGKILL)
        (new,) = replaced(server, [old], 1)
    get(server, "/")
    procs.until(lambda: len(log.read_bytes().splitlines()) == 2, what="another line")

    assert [json.loads(line)["pid"] for line in log.read_bytes().splitlines()] == [old, new]


def test_full_disk_is_logged_once_and_requests_succeed(
    serve: Launcher, tmp_path: Path
) -> None:
    log = tmp_path / "access.log"
    log.symlink_to("/dev/full")
    server = serve(app(log))
    told = f"accesslog {log}: No space left on device; lines are kept for a while"
    get(server, "/")
    server.log.wait(told)
    with load(server, 2) as clients:
        procs.until(lambda: all(client.answered > 500 for client in clients), what="requests")
    log.unlink()
    os.kill(server.process.pid, signal.SIGUSR1)
    procs.until(lambda: log.exists() and log.stat().st_size, what="lines again")
    server.log.wait(" lines lost")

    kept = log.read_bytes().splitlines()
    assert all(map(json.loads, kept))
    assert 0 < len(kept) < sum(client.answered for client in clients)
    assert server.log.text().count(told) == 1


def test_unwritable_lines_at_exit_are_counted(
    serve: Launcher, tmp_path: Path
) -> None:
    server = serve(app("/dev/full"))
    for _ in range(3):
        get(server, "/")
    server.stop()

    assert (
        "accesslog /dev/full: No space left on device, 3 lines lost at the end" in server.log.text()
    )


def test_failed_reopen_keeps_the_old_file(
    serve: Launcher, tmp_path: Path
) -> None:
    directory = tmp_path / "logs"
    directory.mkdir()
    log = directory / "access.log"
    server = serve(app(log))
    directory.rename(tmp_path / "moved")
    os.kill(server.process.pid, signal.SIGUSR1)
    server.log.wait(f"accesslog {log}: No such file or directory, going on with the old one")
    get(server, "/")

    procs.until(lambda: (tmp_path / "moved" / "access.log").stat().st_size, what="the old file")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.mkdir(), "Is a directory"),
        (os.mkfifo, "No such device or address"),
        (lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
        (lambda path: path.symlink_to("nowhere/x"), "No such file or directory"),
    ],
)
def test_unsuitable_path_is_an_error_at_startup(
    tmp_path: Path, make: object, reason: str
) -> None:
    assert callable(make)
    make(tmp_path / "access.log")
    (tmp_path / "app.py").write_text(
        'import kore\nkore.server(ip="127.0.0.1", port=0, tls=False)\n'
        'kore.domain("*", accesslog="access.log")\n'
    )
    done = kore(tmp_path, "app.py")

    assert done.returncode == 1
    assert f"app.py:3: accesslog {tmp_path}/access.log: {reason}" in done.stderr
    # Who only looks says the same.
    assert kore(tmp_path, "-t", "app.py").stderr.strip() in done.stderr


def test_fifo_is_written_while_it_has_a_reader(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    (tmp_path / "app.py").write_text(
        "import kore\nkore.config.workers = 1\n"
        'kore.server(ip="127.0.0.1", port=0, tls=False)\n'
        'kore.domain("*", accesslog="pipe", accesslog_format="$status $request")\n'
    )
    with serving(tmp_path, "app.py") as server:
        with contextlib.suppress(OSError):
            get(server, "/x")
        read = b""

        def told() -> bool:
            nonlocal read
            with contextlib.suppress(BlockingIOError):
                read += os.read(reader, 4096)
            return read == b"404 GET /x HTTP/1.1\n"

        procs.until(told, what="a line in the pipe")
        os.close(reader)
        with contextlib.suppress(OSError):
            get(server, "/y")
        server.log.wait("accesslog")
        server.log.wait("Broken pipe")


CONF = """
workers 1
python_import ./hello.py
server plain {
    bind 127.0.0.1 0
    tls no
}
domain one.test {
    attach plain
    accesslog logs/one.log
    redirect ^/old/(.*)$ 301 /new/$1?$qs
    return ^/gone$ 410
    route / {
        handler index
    }
}
domain * {
    attach plain
    accesslog logs/two.log '$status "$http_x_a" {$$} $server_name'
    route / {
        handler index
    }
}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "kore.conf").write_text(CONF)
    (tmp_path / "hello.py").write_text("def index(req):\n    req.response(200, b'hi')\n")
    (tmp_path / "logs").mkdir()
    return tmp_path


def ask(server: Server, path: str, host: str) -> bytes:
    with socket.create_connection(server.address, timeout=20) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n".encode())
        answer = b""
        while more := client.recv(4096):
            answer += more
        return answer


def look(directory: Path, conf: str) -> None:
    """See that a configuration does what it says."""
    with serving(directory, "-c", conf) as server:
        assert b"location: /new/x?y\r\n" in ask(server, "/old/x?y", "one.test")
        assert ask(server, "/gone", "one.test").startswith(b"HTTP/1.1 410 ")
        assert ask(server, "/", "other.test").endswith(b"hi")
        one, two = directory / "logs" / "one.log", directory / "logs" / "two.log"
        procs.until(lambda: len(one.read_bytes().splitlines()) == 2, what="two lines")
        procs.until(lambda: two.read_bytes() == b'200 "-" {$$} *\n', what="a line")
        assert b'"GET /old/x HTTP/1.1" 301 0 "-" "-"' in one.read_bytes()
        one.write_bytes(b"")
        two.write_bytes(b"")


def test_a_file_configures_the_same_and_is_printed_as_it_was_read(project: Path) -> None:
    look(project, "kore.conf")
    printed = kore(project, "--print-config", "-c", "kore.conf")
    assert printed.returncode == 0, printed.stderr
    (project / "printed.conf").write_text(printed.stdout)

    look(project, "printed.conf")
    again = kore(project, "--print-config", "-c", "printed.conf")
    assert again.stdout == printed.stdout


def test_single_line_is_written_without_delay(serve: Launcher, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    server = serve(app(log, "combined"))
    get(server, "/")

    procs.until(lambda: log.stat().st_size, what="the line")
