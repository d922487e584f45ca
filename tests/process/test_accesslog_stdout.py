"""Access logs on standard output, whatever that is."""

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.helpers import procs

APP = """
import kore
kore.config.workers = 2
kore.server("http", ip="127.0.0.1", port=0, tls=False)
domain = kore.domain("*", attach="http", accesslog=PATH, accesslog_format="line of $uri")
domain.route("^/([0-9]+)$", lambda req, number: req.response(200), methods=["get"])
"""
COUNT = 30
Reading = Callable[[], str]


def file_output(place: Path, stack: contextlib.ExitStack) -> tuple[int, Reading]:
    # Not to append: writers with a place of their own each would overwrite one another.
    path = place / "out"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    stack.callback(os.close, fd)
    return fd, path.read_text


def pipe_output(_: Path, stack: contextlib.ExitStack) -> tuple[int, Reading]:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    stack.callback(os.close, reader)
    stack.callback(os.close, writer)
    return writer, collecting(lambda: os.read(reader, 65536))


def socket_output(_: Path, stack: contextlib.ExitStack) -> tuple[int, Reading]:
    """As systemd starts services: standard output is a socket to the journal."""
    ours, theirs = map(stack.enter_context, socket.socketpair())
    return theirs.fileno(), collecting(lambda: ours.recv(65536, socket.MSG_DONTWAIT))


def collecting(read: Callable[[], bytes]) -> Reading:
    found = bytearray()

    def text() -> str:
        with contextlib.suppress(BlockingIOError):
            found.extend(read())
        return found.decode()

    return text


@pytest.fixture(params=[file_output, pipe_output, socket_output])
def output(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[int, Reading]]:
    with contextlib.ExitStack() as stack:
        yield request.param(tmp_path, stack)


@pytest.mark.parametrize("path", ["-", "/dev/stdout", "/dev/fd/1"])
def test_an_access_log_may_be_standard_output(
    tmp_path: Path, output: tuple[int, Reading], path: str
) -> None:
    (tmp_path / "app.py").write_text(APP.replace("PATH", repr(path)))
    fd, reading = output
    with subprocess.Popen(
        [sys.executable, "-m", "kore", "app.py"], cwd=tmp_path, stdout=fd, stderr=subprocess.PIPE
    ) as server:
        try:
            text = until(reading, "all worker processes started")
            port = int(text.partition("serving http on 127.0.0.1:")[2].partition("]")[0])
            with socket.create_connection(("127.0.0.1", port)) as client:
                for number in range(COUNT):
                    client.sendall(b"GET /%d HTTP/1.1\r\nhost: x\r\n\r\n" % number)
                    client.recv(65536)
            until(reading, f"line of /{COUNT - 1}\n")
        finally:
            server.terminate()
            server.wait(30)
    text = until(reading, "goodbye")

    assert [text.count(f"line of /{number}\n") for number in range(COUNT)] == [1] * COUNT
    assert not (tmp_path / "-").exists()


def until(reading: Reading, words: str) -> str:
    """Wait for words of the output, and return all of it."""
    text = [""]

    def seen() -> bool:
        text[0] = reading()
        return words in text[0]

    procs.until(seen, what=words)
    return text[0]
