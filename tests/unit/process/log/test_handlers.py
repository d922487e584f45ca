import json
import logging
import os
import re
import resource
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


# What handlers add to standard logging


class Written:
    """What a handler has passed on."""

    def __init__(self) -> None:
        self.records: list[tuple[int, str, str]] = []
        self.handler = handlers.ParentLogHandler(lambda *record: self.records.append(record))


@pytest.mark.parametrize(
    ("level", "priority"),
    [
        (logging.CRITICAL, handlers.CRIT),
        (logging.ERROR, handlers.ERR),
        (logging.WARNING, handlers.WARNING),
        (logging.INFO, handlers.INFO),
        (logging.DEBUG, handlers.DEBUG),
        (1, handlers.DEBUG),
        (logging.ERROR + 5, handlers.ERR),
    ],
)
def test_levels_become_priorities_of_syslog(level: int, priority: int) -> None:
    written = Written()
    written.handler.emit(logging.makeLogRecord({"levelno": level, "msg": "text"}))

    assert written.records == [(priority, "text", "")]


def test_an_exact_priority_is_kept() -> None:
    written = Written()
    record = {"levelno": logging.INFO, "msg": "text", "priority": handlers.NOTICE}
    written.handler.emit(logging.makeLogRecord(record))

    assert written.records == [(handlers.NOTICE, "text", "")]


def test_detail_stack_and_traceback_are_the_further_lines() -> None:
    written = Written()
    with pytest.raises(LookupError) as caught:
        {}["key"]
    record = {
        "levelno": logging.ERROR,
        "msg": "text",
        "exc_info": (caught.type, caught.value, caught.tb),
    }
    more = {"detail": "given", "stack_info": "Stack:"}
    written.handler.emit(logging.makeLogRecord({**record, **more}))

    (_, _, detail) = written.records[0]
    assert detail.startswith("given\nStack:\nTraceback (most recent call last)")
    assert detail.endswith("KeyError: 'key'")


def test_a_record_that_cannot_be_formatted_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    written = Written()
    written.handler.emit(logging.makeLogRecord({"levelno": 20, "msg": "%d", "args": ("text",)}))

    assert written.records == []
    assert "Logging error" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("reason", "text", "detail"),
    [
        ("app.py: syntax error", "failed: app.py: syntax error", ""),
        ("2 errors:\na\nb\n", "failed: 2 errors:", "a\nb"),
        ("before\nfatal: no route", "failed: fatal: no route", "before"),
        (
            "Traceback (most recent call last):\n  line\nLookupError: x",
            "failed: LookupError: x",
            "Traceback (most recent call last):\n  line\nLookupError: x",
        ),
    ],
)
def test_the_line_that_says_most_is_the_text_of_an_error(
    reason: str, text: str, detail: str
) -> None:
    written = Written()
    handlers.install_handler(written.handler)
    handlers.log_multiline_error("failed: %s", reason)

    assert written.records == [(handlers.ERR, text, detail)]


def test_records_of_other_loggers_are_written_from_warnings_on() -> None:
    written = Written()
    handlers.install_handler(written.handler)
    root = logging.getLogger()
    before, root.handlers[:] = root.handlers[:], []
    try:
        logging.getLogger("other").warning("seen")
        logging.getLogger("other").info("not seen")
    finally:
        root.handlers[:] = before

    assert written.records == [(handlers.WARNING, "seen", "")]


def test_the_last_message_goes_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    handlers.write_stderr("why it ends\udcff\n\n")

    assert capfd.readouterr().err == "why it ends\\udcff\n"


def test_the_last_message_waits_for_a_slow_reader_and_not_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(handlers, "STDERR_TIMEOUT", 0.05)
    read_end, write_end = os.pipe()
    before = os.dup(2)
    os.dup2(write_end, 2)
    try:
        handlers.write_stderr("x" * 200_000)
    finally:
        os.dup2(before, 2)
        for fd in (before, read_end, write_end):
            os.close(fd)


def test_a_coroutine_that_was_not_awaited_is_logged_with_advice(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shown: list[object] = []
    monkeypatch.setattr(warnings, "showwarning", lambda *given: shown.append(given[0]))
    handlers.log_unawaited()
    text = "coroutine 'App.work' was never awaited"
    with capturing(caplog):
        warnings.showwarning(text, RuntimeWarning, "/app.py", 3)
        warnings.showwarning("other", UserWarning, "/app.py", 3)

    (message,) = caplog.messages
    assert message.endswith(f"{text}: it has not run; write `await work(...)`")
    assert shown == ["other"]


@contextmanager
def capturing(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Collect Kore's records, whatever other tests have installed."""
    handlers.log.propagate = False
    handlers.log.addHandler(caplog.handler)
    try:
        yield
    finally:
        handlers.log.removeHandler(caplog.handler)
