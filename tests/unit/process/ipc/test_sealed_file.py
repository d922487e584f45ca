import os

import pytest

from kore._process.ipc.messages import ProtocolError
from kore._process.ipc.sealed_file import create_sealed_file, read_sealed_file


def test_content_is_read_as_often_as_wanted() -> None:
    content = bytes(range(256)) * 4096
    fd = create_sealed_file("test", content)
    try:
        assert read_sealed_file(fd, len(content)) == content
        assert read_sealed_file(fd, len(content)) == content
    finally:
        os.close(fd)


def test_a_sealed_file_cannot_be_changed_and_is_not_inherited() -> None:
    fd = create_sealed_file("test", b"content")
    try:
        assert not os.get_inheritable(fd)
        with pytest.raises(PermissionError):
            os.pwrite(fd, b"x", 0)
        with pytest.raises(PermissionError):
            os.ftruncate(fd, 0)
        with pytest.raises(PermissionError):
            os.write(fd, b"more")
    finally:
        os.close(fd)


def test_a_file_that_can_be_changed_is_refused() -> None:
    for fd in (os.memfd_create("test", os.MFD_ALLOW_SEALING), os.open("/dev/null", os.O_RDONLY)):
        with pytest.raises(ProtocolError, match="not sealed"):
            read_sealed_file(fd, 100)
        os.close(fd)


def test_a_large_file_is_refused() -> None:
    fd = create_sealed_file("test", b"x" * 101)
    with pytest.raises(ProtocolError, match="101 bytes"):
        read_sealed_file(fd, 100)
    os.close(fd)
