"""Both ways to notice a change notice the same."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kore._cli import sources, watch
from kore._cli.sources import is_source
from kore._cli.watch import InotifyWatcher, PollingWatcher, open_watcher

# The limit of a failing test only.
LONG = 10.0
SHORT = 0.5

Watch = Callable[[], PollingWatcher]


@pytest.fixture
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory beside the project."""
    directory = tmp_path_factory.mktemp("outside")
    (directory / "release").mkdir()
    (directory / "release" / "text").write_text("first")
    return directory


@pytest.fixture(params=[InotifyWatcher, PollingWatcher])
def files(
    request: pytest.FixtureRequest, tmp_path: Path, outside: Path
) -> Iterator[PollingWatcher]:
    (tmp_path / "app.py").write_text("")
    (tmp_path / "linked.py").symlink_to("lib/step")
    (tmp_path / "broken.py").symlink_to(outside / "later")
    (tmp_path / "part").symlink_to(outside / "release")
    for directory in ("lib", ".git", "env", "node_modules", "empty"):
        (tmp_path / directory).mkdir()
    (tmp_path / "env" / "pyvenv.cfg").touch()
    (tmp_path / "lib" / "words.py").write_text("")
    (tmp_path / "lib" / "step").symlink_to(outside / "current" / "text")
    (outside / "current").symlink_to("release")
    for loop in ("round", "lib/back"):
        (tmp_path / loop).symlink_to(tmp_path)
    (tmp_path / "everything").symlink_to("/")
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
    (top / ".git" / "piece").mkdir()
    (top / ".git" / "piece" / "x.py").touch()
    (top / ".git" / "piece").rename(top / "piece")


def change_the_configuration(top: Path) -> None:
    (top / "kore.conf").write_text("workers 1\n")


def outside_of(top: Path) -> Path:
    return (top / "part").resolve().parent


def link(top: Path) -> None:
    (outside_of(top) / "x").write_text("x")
    (top / "x.py").symlink_to(outside_of(top) / "x")


def link_hard(top: Path) -> None:
    (outside_of(top) / "x").write_text("x")
    (top / "x.py").hardlink_to(outside_of(top) / "x")


def link_a_directory(top: Path) -> None:
    (outside_of(top) / "more").mkdir()
    (outside_of(top) / "more" / "x.py").touch()
    (top / "more").symlink_to(outside_of(top) / "more")


def write_to_the_end_of_links(top: Path) -> None:
    (outside_of(top) / "release" / "text").write_text("second")


def lead_a_link_elsewhere(top: Path) -> None:
    (outside_of(top) / "second").mkdir()
    (outside_of(top) / "second" / "text").write_text("second")
    (outside_of(top) / "fresh").symlink_to("second")
    (outside_of(top) / "fresh").rename(outside_of(top) / "current")


def make_the_target_of_a_link(top: Path) -> None:
    (outside_of(top) / "later").write_text("")


def write_in_a_linked_directory(top: Path) -> None:
    (outside_of(top) / "release" / "new.py").write_text("")


def remove_a_link(top: Path) -> None:
    (top / "linked.py").unlink()


def move_a_directory_out(top: Path) -> None:
    (top / "lib").rename(outside_of(top) / "lib")


def rename_a_directory(top: Path) -> None:
    (top / "lib").rename(top / "library")


def remove_a_directory(top: Path) -> None:
    shutil.rmtree(top / "lib")


def write_variables(top: Path) -> None:
    (top / ".env").write_text("A=1")


@pytest.mark.parametrize(
    "change",
    [
        link,
        link_hard,
        link_a_directory,
        write_to_the_end_of_links,
        lead_a_link_elsewhere,
        make_the_target_of_a_link,
        write_in_a_linked_directory,
        remove_a_link,
        move_a_directory_out,
        rename_a_directory,
        remove_a_directory,
        write_variables,
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
    files: PollingWatcher, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    change(tmp_path)
    seen = files.wait_for_change(LONG)

    # A new directory is an event of its own, before its files are.
    assert seen or files.wait_for_change(LONG)
    assert files.take_changes()
    assert not files.take_changes()


def test_new_directory_is_watched(files: PollingWatcher, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    while files.wait_for_change(SHORT):
        pass
    (tmp_path / "new" / "x.py").write_text("x")

    assert files.wait_for_change(LONG)
    assert files.take_changes() == ["new/x.py"]


def test_the_same_content_is_no_change(files: PollingWatcher, tmp_path: Path) -> None:
    for _ in range(3):
        (tmp_path / "app.py").write_text("")
        (tmp_path / "app.py").touch()
        (tmp_path / "copy.py~").write_text("")
        (tmp_path / "copy.py~").replace(tmp_path / "app.py")
        assert not files.wait_for_change(SHORT / 5)


def test_removed_directory_is_not_watched(
    files: PollingWatcher, tmp_path: Path, outside: Path
) -> None:
    move_a_directory_out(tmp_path)
    assert files.wait_for_change(LONG)
    (outside / "lib" / "words.py").write_text("x")

    assert not files.wait_for_change(SHORT)


def test_a_change_that_is_undone_is_none(files: PollingWatcher, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("x")
    assert files.wait_for_change(LONG)
    (tmp_path / "app.py").write_text("")
    assert files.wait_for_change(LONG)

    assert files.take_changes() == []


def test_watcher_polls_when_the_kernel_has_no_more_watches(
    tmp_path: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = InotifyWatcher(tmp_path)
    assert not files.take_polling_reason()
    monkeypatch.setattr(watch, "WATCHED", 0)  # the kernel refuses to watch for nothing
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "x.py").write_text("x")
    assert files.wait_for_change(LONG)
    (tmp_path / "new" / "y.py").write_text("x")
    assert files.wait_for_change(LONG)

    assert files.take_changes() == ["new/x.py", "new/y.py"]
    assert files.take_polling_reason()
    assert not files.take_polling_reason()
    files.close()


def test_link_to_a_large_tree_is_followed_up_to_a_limit(
    tmp_path: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "LINKED_DIRECTORIES_MAX", 3)
    for number in range(10):
        (outside / f"d{number}").mkdir()
        (outside / f"d{number}" / "x.py").touch()
        (tmp_path / f"d{number}").mkdir()
        (tmp_path / f"d{number}" / "x.py").touch()
    (tmp_path / "beyond").symlink_to(outside)
    files = PollingWatcher(tmp_path)
    found = [path for path in files.sources.now if "/beyond/" in path]

    assert 1 <= len(found) <= 3
    assert len(files.sources.now) == 10 + len(found)


def test_other_files_are_no_change(files: PollingWatcher, tmp_path: Path) -> None:
    for name in (".git/x.py", "env/x.py", "node_modules/x.py", "data.db", "log", ".#app.py"):
        (tmp_path / name).write_text("x")
    (tmp_path / "empty").rmdir()
    shutil.copy(tmp_path / "app.py", tmp_path / "app.py.swp")

    assert not files.wait_for_change(SHORT)


@pytest.mark.parametrize(
    "name", ["x.py", "kore.conf", "page.html", "pyproject.toml", "é.py", ".env", ".env.local"]
)
def test_sources_are_recognized(name: str) -> None:
    assert is_source(name)


@pytest.mark.parametrize(
    "name", ["x.pyc", "4913", "app.py~", ".app.py.swp", ".#x.py", "kore.pid", ".env.swp", ".env~"]
)
def test_files_of_editors_and_servers_are_no_sources(name: str) -> None:
    assert not is_source(name)


def test_names_that_are_not_unicode_do_no_harm(files: PollingWatcher, tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.py")).write_text("x")

    assert files.wait_for_change(LONG)


def test_watcher_polls_without_inotify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "IN_NONBLOCK_CLOEXEC", 1)  # the kernel refuses such a flag

    assert isinstance(open_watcher(tmp_path), PollingWatcher)
