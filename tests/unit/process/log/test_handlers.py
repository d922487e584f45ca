import json
import logging
import os
import re
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kore._process.ipc.channel import Channel, open_pair
from kore._process.ipc.messages import LogLine
from kore._process.log import handlers
from kore._process.log.formats import LEVELS, Record, format_json, format_text
from kore._process.log.writer import PENDING_MAX, LogWriter

LINE = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC proc=\[wrk 1\] log=\[[^\n]*\]\n")


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    before = (
        handlers.log.handlers[:],
        handlers.log.level,
        handlers.log.propagate,
        logging.lastResort,
    )
    yield
    handlers.log.handlers[:], handlers.log.level, handlers.log.propagate, logging.lastResort = (
        before
    )


def record(text: str, detail: str = "", priority: int = 6) -> Record:
    return Record(1767323045.678, "[wrk 1]", priority, text, detail)


def test_a_line_has_a_time_a_process_and_a_text() -> None:
    assert format_text(record("text")) == (b"2026-01-02 03:04:05.678 UTC proc=[wrk 1] log=[text]\n")


def test_a_record_is_one_line_whatever_is_in_it() -> None:
    (line,) = format_text(record("one\ntwo\0\r\n")).splitlines()

    assert line.endswith(rb"proc=[wrk 1] log=[one\ntwo\x00\r]")


def test_only_what_belongs_to_a_record_has_lines_of_its_own_and_they_are_marked() -> None:
    lines = format_text(record("| failed", "Traceback (most\n  | x\n")).decode().splitlines()

    assert [line.partition("log=")[2] for line in lines] == [
        "[\\x7c failed]",
        "[| Traceback (most]",
        "[|   | x]",
    ]


@given(st.text(), st.text())
def test_no_text_can_pass_for_another_record(text: str, detail: str) -> None:
    lines = format_text(record(text, detail))
    first, *rest = lines.splitlines()

    assert b"".join(LINE.findall(lines)) == lines
    assert b"log=[|" not in first
    assert all(b"] log=[| " in line for line in rest)
    assert b"\r" not in lines
    assert b"\x1b" not in lines
    assert len(lines.decode().splitlines()) == lines.count(b"\n")


@given(st.text(), st.text(), st.integers(0, 7))
def test_a_record_is_an_object_of_json_on_one_line(text: str, detail: str, level: int) -> None:
    line = format_json(record(text, detail, level)).decode()
    content = json.loads(line)

    assert line.endswith("\n")
    assert len(line.splitlines()) == 1
    assert content["time"] == "2026-01-02T03:04:05.678Z"
    assert content["process"] == "wrk 1"
    assert content["level"] == LEVELS[level]
    whole = text.encode("utf-8", "backslashreplace").decode().rstrip("\n")
    assert content["message"] == whole
    assert ("detail" in content) == bool(detail)


def test_a_traceback_has_a_field_of_its_own() -> None:
    content = json.loads(format_json(record("bad", "Traceback (most recent call last):\n  ...\n")))

    assert content["traceback"] == "Traceback (most recent call last):\n  ..."


def test_the_file_is_appended_to_and_reopened(tmp_path: Path) -> None:
    path = tmp_path / "kore.log"
    path.write_text("before\n")
    destination = LogWriter()
    destination.open(str(path))
    destination.write("[parent]", "one")
    path.rename(tmp_path / "kore.log.1")
    destination.write("[parent]", "two")
    destination.reopen()
    destination.write("[parent]", "three")
    destination.open("")

    old = (tmp_path / "kore.log.1").read_text()
    assert re.fullmatch(r"before\n.*log=\[one\]\n.*log=\[two\]\n", old)
    assert re.fullmatch(r".*log=\[three\]\n", path.read_text())


def test_a_file_that_cannot_be_opened_leaves_the_old_one_in_use(tmp_path: Path) -> None:
    path = tmp_path / "kore.log"
    destination = LogWriter()
    destination.open(str(path))

    with pytest.raises(FileNotFoundError):
        destination.open(str(tmp_path / "missing" / "kore.log"))

    destination.write("[parent]", "still here")
    destination.reopen()
    destination.write("[parent]", "and here")
    destination.open("")
    assert "still here" in path.read_text()
    assert "and here" in path.read_text()


def test_a_reader_that_does_not_read_holds_nobody_up() -> None:
    read, write = os.pipe()
    destination = LogWriter(write)
    size = len(format_text(record("x" * 1000)))
    for _ in range(2 * PENDING_MAX // size):
        destination.write("[parent]", "x" * 1000)

    assert destination.pending
    assert destination.dropped_count

    output = b""
    while destination.pending:
        output += os.read(read, 1 << 20)
        destination.flush()
    os.close(write)
    while more := os.read(read, 1 << 20):
        output += more
    os.close(read)
    lines = output.splitlines()
    assert all(line.endswith(b"x]") for line in lines[:-1])
    assert re.search(rb"log=\[\d+ log lines dropped: output blocked\]$", lines[-1])


def test_a_reader_that_is_gone_is_not_an_error() -> None:
    read, write = os.pipe()
    os.close(read)
    destination = LogWriter(write)
    destination.write("[parent]", "to nobody")
    destination.drain(0.1)
    os.close(write)

    assert not destination.pending


def test_records_of_a_child_go_through_its_channel() -> None:
    ours, theirs = map(Channel, open_pair())
    handlers.log_to_channel(ours)
    logging.getLogger("kore").info("for %s", "information")
    logging.getLogger("kore").error("bad")
    nobodys = logging.Logger("a.library.without.handlers")
    nobodys.warning("theirs")
    nobodys.info("not shown, as Python has it")

    assert theirs.receive() == [
        LogLine(6, "for information"),
        LogLine(3, "bad"),
        LogLine(4, "theirs"),
    ]
    ours.close()
    theirs.close()


def test_quiet_leaves_warnings_and_worse(capfd: pytest.CaptureFixture[str]) -> None:
    destination = LogWriter()
    handlers.log_to_writer(destination, quiet=True)
    handlers.log.info("chatter")
    handlers.log.warning("trouble")
    destination.drain(1)

    out = capfd.readouterr().out
    assert "trouble" in out
    assert "chatter" not in out


@pytest.fixture
def room() -> Iterator[Callable[[int], None]]:
    """Limit how long a file may become: what a full disk does to a write."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_costs_whole_lines_and_says_how_many(
    tmp_path: Path, room: Callable[[int], None]
) -> None:
    path = tmp_path / "kore.log"
    destination = LogWriter()
    destination.open(str(path))
    room(5000)
    destination.write("[wrk 1]", "a" * 4900 + "x] and what looks like a line" * 100)
    destination.write("[wrk 1]", "lost\nand lost")
    assert not destination.pending
    room(1 << 20)
    destination.write("[wrk 1]", "found")
    destination.open("")

    torn, lost, found = path.read_text().splitlines()
    assert len(torn) == 5000
    assert lost.endswith("proc=[parent] log=[2 log lines dropped: File too large]")
    assert found.endswith("proc=[wrk 1] log=[found]")


def test_the_rest_of_a_line_does_not_begin_another_file(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    destination = LogWriter(write)
    destination.write("[wrk 1]", "x" * 300_000)
    assert destination.pending
    path = tmp_path / "kore.log"
    destination.open(str(path))
    destination.write("[wrk 1]", "whole")
    destination.open("")
    os.close(read)

    lost, whole = path.read_text().splitlines()
    assert "1 log lines dropped" in lost
    assert whole.endswith("log=[whole]")
