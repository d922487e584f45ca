"""An uploaded file: its name, and its bytes piece by piece."""

import pytest

from kore._http.files import HttpFile, base_name


def test_a_file_is_read_piece_by_piece() -> None:
    file = HttpFile("f", "a.bin", "", bytes(range(250)) * 10)

    pieces = [file.read(1024) for _ in range(4)]

    assert [length for length, _ in pieces] == [1024, 1024, 452, 0]
    assert b"".join(piece for _, piece in pieces) == file.body
    assert file.read(5) == (0, b"")


def test_a_read_has_kores_limit() -> None:
    file = HttpFile("f", "a", "", b"abc")

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
    file = HttpFile("f", sent, "", b"")

    assert (file.filename, file.raw_filename) == (name, sent)
    assert base_name(sent) == name


def test_an_empty_file_is_a_file() -> None:
    file = HttpFile("f", "a", "text/plain", b"")

    assert file
    assert (len(file), file.content_type) == (0, "text/plain")
    assert repr(file) == "<kore.http_file 'f' 'a' 0 bytes>"
