"""Syslog as the parent writes to it: datagrams, streams, and what is too large."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from kore._conf.settings import Settings
from kore._process.log.writer import LogWriter


@pytest.fixture
def destination(tmp_path: Path) -> Iterator[LogWriter]:
    ours = LogWriter()
    yield ours
    ours.reopen()


def bound(path: Path, kind: socket.SocketKind) -> socket.socket:
    server = socket.socket(socket.AF_UNIX, kind)
    server.bind(str(path))
    server.settimeout(10)
    if kind == socket.SOCK_STREAM:
        server.listen()
    return server


def settings(path: Path, form: str = "text") -> Settings:
    return Settings(syslog_socket=str(path), log_format=form)


def test_a_stream_gets_each_record_with_a_nul_behind_it(
    destination: LogWriter, tmp_path: Path
) -> None:
    path = tmp_path / "log"
    with bound(path, socket.SOCK_STREAM) as server:
        assert destination.open_syslog(settings(path), "kore") == ""
        destination.write("[wrk 1]", "one")
        destination.write("[wrk 1]", "two")
        with server.accept()[0] as client:
            client.settimeout(10)
            received = client.recv(65536)
            # However large it is, and however slowly it is read.
            destination.write("[wrk 1]", "x" * 500_000 + "END")
            destination.write("[wrk 1]", "after")
            while b"after" not in received:
                destination.flush()
                received += client.recv(65536)

    records = [record.decode() for record in received.rstrip(b"\0").split(b"\0")]
    texts = [record.partition("log=[")[2].removesuffix("]") for record in records]
    assert texts[:2] == ["one", "two"]
    assert "".join(text.removeprefix("| ") for text in texts[2:-1]) == "x" * 500_000 + "END"
    assert texts[-1] == "after"
    assert all(record.startswith("<30>") for record in records)


def test_a_stream_that_was_closed_is_opened_again(destination: LogWriter, tmp_path: Path) -> None:
    path = tmp_path / "log"
    with bound(path, socket.SOCK_STREAM) as server:
        destination.open_syslog(settings(path), "kore")
        server.accept()[0].close()
        destination.write("[wrk 1]", "first")
        destination.drain(10)
        with server.accept()[0] as client:
            assert b"first" in client.recv(65536)


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("character", ["x", "\x01", "\U0001f600"])
def test_no_record_is_too_large_for_datagrams(
    destination: LogWriter, tmp_path: Path, form: str, character: str
) -> None:
    path = tmp_path / "log"
    with bound(path, socket.SOCK_DGRAM) as server:
        destination.open_syslog(settings(path, form), "kore")
        destination.write("[wrk 1]", "BEGIN" + character * 120_000)
        destination.write("[wrk 1]", "after")
        received = []
        while not received or b"after" not in received[-1]:
            destination.flush()
            received.append(server.recv(1 << 20))

    assert b"BEGIN" in received[0]
    assert not any(b"lost" in datagram for datagram in received)


def test_what_the_other_side_cannot_take_is_counted(destination: LogWriter, tmp_path: Path) -> None:
    path = tmp_path / "log"
    with bound(path, socket.SOCK_DGRAM) as server:
        destination.open_syslog(settings(path, "json"), "kore")
        ours = destination._output._socket  # type: ignore[union-attr]
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4608)  # type: ignore[union-attr]
        destination.write("[wrk 1]", "x" * 50_000)
        destination.write("[wrk 1]", "after")
        texts = [server.recv(1 << 20).decode() for _ in range(2)]

    assert "1 log lines dropped: too large for syslog" in texts[0] + texts[1]
    assert any("after" in text for text in texts)
