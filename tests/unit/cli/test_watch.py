"""Both ways to notice a change notice the same."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kore._cli import watch
from kore._cli.watch import Inotify, Looking, matters, watcher

# The limit of a failing test only.
LONG = 10.0
SHORT = 0.5

Watch = Callable[[], Inotify | Looking]


@pytest.fixture(params=[Inotify, Looking])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Inotify | Looking]:
    (tmp_path / "app.py").write_text("")
    for directory in ("lib", ".git", "env", "node_modules", "empty"):
        (tmp_path / directory).mkdir()
    (tmp_path / "env" / "pyvenv.cfg").touch()
    (tmp_path / "lib" / "words.py").write_text("")
    files = request.param(tmp_path)
    yield files
    files.close()


def write_in_place(top: Path) -> None:
    (top / "app.py").write_text("changed")


def replace(top: Path) -> None:
    (top / "app.py.new").write_text("changed")
    (top / "app.py.new").replace(top / "app.py")


def keep_a_backup(top: Path) -> None:
    (top / "app.py").rename(top / "app.py~")
    (top / "app.py").write_text("changed")


def write_below(top: Path) -> None:
    (top / "lib" / "words.py").write_text("changed")


def remove(top: Path) -> None:
    (top / "lib" / "words.py").unlink()


def write_in_a_new_directory(top: Path) -> None:
    (top / "new" / "deep").mkdir(parents=True)
    (top / "new" / "deep" / "page.html").write_text("x")


def move_a_directory_in(top: Path) -> None:
    (top / ".git" / "part").mkdir()
    (top / ".git" / "part" / "x.py").touch()
    (top / ".git" / "part").rename(top / "part")


def change_the_configuration(top: Path) -> None:
    (top / "kore.conf").write_text("workers 1\n")


@pytest.mark.parametrize(
    "change",
    [
        write_in_place,
        replace,
        keep_a_backup,
        write_below,
        remove,
        write_in_a_new_directory,
        move_a_directory_in,
        change_the_configuration,
    ],
)
def test_a_change_is_noticed(
    files: Inotify | Looking, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    change(tmp_path)
    seen = files.changed(LONG)

    # A new directory is an event of its own, before its files are.
    assert seen or files.changed(LONG)


def test_a_directory_that_came_is_watched(files: Inotify | Looking, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    while files.changed(SHORT):
        pass
    (tmp_path / "new" / "x.py").write_text("x")

    assert files.changed(LONG)


def test_what_is_no_source_is_no_change(files: Inotify | Looking, tmp_path: Path) -> None:
    for name in (".git/x.py", "env/x.py", "node_modules/x.py", "data.db", "log", ".#app.py"):
        (tmp_path / name).write_text("x")
    (tmp_path / "empty").rmdir()
    shutil.copy(tmp_path / "app.py", tmp_path / "app.py.swp")

    assert not files.changed(SHORT)


@pytest.mark.parametrize("name", ["x.py", "kore.conf", "page.html", "pyproject.toml", "é.py"])
def test_sources_matter(name: str) -> None:
    assert matters(name)


@pytest.mark.parametrize("name", ["x.pyc", "4913", "app.py~", ".app.py.swp", ".#x.py", "kore.pid"])
def test_what_editors_and_servers_write_does_not(name: str) -> None:
    assert not matters(name)


def test_names_that_are_no_text_do_no_harm(files: Inotify | Looking, tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.py")).write_text("x")

    assert files.changed(LONG)


def test_without_inotify_it_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "IN_NONBLOCK_CLOEXEC", 1)  # the kernel refuses such a flag

    assert isinstance(watcher(tmp_path), Looking)
