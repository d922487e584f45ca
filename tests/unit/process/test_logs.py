import logging
import os
import re
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kore._process import logs
from kore._process.channel import Channel, pair
from kore._process.logs import Destination, formatted
from kore._process.messages import Log

LINE = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC proc=\[wrk 1\] log=\[[^\n]*\]\n")


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    before = logs.log.handlers[:], logs.log.level, logs.log.propagate, logging.lastResort
    yield
    logs.log.handlers[:], logs.log.level, logs.log.propagate, logging.lastResort = before


def test_a_line_has_a_time_a_process_and_a_text() -> None:
    assert formatted("[wrk 1]", "text", 1767323045.678) == (
        b"2026-01-02 03:04:05.678 UTC proc=[wrk 1] log=[text]\n"
    )


def test_each_line_of_a_text_is_a_line_of_the_log() -> None:
    first, second = formatted("[wrk 1]", "one\ntwo\n", 0).splitlines()

    assert first.endswith(b"proc=[wrk 1] log=[one]")
    assert second.endswith(b"proc=[wrk 1] log=[two]")


@given(st.text())
def test_no_text_can_pass_for_a_line_of_another_process(text: str) -> None:
    lines = formatted("[wrk 1]", text, 0)

    assert b"".join(LINE.findall(lines)) == lines
    assert b"\r" not in lines
    assert b"\x1b" not in lines
    assert len(lines.decode().splitlines()) == lines.count(b"\n")


def test_the_file_is_appended_to_and_reopened(tmp_path: Path) -> None:
    path = tmp_path / "kore.log"
    path.write_text("before\n")
    destination = Destination()
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
    destination = Destination()
    destination.open(str(path))

    with pytest.raises(FileNotFoundError):
        destination.open(str(tmp_path / "missing" / "kore.log"))

    destination.write("[parent]", "still here")
    destination.open("")
    assert "still here" in path.read_text()


def test_a_reader_that_does_not_read_holds_nobody_up() -> None:
    read, write = os.pipe()
    destination = Destination(write)
    size = len(formatted("[parent]", "x" * 1000, 0))
    for _ in range(2 * logs.PENDING_MAX // size):
        destination.write("[parent]", "x" * 1000)

    assert destination.pending
    assert destination.lost

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
    assert re.search(rb"log=\[\d+ log lines lost: nobody read them\]$", lines[-1])


def test_a_reader_that_is_gone_is_not_an_error() -> None:
    read, write = os.pipe()
    os.close(read)
    destination = Destination(write)
    destination.write("[parent]", "to nobody")
    destination.drain(0.1)
    os.close(write)

    assert not destination.pending


def test_records_of_a_child_go_through_its_channel() -> None:
    ours, theirs = map(Channel, pair())
    logs.to_channel(ours)
    logging.getLogger("kore").info("for %s", "information")
    logging.getLogger("kore").error("bad")
    nobodys = logging.Logger("a.library.without.handlers")
    nobodys.warning("theirs")
    nobodys.info("not shown, as Python has it")

    assert theirs.receive() == [Log(6, "for information"), Log(3, "bad"), Log(4, "theirs")]
    ours.close()
    theirs.close()


def test_quiet_leaves_warnings_and_worse(capfd: pytest.CaptureFixture[str]) -> None:
    destination = Destination()
    logs.to_destination(destination, quiet=True)
    logs.log.info("chatter")
    logs.log.warning("trouble")
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
    destination = Destination()
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
    assert lost.endswith("proc=[parent] log=[3 log lines lost: File too large]")
    assert found.endswith("proc=[wrk 1] log=[found]")


def test_the_rest_of_a_line_does_not_begin_another_file(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    destination = Destination(write)
    destination.write("[wrk 1]", "x" * 300_000)
    assert destination.pending
    path = tmp_path / "kore.log"
    destination.open(str(path))
    destination.write("[wrk 1]", "whole")
    destination.open("")
    os.close(read)

    lost, whole = path.read_text().splitlines()
    assert "1 log lines lost" in lost
    assert whole.endswith("log=[whole]")
