"""Chunked bodies: their content, their end, and what is refused."""

import pytest

from kore._core.refusals import ParseError
from kore._core.testing import ChunkReader
from tests.helpers.three_ways import three_ways

Outcome = tuple[bytes, int] | None


def decode(data: bytes) -> Outcome:
    """Return the body and where it ended, None for more."""
    reader = ChunkReader()
    body, used = reader.feed(data)
    return (body, used) if reader.done else None


def read(data: bytes) -> tuple[bytes, int] | str | None:
    return three_ways(decode, data, ParseError)


def status(data: bytes) -> int:
    found = read(data)
    assert isinstance(found, str), found
    return int(found.rpartition(" ")[2])


ACCEPTED = [
    (b"0\r\n\r\n", b""),
    (b"3\r\nabc\r\n0\r\n\r\n", b"abc"),
    (b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", b"abc"),
    (b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
    (b"a\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
    (b"0003\r\nabc\r\n000\r\n\r\n", b"abc"),
    (b"3;ext\r\nabc\r\n0;x=y\r\n\r\n", b"abc"),
    (b'3;a="b;c\\"";d\t\xe9\r\nabc\r\n0\r\n\r\n', b"abc"),
    (b"2\r\n\r\n\r\n0\r\n\r\n", b"\r\n"),
    (b"1\r\n0\r\n0\r\n\r\n", b"0"),
    (b"3\r\nabc\r\n0\r\nX: y\r\nZ:\r\n\r\n", b"abc"),
]

REFUSED = [
    (400, b"\r\n"),
    (400, b" 3\r\n"),
    (400, b"3 \r\n"),
    (400, b"3\n"),
    (400, b"3\r\r"),
    (400, b"3\r\nabcd"),
    (400, b"3\r\nabc\n"),
    (400, b"3\r\nabc\rx"),
    (400, b"g\r\n"),
    (400, b"-1\r\n"),
    (400, b"+1\r\n"),
    (400, b"0x1\r\n"),
    (400, b";a\r\n"),
    (400, b"1;a\nb\r\n"),
    (400, b"1;a\0\r\n"),
    (400, b"\xb1\r\n"),
    (400, b"\x91\r\n"),
    (400, b"0\r\nX\r\n"),
    (400, b"0\r\nX : y\r\n"),
    (400, b"0\r\n X: y\r\n"),
    (400, b"0\r\n: y\r\n"),
    (400, b"0\r\nX: y\n"),
    (400, b"0\r\nX: \0"),
    (400, b"0\r\n\n"),
    (400, b"0\r\n\rx"),
]


@pytest.mark.parametrize(("data", "body"), ACCEPTED)
def test_valid_body_is_decoded(data: bytes, body: bytes) -> None:
    assert read(data) == (body, len(data))


@pytest.mark.parametrize(("wanted", "data"), REFUSED)
def test_invalid_body_is_refused_with_status(wanted: int, data: bytes) -> None:
    assert status(data) == wanted


@pytest.mark.parametrize(("data", "body"), ACCEPTED)
def test_body_is_decoded_alike_wherever_it_is_cut(data: bytes, body: bytes) -> None:
    for at in range(len(data)):
        reader = ChunkReader()
        first, used = reader.feed(data[:at])
        assert (used, reader.done) == (at, False)
        rest, used = reader.feed(data[at:] + b"tail")
        assert (first + rest, at + used, reader.done) == (body, len(data), True)


def test_bytes_after_the_body_are_not_used() -> None:
    reader = ChunkReader()

    assert reader.feed(b"0\r\n\r\nGET /") == (b"", 5)
    assert reader.feed(b"GET /") == (b"", 0)
    assert reader.done


def test_empty_input_changes_nothing() -> None:
    reader = ChunkReader()

    assert reader.feed(b"") == (b"", 0)
    assert not reader.done


@pytest.mark.parametrize("size", [(1 << 63) - 1, 1 << 62, 1 << 32, (1 << 32) - 1])
def test_large_chunk_sizes_are_counted(size: int) -> None:
    reader = ChunkReader()

    assert reader.feed(b"%x\r\n" % size + b"y" * 5000)[0] == b"y" * 5000
    assert not reader.done


@pytest.mark.parametrize("size", [1 << 63, (1 << 64) - 1, 1 << 64, 1 << 400])
def test_chunk_size_beyond_64_bits_is_refused(size: int) -> None:
    assert status(b"%x\r\n" % size) == 400


@pytest.mark.parametrize(
    ("start", "filler", "wanted"),
    [
        (b"", b"0", 400),
        (b"1;", b"x", 400),
        (b"0\r\nX:", b"v", 431),
        (b"0\r\n", b"X:\r\n", 431),
        (b"0\r\n", b"X", 431),
    ],
)
def test_overhead_limit_is_4096_bytes(start: bytes, filler: bytes, wanted: int) -> None:
    data = (start + filler * 4096)[:4096]

    assert decode(data) is None
    assert status(data + filler * 4) == wanted


def test_overhead_is_counted_per_chunk() -> None:
    chunk = b"1;" + b"x" * 4000 + b"\r\na\r\n"

    assert decode(chunk * 10 + b"0\r\n\r\n") == (b"a" * 10, 10 * len(chunk) + 5)
