"""Files of the parent that are no ordinary files: it neither waits for them nor destroys them."""

import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import procs
from tests.helpers.fix_serve import KORE, RUNNING, Server
from tests.helpers.ports import free_port
from tests.process.process_helpers import alive, end, try_get

APP = """
import kore, os
kore.config.workers = 1
kore.server(name="http", ip="127.0.0.1", port={port}, tls=False)
domain = kore.domain("*", attach="http")
domain.route("/pid", lambda req: req.response(200, str(os.getpid())), methods=["get"])
"""


@contextlib.contextmanager
def started(place: Path, extra: str, *options: str, accesslog: str = "") -> Iterator[Server]:
    """Start a server whose log may be anywhere; wait until it answers."""
    port = free_port()
    (place / "app.py").write_text(APP.format(port=port) + extra)
    server = Server([*KORE, *options, "app.py"], place, {})
    server.address = ("127.0.0.1", port)
    RUNNING.append(server)
    try:
        procs.until(lambda: try_get(server), what="an answer")
        yield server
    finally:
        if server in RUNNING:
            RUNNING.remove(server)
        server.kill()


def test_fifo_log_without_a_reader_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log.fifo")

    with started(tmp_path, "kore.config.logfile = 'log.fifo'\n") as server:
        (before,) = server.workers
        os.kill(server.process.pid, signal.SIGUSR1)
        os.kill(before, signal.SIGKILL)
        procs.until(lambda: not alive(before) and try_get(server), what="another worker")

        # What was written before it came is still there for a reader.
        fd = os.open(tmp_path / "log.fifo", os.O_RDONLY | os.O_NONBLOCK)
        text = os.read(fd, 65536).decode()
        os.close(fd)
        assert f"worker 1 (pid {before}) killed by SIGKILL" in text
        # A reader that leaves is no end either.
        (now,) = server.workers
        os.kill(now, signal.SIGKILL)
        procs.until(lambda: not alive(now) and try_get(server), what="another worker")
        assert end(server, signal.SIGTERM) == 0


@pytest.mark.parametrize("what", ["a directory", "a socket"])
def test_a_log_that_cannot_be_written_to_is_refused(tmp_path: Path, what: str) -> None:
    if what == "a directory":
        (tmp_path / "log.d").mkdir()
    else:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(str(tmp_path / "log.d"))
    port = free_port()
    source = APP.format(port=port) + "kore.config.logfile = 'log.d'\n"
    (tmp_path / "app.py").write_text(source)
    server = Server([*KORE, "app.py"], tmp_path, {})

    try:
        assert server.process.wait(procs.PATIENCE) == 1
        assert "logfile log.d: " in server.log.text()
    finally:
        server.kill()


@pytest.mark.parametrize("link", [False, True])
def test_pidfile_replaces_no_other_file(tmp_path: Path, *, link: bool) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious data\n")
    if link:
        (tmp_path / "kore.pid").symlink_to(precious)

    with started(tmp_path, "", "--pidfile", "kore.pid" if link else "app.py") as server:
        source = (tmp_path / "app.py").read_text()
        server.log.wait("couldn't write pid to")
        assert end(server, signal.SIGTERM) == 0

    assert precious.read_text() == "precious data\n"
    assert (tmp_path / "kore.pid").is_symlink() == link
    assert (tmp_path / "app.py").read_text() == source
    assert source.startswith("\nimport kore")
