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


class House:
    """A sink on a file, and an access log that writes the same line each time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sink = LogFile(self.open(path))
        self.access_log = self.writing(b"x" * 99)

    def open(self, path: Path | str) -> int:
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, 0o600)

    def writing(self, text: bytes) -> AccessLog:
        return AccessLog(self.sink, [(None, text)])

    def write(self, count: int) -> None:
        for _ in range(count):
            write_log_line(self.access_log, RAW)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path / "log")
    yield made
    made.sink.close()


def test_lines_wait_until_they_are_flushed(house: House) -> None:
    house.write(3)
    assert house.path.read_bytes() == b""
    assert house.sink.pending == 3

    house.sink.flush()

    assert house.path.read_bytes() == (b"x" * 99 + b"\n") * 3
    assert (house.sink.pending, house.sink.lost, house.sink.error) == (0, 0, 0)


def test_many_lines_are_written_before_they_are_flushed(house: House) -> None:
    house.write(1000)

    assert 0 < house.sink.pending < 200
    assert house.path.stat().st_size == (1000 - house.sink.pending) * 100


def test_another_file_gets_only_later_lines(house: House, tmp_path: Path) -> None:
    house.write(1)
    house.sink.switch(house.open(tmp_path / "new"))
    house.write(2)
    house.sink.flush()

    assert house.path.stat().st_size == 100
    assert (tmp_path / "new").stat().st_size == 200


def test_a_full_disk_is_an_error_and_lines_are_kept_for_later(house: House, tmp_path: Path) -> None:
    house.sink.switch(house.open("/dev/full"))
    house.write(1000)
    house.sink.flush()

    assert house.sink.error == errno.ENOSPC
    assert (house.sink.pending, house.sink.lost) == (1000, 0)

    house.sink.switch(house.open(tmp_path / "new"))
    house.sink.flush()
    assert house.sink.error == 0
    assert (tmp_path / "new").stat().st_size == 100_000


def test_what_is_too_much_to_keep_is_lost_and_counted(house: House, tmp_path: Path) -> None:
    house.sink.switch(house.open("/dev/full"))
    house.write(10_000)

    assert house.sink.lost > 0
    assert house.sink.lost + house.sink.pending == 10_000
    assert house.sink.pending < 3000

    house.sink.switch(house.open(tmp_path / "new"))
    house.sink.flush()
    assert set((tmp_path / "new").read_bytes().splitlines()) == {b"x" * 99}


def test_a_line_that_was_cut_goes_on_where_it_ends(house: House) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    house.write(2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150, hard))
    try:
        house.sink.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert house.path.stat().st_size == 150
    assert house.sink.error == errno.EFBIG

    house.sink.flush()

    assert house.path.read_bytes() == (b"x" * 99 + b"\n") * 2


def test_a_line_that_was_cut_does_not_go_on_in_another_file(house: House, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    house.write(3)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150, hard))
    try:
        house.sink.switch(house.open(tmp_path / "new"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    house.sink.flush()

    assert (tmp_path / "new").read_bytes() == b"x" * 99 + b"\n"
    assert house.sink.lost == 1


def test_a_pipe_gets_whole_lines_and_nobody_waits_for_its_reader(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    house = House(tmp_path / "pipe")
    house.sink.switch(house.open(tmp_path / "pipe"), 4096)
    house.write(10_000)
    house.sink.flush()

    assert house.sink.error == errno.EAGAIN
    read = b""
    while house.sink.pending:
        read += os.read(reader, 4096)
        house.sink.flush()
    house.sink.close()
    with os.fdopen(reader, "rb") as rest:
        read += rest.read()
    assert set(read.splitlines()) == {b"x" * 99}
    assert len(read.splitlines()) + house.sink.lost == 10_000


def test_a_line_longer_than_a_write_may_be_still_gets_through(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    house = House(tmp_path / "pipe")
    house.sink.switch(house.open(tmp_path / "pipe"), 4096)
    house.write(1)
    write_log_line(house.writing(b"y" * 10_000), RAW)
    house.write(1)
    house.sink.flush()

    assert os.read(reader, 65536).splitlines() == [b"x" * 99, b"y" * 10_000, b"x" * 99]
    house.sink.close()
    os.close(reader)


def test_a_forked_process_writes_nothing_of_what_it_inherits(house: House) -> None:
    house.write(5)
    pid = os.fork()
    if pid == 0:
        house.sink.discard()
        house.sink.flush()
        os._exit(0)
    os.waitpid(pid, 0)
    house.sink.flush()

    assert house.path.stat().st_size == 500


def test_a_closed_sink_keeps_its_lines(house: House) -> None:
    house.sink.close()
    house.write(1)
    house.sink.flush()

    assert (house.sink.fd, house.sink.error, house.sink.pending) == (-1, errno.EBADF, 1)
