"""The parent's log: lines that cannot be written wait, and lines that are lost are counted."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kore._conf.settings import Settings
from kore._process.log.outputs import WRITE_SIZE
from kore._process.log.writer import PENDING_MAX, LogWriter

PIPE_BYTES = 65536


class Pipe:
    """A log writer on a pipe whose other end the test reads when it likes."""

    def __init__(self) -> None:
        self.read_fd, self.write_fd = os.pipe()
        os.set_blocking(self.read_fd, False)
        self.writer = LogWriter(self.write_fd)

    def read(self) -> str:
        """Return all that is written until nothing is pending any more."""
        found = b""
        while True:
            try:
                found += os.read(self.read_fd, 65536)
            except BlockingIOError:
                if not self.writer.pending:
                    return found.decode()
            self.writer.flush()

    def texts(self) -> list[str]:
        """Return the texts of the lines that are there to read."""
        return [text_of(line) for line in self.read().splitlines()]

    def fill(self) -> int:
        """Write lines until one waits, and return how many were written whole."""
        count = 0
        while not self.writer.pending:
            self.writer.write("[wrk 1]", "x" * 1000)
            count += 1
        return count - 1

    def close_reader(self) -> None:
        os.close(self.read_fd)
        self.read_fd = -1

    def begin_long_line(self) -> None:
        """Write a line of which only a part fits."""
        self.fill()
        self.writer.write("[wrk 1]", "x" * 10 * PIPE_BYTES)
        os.read(self.read_fd, 10 * WRITE_SIZE)
        self.writer.flush()

    def close(self) -> None:
        self.writer._drop_all("the test is over")
        self.writer.dropped_count = 0
        self.writer.open("")  # closes the pipe
        if self.read_fd >= 0:
            os.close(self.read_fd)


def text_of(line: str) -> str:
    return line.partition("log=[")[2].removesuffix("]") if "log=[" in line else line


def lines_of(path: Path) -> list[str]:
    return [text_of(line) for line in path.read_text().splitlines()]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kore.log"


@pytest.fixture
def to_file(path: Path) -> Iterator[LogWriter]:
    writer = LogWriter()
    writer.open(str(path))
    yield writer
    writer.open("")


def test_a_line_has_its_sender_and_text(pipe: Pipe) -> None:
    pipe.writer.write("[wrk 3]", "hello")

    (line,) = pipe.read().splitlines()
    assert line.endswith("proc=[wrk 3] log=[hello]")


def test_lines_wait_for_a_slow_reader_and_keep_their_order(pipe: Pipe) -> None:
    count = pipe.fill()
    for number in range(10):
        pipe.writer.write("[wrk 1]", str(number))

    texts = pipe.texts()
    assert texts[count + 1 :] == [str(number) for number in range(10)]
    assert texts[: count + 1] == ["x" * 1000] * (count + 1)


def test_lines_beyond_the_limit_are_counted_in_their_place(pipe: Pipe) -> None:
    pipe.fill()
    while not pipe.writer.dropped_count:
        pipe.writer.write("[wrk 1]", "x" * 10_000)
    for _ in range(4):
        pipe.writer.write("[wrk 1]", "x" * 10_000)
    lost = pipe.writer.dropped_count

    before = pipe.texts()
    pipe.writer.write("[wrk 1]", "after")

    assert lost == 5
    assert sum(map(len, before)) >= PENDING_MAX
    assert before[-1].startswith("5 log lines dropped: ")
    assert pipe.texts() == ["after"]
    assert pipe.writer.dropped_count == 0


def test_a_record_of_several_lines_counts_each_as_lost(pipe: Pipe) -> None:
    pipe.fill()
    pipe.writer.write("[wrk 1]", "text", detail="\n".join("x" * 100_000 for _ in range(20)))

    assert pipe.writer.dropped_count == 21


def test_a_reader_that_is_gone_is_the_reason_of_the_loss(pipe: Pipe, path: Path) -> None:
    pipe.fill()
    pipe.close_reader()
    pipe.writer.write("[wrk 1]", "lost")
    pipe.writer.flush()
    assert not pipe.writer.pending

    pipe.writer.open(str(path))
    pipe.writer.write("[wrk 1]", "next")

    first, second = lines_of(path)
    assert first.endswith("log lines dropped: Broken pipe")
    assert second == "next"


def test_the_rest_of_a_line_does_not_begin_another_file(pipe: Pipe, path: Path) -> None:
    pipe.begin_long_line()
    pipe.writer.write("[wrk 1]", "whole")
    pipe.writer.open(str(path))
    pipe.writer.flush()
    pipe.writer.write("[wrk 1]", "after")

    assert lines_of(path) == ["whole", "1 log lines dropped: log destination changed", "after"]


def test_line_after_a_cut_line_begins_on_its_own(pipe: Pipe) -> None:
    pipe.begin_long_line()
    pipe.writer._drop_all("no space left")
    pipe.writer.write("[wrk 1]", "whole")

    torn, lost, whole = pipe.texts()[-3:]
    assert set(torn) == {"x"}
    assert (lost, whole) == ("1 log lines dropped: no space left", "whole")


def test_a_log_file_is_opened_again_after_it_was_moved(to_file: LogWriter, path: Path) -> None:
    to_file.write("[wrk 1]", "old")
    path.rename(path.with_suffix(".1"))
    to_file.write("[wrk 1]", "still old")
    to_file.reopen()
    to_file.write("[wrk 1]", "new")

    assert lines_of(path.with_suffix(".1")) == ["old", "still old"]
    assert lines_of(path) == ["new"]


def test_another_format_of_the_same_file_keeps_it_open(to_file: LogWriter, path: Path) -> None:
    to_file.open(str(path), "json")
    to_file.write("[wrk 1]", "text")
    to_file.reopen()
    to_file.write("[wrk 1]", "again")

    assert [line.startswith("{") for line in path.read_text().splitlines()] == [True, True]


def test_a_file_that_cannot_be_opened_changes_nothing(to_file: LogWriter, path: Path) -> None:
    with pytest.raises(OSError, match="Not a directory"):
        to_file.open(f"{path}/below")
    to_file.write("[wrk 1]", "here")

    assert lines_of(path) == ["here"]


def test_the_log_is_elsewhere_once_it_is_a_file(to_file: LogWriter) -> None:
    assert to_file.is_redirected
    assert not LogWriter().is_redirected


def test_without_a_syslog_standard_error_gets_the_log_with_one_notice(tmp_path: Path) -> None:
    settings = Settings(syslog_socket=str(tmp_path / "none"))
    writer = LogWriter()

    notice = writer.open_syslog(settings, "kore")

    assert notice.endswith("(No such file or directory): the log goes to standard error")
    assert writer.open_syslog(settings, "kore") == ""
    assert not writer.is_redirected


def test_draining_ends_at_its_deadline(pipe: Pipe) -> None:
    pipe.fill()

    pipe.writer.drain(0.05)

    assert pipe.writer.pending
