"""Files that stay open for a moment: never longer, never what they are not."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kore._core.file import OpenFile, open_beneath
from kore._http.files.file_cache import OPEN_MAX, OpenFileCache
from tests.helpers.fix_core import descriptors


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "a").write_text("one")
    fd = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def content(keeper: OpenFileCache[OpenFile], directory: int, name: str = "a") -> bytes | None:
    """Return what a client would get."""
    file = keeper.open(directory, name)
    return None if file is None else os.pread(file.fileno(), file.size, 0)


def test_a_file_is_opened_once_for_two_turns(directory: int) -> None:
    opened = []

    def opening(directory: int, name: str) -> OpenFile | None:
        opened.append(name)
        return open_beneath(directory, name)

    keeper = OpenFileCache(opening)
    for expected in (1, 1, 2, 2, 3):
        for _ in range(3):
            assert content(keeper, directory) == b"one"
        assert len(opened) == expected
        keeper.turn()


def test_a_change_is_seen_at_once(directory: int, tmp_path: Path) -> None:
    keeper = OpenFileCache(open_beneath)
    assert content(keeper, directory) == b"one"
    (tmp_path / "a").write_text("longer")
    assert content(keeper, directory) == b"longer"
    (tmp_path / "b").write_text("another")
    (tmp_path / "b").rename(tmp_path / "a")
    assert content(keeper, directory) == b"another"
    (tmp_path / "a").unlink()
    assert content(keeper, directory) is None
    (tmp_path / "a").write_text("again")
    assert content(keeper, directory) == b"again"


def test_a_file_that_moved_away_is_noticed_within_two_turns(directory: int, tmp_path: Path) -> None:
    keeper = OpenFileCache(open_beneath)
    assert content(keeper, directory) == b"one"
    (tmp_path / "a").rename(tmp_path / "b")
    keeper.turn()
    assert content(keeper, directory) == b"one"
    keeper.turn()
    assert content(keeper, directory) is None


def test_unused_files_are_closed(directory: int) -> None:
    keeper = OpenFileCache(open_beneath)
    before = descriptors()
    content(keeper, directory)
    assert descriptors() == before + 1
    keeper.turn()
    keeper.turn()
    assert descriptors() == before
    content(keeper, directory)
    keeper.clear()
    assert descriptors() == before


def test_no_more_stay_open_than_there_may(directory: int, tmp_path: Path) -> None:
    keeper = OpenFileCache(open_beneath)
    before = descriptors()
    for number in range(3 * OPEN_MAX):
        (tmp_path / str(number)).write_text("x")
        assert content(keeper, directory, str(number)) == b"x"
    assert descriptors() == before + OPEN_MAX
    keeper.clear()


def test_only_regular_files_are_kept(directory: int, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    keeper = OpenFileCache(open_beneath)
    before = descriptors()
    assert keeper.open(directory, "d") is not None
    assert keeper.open(directory, "none") is None
    assert descriptors() == before
