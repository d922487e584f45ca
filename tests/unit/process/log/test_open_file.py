"""Log files and pid files: whatever a path names, opening it does not block."""

import errno
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from kore._process.log.open_file import open_log, open_pidfile


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


def opened(stack: ExitStack, fd: int) -> int:
    stack.callback(os.close, fd)
    return fd


def test_a_log_is_created_and_appended_to(stack: ExitStack, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("old\n")
    os.write(opened(stack, open_log(str(path))), b"new\n")

    assert path.read_text() == "old\nnew\n"
    assert stat.S_IMODE(os.stat(opened(stack, open_log(str(tmp_path / "fresh")))).st_mode) == 0o644


def test_a_log_that_must_exist_is_not_created(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_log(str(tmp_path / "log"), create=False)


def test_lines_wait_in_a_fifo_without_a_reader(stack: ExitStack, tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    os.write(opened(stack, open_log(str(path))), b"line\n")

    reader = opened(stack, os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    assert os.read(reader, 100) == b"line\n"


def test_a_fifo_with_a_reader_waits_for_none(stack: ExitStack, tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = opened(stack, os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    os.write(opened(stack, open_log(str(path))), b"line\n")

    assert os.read(reader, 100) == b"line\n"


def test_a_fifo_that_needs_a_reader_is_refused_without_one(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)

    with pytest.raises(OSError, match="No such device or address"):
        open_log(str(path), needs_reader=True)


def test_a_directory_is_no_log(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        open_log(str(tmp_path))


def test_a_socket_is_no_log(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))

        with pytest.raises(OSError, match="No such device or address") as caught:
            open_log(str(tmp_path / "socket"))

    assert caught.value.errno == errno.ENXIO


@pytest.mark.parametrize("path", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_standard_output_may_be_named(
    stack: ExitStack, capfd: pytest.CaptureFixture[str], path: str
) -> None:
    fd = opened(stack, open_log(path))
    os.write(fd, b"line\n")

    assert fd > 2
    assert capfd.readouterr().out == "line\n"


def test_a_pipe_as_standard_output_keeps_its_own_flags(stack: ExitStack) -> None:
    read_end, write_end = (opened(stack, fd) for fd in os.pipe())
    before = opened(stack, os.dup(1))
    stack.callback(os.dup2, before, 1)
    os.dup2(write_end, 1)

    os.write(opened(stack, open_log("/dev/stdout")), b"line\n")

    assert os.get_blocking(1)
    assert os.read(read_end, 100) == b"line\n"


@pytest.mark.parametrize("content", ["", "123\n", " 123 "])
def test_a_pidfile_may_hold_a_number_or_nothing(
    stack: ExitStack, tmp_path: Path, content: str
) -> None:
    path = tmp_path / "pid"
    path.write_text(content)

    assert opened(stack, open_pidfile(str(path))) > 2
    assert path.read_text() == content


@pytest.mark.parametrize("content", ["text", "1" * 33, "12 13"])
def test_a_file_that_holds_anything_else_is_no_pidfile(tmp_path: Path, content: str) -> None:
    (tmp_path / "pid").write_text(content)

    with pytest.raises(FileExistsError, match="does not hold a pid"):
        open_pidfile(str(tmp_path / "pid"))


def test_a_link_is_no_pidfile(tmp_path: Path) -> None:
    (tmp_path / "pid").symlink_to(tmp_path / "other")

    with pytest.raises(OSError, match="it is a symbolic link"):
        open_pidfile(str(tmp_path / "pid"))
    assert not (tmp_path / "other").exists()


def test_a_loop_of_links_above_a_pidfile_keeps_its_reason(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")

    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        open_pidfile(str(tmp_path / "loop" / "pid"))


def test_a_file_with_a_second_name_is_no_pidfile(tmp_path: Path) -> None:
    (tmp_path / "pid").touch()
    (tmp_path / "other").hardlink_to(tmp_path / "pid")

    with pytest.raises(FileExistsError, match="hard links"):
        open_pidfile(str(tmp_path / "pid"))


def test_a_fifo_is_no_pidfile(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pid")

    with pytest.raises(FileExistsError, match="it is not a regular file"):
        open_pidfile(str(tmp_path / "pid"))
