"""Filemaps without a server: what cannot be opened, and directories that come and go."""

import errno
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kore._conf.schema import Route
from kore._conf.settings import Settings
from kore._http.files import filemap
from kore._http.files.filemap import Directory, Filemap, OpenFile, build_policy


@dataclass
class FakeRequest:
    """What a map reads of a request, and what it says."""

    path: str = "/f/x"
    refused: list[int] = field(default_factory=list)

    def refuse(self, status: int, allow: str = "") -> None:
        self.refused.append(status)


def failing(number: int) -> OpenFile:
    """Return what fails to open anything."""

    def open_(_: int, name: str) -> None:
        raise OSError(number, os.strerror(number), name)

    return open_


def asked(open_: OpenFile, directory: Path) -> list[int]:
    """Return how a request was refused."""
    route = Route("/f/", print, ("GET",), files=str(directory))
    request = FakeRequest()
    Filemap(route, Directory(str(directory), list), build_policy(Settings(), open_)).serve(request)
    return request.refused


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM])
def test_a_file_that_may_not_be_read_is_403(tmp_path: Path, number: int) -> None:
    assert asked(failing(number), tmp_path) == [403]


@pytest.mark.parametrize(
    ("number", "status"), [(errno.EIO, 500), (errno.EMFILE, 503), (errno.EAGAIN, 503)]
)
def test_a_file_that_cannot_be_opened_is_an_error_in_the_log(
    tmp_path: Path, number: int, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "kore"):
        assert asked(failing(number), tmp_path) == [status]
    assert os.strerror(number) in caplog.text
    assert "'x'" in caplog.text


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return what lets the time pass after which a directory is looked at again."""
    now = [0.0]
    monkeypatch.setattr(filemap, "monotonic", lambda: now[0])

    def later() -> None:
        now[0] += filemap.LOOK_INTERVAL

    return later


def test_a_directory_that_is_missing_is_waited_for(
    tmp_path: Path, clock: Callable[[], None], caplog: pytest.LogCaptureFixture
) -> None:
    directory = Directory(str(tmp_path / "www"), list)
    assert directory.get_descriptor() == -1
    assert f"cannot open {tmp_path}/www" in caplog.text
    (tmp_path / "www").mkdir()
    assert directory.get_descriptor() == -1, "not looked at again so soon"
    clock()

    assert os.fstat(directory.get_descriptor()).st_ino == (tmp_path / "www").stat().st_ino
    directory.close()


def test_a_directory_that_went_away_is_kept_until_another_is_there(
    tmp_path: Path, clock: Callable[[], None]
) -> None:
    (tmp_path / "www").mkdir()
    directory = Directory(str(tmp_path / "www"), list)
    first = directory.get_descriptor()
    (tmp_path / "www").rename(tmp_path / "old")
    clock()
    assert directory.get_descriptor() == first
    (tmp_path / "www").mkdir()
    clock()

    assert os.fstat(directory.get_descriptor()).st_ino == (tmp_path / "www").stat().st_ino
    directory.close()
    directory.close()
    assert directory.fd == -1
