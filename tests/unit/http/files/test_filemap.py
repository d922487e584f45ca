"""Filemaps without a server: what cannot be opened, and directories that come and go."""

import errno
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kore._conf.schema import Auth, Guard, Route
from kore._conf.settings import Settings
from kore._http.files import filemap
from kore._http.files.filemap import Directory, Filemap, OpenFile, build_policy


@dataclass
class FakeRequest:
    """What a map reads of a request, and what it says."""

    path: str = "/f/x"
    method: int = 1
    answered: bool = False
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


class Opener:
    """Opens regular files of some names, directories of others; the rest is missing."""

    def __init__(self, *files: str, directories: tuple[str, ...] = ()) -> None:
        self.files = files
        self.directories = directories
        self.opened: list[str] = []

    def __call__(self, _: int, name: str) -> Any:
        self.opened.append(name)
        if name not in (*self.files, *self.directories):
            return None
        is_regular = name in self.files
        return SimpleNamespace(
            is_regular=is_regular, is_directory=not is_regular, mtime_ns=1, size=0
        )


def test_an_index_that_is_a_directory_is_404(tmp_path: Path) -> None:
    route = Route("/f/", print, ("GET",), files=str(tmp_path))
    opener = Opener(directories=("index.html",))
    request = FakeRequest("/f/")
    policy = build_policy(Settings(filemap_index="index.html"), opener)
    Filemap(route, Directory(str(tmp_path), list), policy).serve(request)

    assert (request.refused, opener.opened) == ([404], ["index.html"])


def test_a_file_behind_a_guard_that_cannot_be_read_is_403(tmp_path: Path) -> None:
    names: list[str] = []

    def open_(_: int, name: str) -> Any:
        names.append(name)
        if len(names) > 1:  # after the check of the guard
            raise PermissionError(errno.EACCES, "no", name)
        return SimpleNamespace(is_regular=True, is_directory=False, mtime_ns=1, size=0)

    auth = Auth("request", lambda req: True)
    guard = Guard("/f/index.html".__eq__, frozenset({1}), auth)
    route = Route("/f/", print, ("GET",), files=str(tmp_path), guards=(guard,))
    request = FakeRequest("/f/")
    policy = build_policy(Settings(filemap_index="index.html"), open_)
    Filemap(route, Directory(str(tmp_path), list), policy).serve(request)

    assert (request.refused, names) == ([403], ["index.html", "index.html"])


def test_what_is_not_compressed_is_remembered_up_to_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filemap, "UNCOMPRESSED_MAX", 2)
    route = Route("/f/", print, ("GET",), files=str(tmp_path))
    opener = Opener("a", "b", "c")
    served = Filemap(route, Directory(str(tmp_path), list), build_policy(Settings(), opener))
    for name in "abc":
        file: Any = opener(0, name)
        served._find_precompressed(0, name, file, ("gzip",))

    assert list(served.no_precompressed_until) == [("c", ("gzip",))]
