"""Files opened without leaving a directory, on kernels with and without openat2()."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kore._core.file import FileRange, OpenFile, open_beneath, open_file
from tests.helpers.fix_core import descriptors

Open = Callable[[str], OpenFile | None]


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Return a directory with a secret beside the one that is served."""
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "safe-evil").mkdir()
    (tmp_path / "safe-evil" / "secret").write_text("secret")
    return tmp_path


@pytest.fixture
def root(outside: Path) -> Path:
    """Return a directory with something in it."""
    root = outside / "safe"
    (root / "a" / "b").mkdir(parents=True)
    (root / "file").write_text("hello")
    (root / "a" / "b" / "deep").write_text("deep")
    return root


@pytest.fixture(params=[False, True], ids=["openat2", "walking"])
def find(request: pytest.FixtureRequest, root: Path) -> Iterator[Open]:
    """Open beneath *root*, in both ways; nothing stays open."""
    fd = os.open(root, os.O_PATH | os.O_DIRECTORY)
    before = descriptors()
    yield lambda name: open_beneath(fd, name, walking=request.param)
    assert descriptors() == before
    os.close(fd)


def test_file_has_size_and_type(find: Open, root: Path) -> None:
    file = find("file")
    assert file is not None
    about = (root / "file").stat()

    assert (file.size, file.mtime_ns, file.inode) == (5, about.st_mtime_ns, about.st_ino)
    assert (file.is_regular, file.is_directory) == (True, False)
    assert os.pread(file.fileno(), 9, 0) == b"hello"


@pytest.mark.parametrize("second", [0, -1, -9_300_000_000, 9_223_372_036, 10**10, 2**34 - 1])
def test_mtime_is_that_of_the_file_system(
    find: Open, root: Path, second: int
) -> None:
    os.utime(root / "file", ns=(0, second * 10**9 + 5))
    file = find("file")

    assert file is not None
    assert file.mtime_ns == (root / "file").stat().st_mtime_ns


def test_deeply_nested_file_is_found(find: Open) -> None:
    file = find("a/b/deep")

    assert file is not None
    assert file.size == 4


def test_directory_is_recognized(find: Open) -> None:
    file = find("a/b")

    assert file is not None
    assert (file.is_regular, file.is_directory) == (False, True)


@pytest.mark.parametrize(
    "name",
    [
        "", "none", "a/none", "file/", "file/x", "x" * 256, "x" * 5000, "a/" * 3000 + "x",
        "../secret", "../safe/file", "a/../../secret", "..", "/etc/passwd", "../safe-evil/secret",
        "a/b/../../../secret", "\udcff", "file\udc80",
    ],
)  # fmt: skip
def test_missing_and_outside_names_return_none(find: Open, name: str) -> None:
    assert find(name) is None


@pytest.mark.parametrize(
    "target",
    ["../secret", "/etc/passwd", "../safe-evil", "..", "a/../../secret", "/proc/self/root", "self"],
)
def test_link_that_leads_out_returns_none(find: Open, root: Path, target: str) -> None:
    (root / "self").symlink_to("self")
    (root / "link").symlink_to(target)
    (root / "a" / "link").symlink_to("../" + target if target[0] != "/" else target)

    assert find("link") is None
    for rest in ("", "/secret", "/etc/passwd", "/safe/file"):
        for link in ("link", "a/link"):
            assert find(link + rest) is None or target == "self"


def test_inner_links_are_followed_with_openat2_only(
    root: Path, find: Open, request: pytest.FixtureRequest
) -> None:
    (root / "link").symlink_to("a/b/deep")
    (root / "a" / "up").symlink_to("../file")
    (root / "dir").symlink_to("a")
    walking = "walking" in request.node.name

    for name in ("link", "a/up", "dir/b/deep"):
        file = find(name)
        assert (file is None) == walking, name


def test_magic_link_returns_none(root: Path) -> None:
    fd = os.open("/proc/self", os.O_PATH | os.O_DIRECTORY)
    try:
        with (root / "file").open() as file:
            for walking in (False, True):
                assert open_beneath(fd, f"fd/{file.fileno()}", walking=walking) is None
                assert open_beneath(fd, "exe", walking=walking) is None
    finally:
        os.close(fd)


def test_fifo_is_opened_without_waiting(find: Open, root: Path) -> None:
    os.mkfifo(root / "fifo")
    file = find("fifo")

    assert file is not None
    assert not file.is_regular
    assert not file.is_directory


def test_socket_returns_none(find: Open, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind("sock")
        assert find("sock") is None


def test_device_is_not_a_regular_file(monkeypatch: pytest.MonkeyPatch) -> None:
    fd = os.open("/dev", os.O_PATH | os.O_DIRECTORY)
    try:
        file = open_beneath(fd, "null")
        assert file is not None
        assert not file.is_regular
    finally:
        os.close(fd)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file_raises(find: Open, root: Path) -> None:
    (root / "file").chmod(0)
    with pytest.raises(PermissionError):
        find("file")


def test_invalid_descriptor_raises() -> None:
    for walking in (False, True):
        with pytest.raises(OSError, match="Bad file descriptor"):
            open_beneath(10**6, "file", walking=walking)


def test_changing_link_never_leads_out(outside: Path, find: Open) -> None:
    """Another process exchanges a directory and a link that leads out, all the time."""
    root, stop = outside / "safe", threading.Event()
    (root / "door").mkdir()
    (root / "door" / "secret").write_text("safe")
    (root / "away").symlink_to("../safe-evil")

    def swap() -> None:
        while not stop.is_set():
            (root / "door").rename(root / "kept")
            (root / "away").rename(root / "door")
            (root / "door").rename(root / "away")
            (root / "kept").rename(root / "door")

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        contents = set()
        for _ in range(3000):
            file = find("door/secret")
            if file is not None:
                contents.add(os.pread(file.fileno(), 99, 0))
    finally:
        stop.set()
        swapping.join()
    assert contents <= {b"safe"}


def test_file_is_closed_with_its_last_range(root: Path) -> None:
    before = descriptors()
    file = open_file(root / "file")
    pieces = [file.get_range(0, 2), file.get_range(2, 3)]
    assert [len(piece) for piece in pieces] == [2, 3]
    del file
    assert descriptors() == before + 1
    pieces.clear()

    assert descriptors() == before


def test_constructors_raise(root: Path) -> None:
    for kind in (OpenFile, FileRange):
        with pytest.raises(TypeError):
            kind()
    with pytest.raises(ValueError, match="no part of a file"):
        open_file(root / "file").get_range(-1, 5)
    with pytest.raises(FileNotFoundError):
        open_file(root / "none")
