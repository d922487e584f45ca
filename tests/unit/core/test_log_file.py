"""Log files: buffered lines, failed writes, switching to another file."""

import errno
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from kore._core.accesslog import AccessLog
from kore._core.log_file import LogFile
from kore._core.testing import write_log_line

RAW = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


class LogFixture:
    """A log file, and an access log that writes the same line each time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = LogFile(self.open(path))
        self.access_log = self.writing(b"x" * 99)

    def open(self, path: Path | str) -> int:
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, 0o600)

    def writing(self, text: bytes) -> AccessLog:
        return AccessLog(self.file, [(None, text)])

    def write(self, count: int) -> None:
        for _ in range(count):
            write_log_line(self.access_log, RAW)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogFixture]:
    made = LogFixture(tmp_path / "log")
    yield made
    made.file.close()


def test_lines_are_buffered_until_flush(log: LogFixture) -> None:
    log.write(3)
    assert log.path.read_bytes() == b""
    assert log.file.pending == 3

    log.file.flush()

    assert log.path.read_bytes() == (b"x" * 99 + b"\n") * 3
    assert (log.file.pending, log.file.lost, log.file.error) == (0, 0, 0)


def test_many_lines_are_written_without_flush(log: LogFixture) -> None:
    log.write(1000)

    assert 0 < log.file.pending < 200
    assert log.path.stat().st_size == (1000 - log.file.pending) * 100


def test_switch_writes_earlier_lines_to_the_old_file(log: LogFixture, tmp_path: Path) -> None:
    log.write(1)
    log.file.switch(log.open(tmp_path / "new"))
    log.write(2)
    log.file.flush()

    assert log.path.stat().st_size == 100
    assert (tmp_path / "new").stat().st_size == 200


def test_full_disk_keeps_lines_for_later(log: LogFixture, tmp_path: Path) -> None:
    log.file.switch(log.open("/dev/full"))
    log.write(1000)
    log.file.flush()

    assert log.file.error == errno.ENOSPC
    assert (log.file.pending, log.file.lost) == (1000, 0)

    log.file.switch(log.open(tmp_path / "new"))
    log.file.flush()
    assert log.file.error == 0
    assert (tmp_path / "new").stat().st_size == 100_000


def test_lines_beyond_the_buffer_are_counted_as_lost(log: LogFixture, tmp_path: Path) -> None:
    log.file.switch(log.open("/dev/full"))
    log.write(10_000)

    assert log.file.lost > 0
    assert log.file.lost + log.file.pending == 10_000
    assert log.file.pending < 3000

    log.file.switch(log.open(tmp_path / "new"))
    log.file.flush()
    assert set((tmp_path / "new").read_bytes().splitlines()) == {b"x" * 99}


def test_partial_line_is_completed_by_the_next_write(log: LogFixture) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    log.write(2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150, hard))
    try:
        log.file.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert log.path.stat().st_size == 150
    assert log.file.error == errno.EFBIG

    log.file.flush()

    assert log.path.read_bytes() == (b"x" * 99 + b"\n") * 2


def test_partial_line_is_not_continued_in_another_file(log: LogFixture, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    log.write(3)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150, hard))
    try:
        log.file.switch(log.open(tmp_path / "new"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    log.file.flush()

    assert (tmp_path / "new").read_bytes() == b"x" * 99 + b"\n"
    assert log.file.lost == 1


def test_pipe_gets_whole_lines_without_blocking(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    log = LogFixture(tmp_path / "pipe")
    log.file.switch(log.open(tmp_path / "pipe"), 4096)
    log.write(10_000)
    log.file.flush()

    assert log.file.error == errno.EAGAIN
    read = b""
    while log.file.pending:
        read += os.read(reader, 4096)
        log.file.flush()
    log.file.close()
    with os.fdopen(reader, "rb") as rest:
        read += rest.read()
    assert set(read.splitlines()) == {b"x" * 99}
    assert len(read.splitlines()) + log.file.lost == 10_000


def test_line_longer_than_write_max_is_written(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    log = LogFixture(tmp_path / "pipe")
    log.file.switch(log.open(tmp_path / "pipe"), 4096)
    log.write(1)
    write_log_line(log.writing(b"y" * 10_000), RAW)
    log.write(1)
    log.file.flush()

    assert os.read(reader, 65536).splitlines() == [b"x" * 99, b"y" * 10_000, b"x" * 99]
    log.file.close()
    os.close(reader)


def test_forked_process_writes_no_inherited_lines(log: LogFixture) -> None:
    log.write(5)
    pid = os.fork()
    if pid == 0:
        log.file.discard()
        log.file.flush()
        os._exit(0)
    os.waitpid(pid, 0)
    log.file.flush()

    assert log.path.stat().st_size == 500


def test_closed_file_keeps_its_lines(log: LogFixture) -> None:
    log.file.close()
    log.write(1)
    log.file.flush()

    assert (log.file.fd, log.file.error, log.file.pending) == (-1, errno.EBADF, 1)
