"""The files of access logs: one descriptor for each path, reopened and closed."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kore._conf.schema import AccessLogConfig
from kore._process.parent.accesslog_files import AccessLogFiles
from kore.errors import ConfigError


@pytest.fixture
def files() -> Iterator[AccessLogFiles]:
    made = AccessLogFiles()
    yield made
    made.close_all_except(())
    assert made.open == {}


def config(path: Path) -> AccessLogConfig:
    return AccessLogConfig(str(path), where="app.py:3")


def test_one_path_is_opened_once(files: AccessLogFiles, tmp_path: Path) -> None:
    first, second = config(tmp_path / "a"), config(tmp_path / "b")
    files.open_missing([first, second, first])
    before = dict(files.open)
    files.open_missing([second])

    assert files.open == before
    assert files.get_descriptors([second, first, second]) == (
        before[second.path],
        before[first.path],
        before[second.path],
    )


def test_a_path_that_cannot_be_opened_is_an_error_with_its_place(
    files: AccessLogFiles, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        files.open_missing([config(tmp_path / "none" / "log")])

    path = tmp_path / "none" / "log"
    assert str(caught.value) == f"app.py:3: accesslog {path}: No such file or directory"


def test_files_that_were_moved_are_opened_again(files: AccessLogFiles, tmp_path: Path) -> None:
    log = config(tmp_path / "log")
    files.open_missing([log])
    (tmp_path / "log").rename(tmp_path / "old")

    assert files.reopen([log.path]) == {log.path}
    os.write(files.open[log.path], b"line\n")

    assert (tmp_path / "log").read_text() == "line\n"
    assert (tmp_path / "old").read_text() == ""


def test_a_file_that_cannot_be_opened_again_is_kept(
    files: AccessLogFiles, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "dir").mkdir()
    log = config(tmp_path / "dir" / "log")
    files.open_missing([log])
    (tmp_path / "dir").rename(tmp_path / "moved")

    assert files.reopen([log.path]) == set()
    os.write(files.open[log.path], b"line\n")

    assert (tmp_path / "moved" / "log").read_text() == "line\n"
    assert "going on with the old one" in caplog.text


def test_files_that_are_not_kept_are_closed(files: AccessLogFiles, tmp_path: Path) -> None:
    first, second = config(tmp_path / "a"), config(tmp_path / "b")
    files.open_missing([first, second])
    closed = files.open[first.path]
    files.close_all_except([second.path])

    assert list(files.open) == [second.path]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(closed)
