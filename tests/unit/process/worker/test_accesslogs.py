"""Access logs of a worker: which domain has which, and what is logged about their files."""

import errno
import os
import select
from pathlib import Path

import pytest

from kore._conf.builder import Builder
from kore._conf.schema import Config
from kore._conf.server_schema import Address
from kore._core.testing import write_log_line
from kore._process.worker.accesslogs import AccessLogs

RAW = b"GET / HTTP/1.1\r\nhost: a.test\r\n\r\n"


def build(**domains: str) -> Config:
    """Return a configuration with the log of each domain."""
    builder = Builder()
    builder.server("http", Address(ip="127.0.0.1", port=0), tls=False)
    for name, path in domains.items():
        builder.domain(f"{name}.test", "http", **({"accesslog": path} if path else {}))
    return builder.build()


class Made:
    """The access logs of a worker with the files that it was handed."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.logs = AccessLogs(config, [append_to(log.path) for log in config.accesslogs], 1)

    def write(self, count: int = 1) -> None:
        """Buffer lines of the first domain, as the core does."""
        log = self.logs.find(self.config.domains[0])
        for _ in range(count):
            write_log_line(log, RAW)


def append_to(path: Path | str) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, 0o600)


def test_domains_find_their_logs_and_share_files(tmp_path: Path) -> None:
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    made = Made(build(a=one, b=two, c=one, d=""))
    domains, logs = made.config.domains, made.logs
    a, b, c, d = map(logs.find, domains)

    assert [each.path for each in logs.files] == [one, two]
    assert a is not None
    assert c is not None
    assert (a is not c, a.file is c.file) == (True, True)
    assert d is None
    assert logs.find_first(domains[1:]) is b
    assert logs.find_first(domains[3:]) is None
    assert logs.find_first([]) is None


def test_lines_are_written_by_flush_and_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "log"
    made = Made(build(a=str(path)))
    made.write()
    assert path.read_bytes() == b""
    made.logs.flush()
    assert path.read_bytes().count(b"\n") == 1
    made.write()
    made.logs.close()

    assert path.read_bytes().count(b"\n") == 2


def test_a_forked_process_writes_nothing_of_its_worker(tmp_path: Path) -> None:
    path = tmp_path / "log"
    made = Made(build(a=str(path)))
    made.write()
    made.logs.discard()
    made.logs.flush()

    assert path.read_bytes() == b""


def test_a_file_is_switched_by_its_number(tmp_path: Path) -> None:
    path, moved = tmp_path / "log", tmp_path / "moved"
    made = Made(build(a=str(path)))
    made.write()
    path.rename(moved)
    made.logs.switch(0, append_to(path))
    made.write()
    made.logs.flush()

    assert moved.read_bytes().count(b"\n") == 1
    assert path.read_bytes().count(b"\n") == 1


def test_a_descriptor_for_an_unknown_file_is_closed(tmp_path: Path) -> None:
    made = Made(build(a=str(tmp_path / "log")))
    fd = append_to(tmp_path / "other")
    made.logs.switch(1, fd)

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_an_error_is_logged_once_and_lines_are_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "log"
    made = Made(build(a=str(path)))
    made.logs.switch(0, append_to("/dev/full"))
    made.write()
    made.logs.flush()
    made.logs.flush()
    assert caplog.messages == [
        f"accesslog {path}: {os.strerror(errno.ENOSPC)}; lines are kept for a while"
    ]
    made.logs.switch(0, append_to(path))
    made.logs.flush()

    assert len(caplog.messages) == 1
    assert path.read_bytes().count(b"\n") == 1


def test_lost_lines_are_counted_when_writing_works_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "log"
    made = Made(build(a=str(path)))
    made.logs.switch(0, append_to("/dev/full"))
    made.write(20_000)
    made.logs.flush()
    made.logs.switch(0, append_to(path))
    made.logs.flush()
    written = path.read_bytes().count(b"\n")

    assert 0 < written < 20_000
    assert caplog.messages[1:] == [f"accesslog {path}: {20_000 - written} lines lost"]


def test_what_cannot_be_written_at_the_end_is_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "log"
    made = Made(build(a=str(path)))
    made.logs.switch(0, append_to("/dev/full"))
    made.write(3)
    made.logs.close()

    reason = os.strerror(errno.ENOSPC)
    assert caplog.messages == [f"accesslog {path}: {reason}, 3 lines lost at the end"]


def test_a_slow_reader_of_a_pipe_is_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    made = Made(build(a=str(tmp_path / "log")))
    made.logs.switch(0, writer)
    while select.select([], [writer], [], 0)[1]:
        os.write(writer, b"x" * select.PIPE_BUF)
    made.write()
    made.logs.flush()
    assert caplog.messages == []
    assert made.logs.files[0].file.pending == 1
    os.close(reader)
    made.logs.discard()
