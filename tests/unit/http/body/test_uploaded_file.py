"""An uploaded file: its name, and its bytes piece by piece."""

from pathlib import Path

import pytest

from kore._http.body import uploaded_file
from kore._http.body.body_storage import MemoryBody
from kore._http.body.multipart import FormPart
from kore._http.body.uploaded_file import _get_base_name


def http_file(name: str, filename: str, content_type: str, data: bytes) -> uploaded_file.HttpFile:
    """Return a file in the middle of a body."""
    part = FormPart(name, filename, content_type, 5, len(data))
    return uploaded_file.HttpFile(part, MemoryBody(b"head " + data + b" tail"))


def test_a_file_is_read_piece_by_piece() -> None:
    file = http_file("f", "a.bin", "", bytes(range(250)) * 10)

    pieces = [file.read(1024) for _ in range(4)]

    assert [length for length, _ in pieces] == [1024, 1024, 452, 0]
    assert b"".join(piece for _, piece in pieces) == file.body
    assert file.read(5) == (0, b"")


def test_a_read_has_kores_limit() -> None:
    file = http_file("f", "a", "", b"abc")

    with pytest.raises(RuntimeError, match=r"len > sizeof\(buf\)"):
        file.read(1025)
    with pytest.raises(ValueError, match="cannot read -1 bytes"):
        file.read(-1)
    assert file.read(0) == (0, b"")


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("photo.jpg", "photo.jpg"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\ada\\photo.jpg", "photo.jpg"),
        ("a/b\\c", "c"),
        ("folder/", ""),
        ("..", ""),
        ("a/..", ""),
        (".", ""),
        ("a\r\nb\0c", "abc"),
        (".hidden", ".hidden"),
        ("ä €.txt", "ä €.txt"),
    ],
)
def test_a_name_is_safe_and_the_one_that_was_sent_is_kept(sent: str, name: str) -> None:
    file = http_file("f", sent, "", b"")

    assert (file.filename, file.raw_filename) == (name, sent)
    assert _get_base_name(sent) == name


def test_an_empty_file_is_a_file() -> None:
    file = http_file("f", "a", "text/plain", b"")

    assert file
    assert (len(file), file.length, file.name, file.content_type) == (0, 0, "f", "text/plain")
    assert repr(file) == "<kore.http_file 'f' 'a' 0 bytes>"


def test_a_file_can_be_saved_and_overwrites_nothing(tmp_path: Path) -> None:
    file = http_file("f", "a", "", b"content")
    file.save(tmp_path / "x")

    assert (tmp_path / "x").read_bytes() == b"content"
    assert file.read(3) == (3, b"con")
    with pytest.raises(FileExistsError):
        file.save(str(tmp_path / "x"))
    with pytest.raises(FileNotFoundError):
        file.save(tmp_path / "missing" / "x")


def test_a_failed_save_leaves_no_file(tmp_path: Path) -> None:
    class Broken(MemoryBody):
        def copy(self, target: int, place: int, length: int) -> None:
            raise OSError(28, "No space left on device")

    file = uploaded_file.HttpFile(FormPart("f", "a", "", 0, 3), Broken(b"abc"))
    with pytest.raises(OSError, match="No space"):
        file.save(tmp_path / "x")

    assert list(tmp_path.iterdir()) == []
