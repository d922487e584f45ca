"""The working directory: found again by its name, which may be a symbolic link."""

import os
from pathlib import Path

import pytest

from kore._process.parent.working_directory import WorkingDirectory


def test_name_of_a_link_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for release in ("one", "two"):
        (tmp_path / release).mkdir()
    link = tmp_path / "current"
    link.symlink_to("one")
    monkeypatch.chdir(link)
    monkeypatch.setenv("PWD", str(link))
    directory = WorkingDirectory()
    link.unlink()
    link.symlink_to("two")
    directory.enter()

    assert directory.path == str(link)
    assert Path.cwd() == tmp_path / "two"


def test_wrong_pwd_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PWD", "/")

    assert WorkingDirectory().path == str(tmp_path)
    assert os.environ["PWD"] == str(tmp_path)


def test_removed_directory_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "gone"
    place.mkdir()
    monkeypatch.chdir(place)
    monkeypatch.setenv("PWD", str(place))
    directory = WorkingDirectory()
    place.rmdir()
    directory.enter()

    assert f"the working directory {place} cannot be entered" in caplog.text
