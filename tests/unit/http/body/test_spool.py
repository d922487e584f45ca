"""A body in a file: written elsewhere, read like one in memory, gone when it is closed."""

import fcntl
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from kore._http.body.spool import Spool
from kore._http.body.spool_directory import SpoolDirectory, sweep_directory
from tests.helpers.procs import descriptors

Work = Callable[[], None]
Done = Callable[[BaseException | None], None]
BODY = bytes(range(256)) * 2000
NAME = "body-1-0123456789abcdef"


class Disk:
    """Does what is to be done at once, or when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Work, Done]] = []
        self.slow = False

    def run(self, work: Work, done: Done) -> None:
        self.waiting.append((work, done))
        if not self.slow:
            self.work()

    def work(self) -> None:
        while self.waiting:
            work, done = self.waiting.pop(0)
            try:
                work()
            except OSError as error:
                done(error)
            else:
                done(None)


@pytest.fixture(params=["unnamed", "unlinked"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SpoolDirectory]:
    """Both kinds of files: of systems that can make one without a name, and of others."""
    made = SpoolDirectory(str(tmp_path / "bodies"))
    if request.param == "unlinked":
        made._unnamed = False
    yield made
    made.close()
    left = [name for name in descriptors(os.getpid()) if str(tmp_path) in name]
    assert left == [], "a descriptor was left open"


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def events() -> list[object]:
    return []


@pytest.fixture
def spool(folder: SpoolDirectory, disk: Disk, events: list[object]) -> Iterator[Spool]:
    made = Spool(folder, disk.run, lambda: events.append("more"), events.append)
    yield made
    made.close()
    disk.work()


def names(folder: SpoolDirectory) -> list[str]:
    return os.listdir(folder.fd)  # noqa: PTH208 - by descriptor


def test_a_body_is_written_piece_by_piece_and_read_anywhere(
    spool: Spool, folder: SpoolDirectory, events: list[object]
) -> None:
    for at in range(0, len(BODY), 100_000):
        assert spool.feed(BODY[at : at + 100_000]) is False
    spool.end()

    assert events == ["more"] * 6
    assert len(spool) == len(BODY)
    assert spool.read(0, len(BODY)) == BODY
    assert spool.read(1000, 10) == BODY[1000:1010]
    assert spool.read(len(BODY) - 3, 10) == BODY[-3:]
    assert spool.read(len(BODY), 10) == spool.read(len(BODY) + 5, 10) == b""
    assert spool.digest() == sha256(BODY).digest()
    assert names(folder) == []


def test_a_body_of_which_nothing_came_is_empty(spool: Spool) -> None:
    assert (len(spool), spool.read(0, 10)) == (0, b"")
    assert spool.digest() == sha256(b"").digest()


def test_a_file_gets_a_name_when_asked_and_loses_it_with_the_body(
    spool: Spool, folder: SpoolDirectory
) -> None:
    spool.feed(BODY)
    path = Path(spool.path())

    assert spool.path() == str(path)
    assert path.read_bytes() == BODY
    assert (path.stat().st_mode, path.parent) == (stat.S_IFREG | 0o600, folder.path)
    assert spool.read(5, 5) == BODY[5:10]
    spool.close()
    assert names(folder) == []


def test_a_file_that_was_moved_away_is_kept(spool: Spool, tmp_path: Path) -> None:
    spool.feed(BODY)
    Path(spool.path()).rename(tmp_path / "kept")
    spool.close()

    assert (tmp_path / "kept").read_bytes() == BODY


def test_a_body_raises_after_its_end(spool: Spool) -> None:
    spool.feed(BODY)
    spool.close()
    spool.close()

    for ask in (lambda: spool.read(0, 1), spool.path, spool.digest, lambda: spool.copy(1, 0, 1)):
        with pytest.raises(RuntimeError, match="the request is over"):
            ask()


def test_a_file_is_not_closed_while_it_is_written(
    spool: Spool, disk: Disk, events: list[object], tmp_path: Path
) -> None:
    spool.feed(b"abc")
    disk.slow = True
    spool.feed(b"def")
    spool.stop()
    spool.close()
    assert len(disk.waiting) == 1
    disk.work()

    assert events == ["more"]
    assert not [name for name in descriptors(os.getpid()) if "bodies/" in name]


def test_a_write_error_is_passed_on(
    spool: Spool, folder: SpoolDirectory, events: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "fd", os.open("/dev/null", os.O_RDONLY))
    spool.feed(b"abc")
    os.close(folder.fd)
    monkeypatch.undo()

    (error,) = events
    assert isinstance(error, OSError)


def test_a_part_can_be_copied_to_a_file(spool: Spool, tmp_path: Path) -> None:
    spool.feed(BODY)
    with (tmp_path / "part").open("wb") as file:
        spool.copy(file.fileno(), 1000, 400_000)

    assert (tmp_path / "part").read_bytes() == BODY[1000:401_000]


def test_a_missing_directory_is_made_private(tmp_path: Path) -> None:
    SpoolDirectory(str(tmp_path / "new")).close()
    (tmp_path / "old").mkdir(mode=0o755)
    SpoolDirectory(str(tmp_path / "old")).close()

    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "old").stat().st_mode) == 0o755
    with pytest.raises(OSError, match="missing"):
        SpoolDirectory(str(tmp_path / "missing" / "new"))


def test_unlocked_files_are_swept(tmp_path: Path) -> None:
    held = tmp_path / NAME.replace("-1-", "-2-")
    link, pipe = tmp_path / NAME.replace("-1-", "-3-"), tmp_path / NAME.replace("-1-", "-4-")
    others = [held, link, pipe, tmp_path / "body-1", tmp_path / "body-1-0123456789abcdef.txt"]
    for path in (tmp_path / NAME, held, *others[3:]):
        path.write_bytes(b"x")
    link.symlink_to(tmp_path / "body-1")
    os.mkfifo(pipe)
    with held.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        sweep_directory(str(tmp_path))

    assert set(tmp_path.iterdir()) == set(others)
    sweep_directory(str(tmp_path / "missing"))


def test_a_path_that_becomes_another_directory_changes_nothing(
    spool: Spool, folder: SpoolDirectory, tmp_path: Path
) -> None:
    (tmp_path / "bodies").rename(tmp_path / "moved")
    (tmp_path / "other").mkdir()
    (tmp_path / "bodies").symlink_to(tmp_path / "other")
    spool.feed(BODY)
    spool.path()

    assert len(list((tmp_path / "moved").iterdir())) == 1
    assert list((tmp_path / "other").iterdir()) == []


def test_the_path_of_a_body_is_right_after_a_rename(
    spool: Spool, folder: SpoolDirectory, tmp_path: Path
) -> None:
    spool.feed(BODY)
    (tmp_path / "bodies").rename(tmp_path / "moved")
    path = Path(spool.path())

    assert path.parent == tmp_path / "moved"
    assert path.read_bytes() == BODY
    spool.close()
    assert names(folder) == []


@pytest.mark.parametrize("begun", [False, True])
def test_a_directory_that_is_removed_is_made_again(
    spool: Spool, folder: SpoolDirectory, tmp_path: Path, begun: bool
) -> None:
    if begun:
        spool.feed(BODY)
    (tmp_path / "bodies").rmdir()
    if not begun:
        spool.feed(BODY)
    path = Path(spool.path())

    assert path.parent == tmp_path / "bodies"
    assert path.read_bytes() == BODY
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    spool.close()
    assert names(folder) == []


def test_so_are_the_directories_above_it(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    folder = SpoolDirectory(str(tmp_path / "a" / "b" / "bodies"))
    shutil.rmtree(tmp_path / "a")
    os.close(folder.open())

    assert (tmp_path / "a" / "b" / "bodies").is_dir()
    folder.close()


def test_a_directory_that_others_made_in_its_place_is_refused(tmp_path: Path) -> None:
    folder = SpoolDirectory(str(tmp_path / "bodies"))
    (tmp_path / "bodies").rmdir()
    (tmp_path / "bodies").mkdir()
    (tmp_path / "bodies").chmod(0o777)
    with pytest.raises(PermissionError, match="other users may write to it"):
        folder.open()
    (tmp_path / "bodies").chmod(0o700)
    os.close(folder.open())
    folder.close()
