"""Outputs of the log: files, pipes, and syslog as datagrams or as a stream."""

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from kore._conf.settings import Settings
from kore._process.log.formats import Record
from kore._process.log.outputs import WRITE_SIZE, FileOutput, SyslogOutput, open_output
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


# Files and pipes


def test_a_full_pipe_is_not_ready() -> None:
    read_end, write_end = os.pipe()
    output = FileOutput(write_end)
    try:
        assert output.is_ready()
        while output.is_ready():
            output.write(bytes(WRITE_SIZE))
        os.read(read_end, 2 * WRITE_SIZE)
        assert output.is_ready()
    finally:
        os.close(read_end)
        output.close()


def test_a_file_is_always_ready_and_a_closed_descriptor_fails_on_write(tmp_path: Path) -> None:
    output = open_output(str(tmp_path / "log"), "text")
    assert output.is_ready()
    output.close()

    assert output.is_ready()
    with pytest.raises(OSError, match="Bad file descriptor"):
        output.write(b"line\n")


def test_standard_descriptors_stay_open() -> None:
    FileOutput(1).close()
    FileOutput(2).close()

    assert os.fstat(1)
    assert os.fstat(2)


@pytest.mark.parametrize(("done", "within"), [(3, True), (5, False)])
def test_a_write_that_ends_before_the_newline_is_within_the_line(
    done: int, *, within: bool
) -> None:
    assert FileOutput().is_within_line(b"line\n", done) == within


# A syslog that is away


def test_a_missing_syslog_is_tried_again_after_a_while(tmp_path: Path) -> None:
    path = tmp_path / "log"
    output = SyslogOutput(str(path), "kore", "daemon")
    assert not output.is_ready()
    with bound(path, socket.SOCK_DGRAM) as server:
        assert not output.is_ready()  # too early to look again
        output._retry_at = 0.0
        assert output.is_ready()
        assert output.write(b"<30>line") == len(b"<30>line")
        assert server.recv(100) == b"<30>line"
        output.close()


def test_a_write_without_a_syslog_is_a_blocking_io_error(tmp_path: Path) -> None:
    output = SyslogOutput(str(tmp_path / "log"), "kore", "daemon")

    with pytest.raises(BlockingIOError):
        output.write(b"<30>line")


def test_a_syslog_that_has_gone_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "log"
    output = SyslogOutput(str(path), "kore", "daemon")
    with bound(path, socket.SOCK_DGRAM):
        output.connect()

    with pytest.raises(BlockingIOError):
        output.write(b"<30>line")
    assert not output.is_ready()


def test_the_sender_has_no_character_that_ends_a_program_name() -> None:
    output = SyslogOutput("/nowhere", "my app: x", "daemon")

    (datagram,) = output.format_record(Record(0.0, "[wrk 1]", 6, "text"))

    assert f" my_app__x[{os.getpid()}]: ".encode() in datagram


def test_json_is_one_datagram_with_the_head_of_syslog() -> None:
    output = SyslogOutput("/nowhere", "kore", "daemon", "json")

    (datagram,) = output.format_record(Record(0.0, "[wrk 1]", 6, "text", "a\nb"))
    head, _, body = datagram.partition(b": ")

    assert head.startswith(b"<30>")
    assert json.loads(body)["detail"] == "a\nb"
