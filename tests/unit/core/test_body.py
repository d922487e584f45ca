"""Bodies with a length, and chunked ones: collected, refused early, allocated as they arrive."""

import tracemalloc

import pytest

from kore._core.refusals import ParseError
from kore._core.testing import read_body

LARGEST = (1 << 63) - 1


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def status(pieces: list[bytes], length: int | None = None, *, size_max: int = 1 << 20) -> int:
    with pytest.raises(ParseError) as refusal:
        read_body(pieces, length, size_max=size_max)
    return refusal.value.status


@pytest.mark.parametrize("size", [1, 2, 65535, 65536, 65537, 300_000])
def test_body_ends_at_its_announced_length(size: int) -> None:
    data = bytes(i % 251 for i in range(size))

    assert read_body([data + b"tail"], size) == (data, b"tail")
    assert read_body([data[:-1]], size) is None
    assert read_body([data[:1], data[1:] + b"tail"], size) == (data, b"tail")


def test_empty_body_is_complete_at_once() -> None:
    assert read_body([], 0) == (b"", b"")
    assert read_body([b"tail"], 0) == (b"", b"tail")


def test_body_received_byte_by_byte_is_collected() -> None:
    data = bytes(range(256)) * 300

    assert read_body([bytes([byte]) for byte in data], len(data)) == (data, b"")


@pytest.mark.parametrize("size", [1, 15, 16, 65536, 300_000])
@pytest.mark.parametrize("piece", [1, 7, 4096])
def test_chunks_are_joined(size: int, piece: int) -> None:
    data = bytes(i % 251 for i in range(size))[: 1000 * piece]
    sent = b"".join(chunk(data[at : at + piece]) for at in range(0, len(data), piece))

    assert read_body([sent + b"0\r\n\r\n" + b"tail"]) == (data, b"tail")
    assert read_body([sent]) is None


def test_chunked_body_without_chunks_is_empty() -> None:
    assert read_body([b"0\r\n\r\n"]) == (b"", b"")
    assert read_body([b"0\r\n\r\n"], size_max=0) == (b"", b"")


def test_chunked_body_may_be_cut_anywhere() -> None:
    sent = chunk(b"a") + chunk(b"bc" * 20) + b"0\r\nX: y\r\n\r\n"

    for at in range(len(sent)):
        assert read_body([sent[:at], sent[at:]]) == (b"a" + b"bc" * 20, b"")


def test_chunked_body_is_limited_to_size_max() -> None:
    assert (
        read_body([chunk(b"a" * 600), chunk(b"b" * 400), b"0\r\n\r\n"], size_max=1000) is not None
    )
    assert status([chunk(b"a" * 600), chunk(b"b" * 401)], size_max=1000) == 413
    assert status([chunk(b"a")], size_max=0) == 413


def test_large_chunk_is_refused_at_its_first_byte() -> None:
    assert read_body([b"3e8\r\n" + b"a" * 999], size_max=1000) is None
    assert status([b"3e9\r\n", b"a"], size_max=1000) == 413
    assert status([chunk(b"a"), b"3e8\r\n", b"a"], size_max=1000) == 413


@pytest.mark.parametrize("size", [LARGEST, LARGEST - 1, 1 << 62, 1 << 32])
@pytest.mark.parametrize("size_max", [0, 1000, 1 << 62])
def test_huge_chunk_size_is_compared_without_overflow(size: int, size_max: int) -> None:
    announced = b"%x\r\n" % size

    if size + 1 > size_max:
        assert status([chunk(b"x"), announced, b"y" * 4096], size_max=size_max) == 413
    else:
        assert read_body([chunk(b"x"), announced, b"y" * 4096], size_max=size_max) is None


def test_largest_limit_does_not_overflow() -> None:
    assert read_body([chunk(b"x"), b"0\r\n\r\n"], size_max=LARGEST) == (b"x", b"")
    assert read_body([b"%x\r\n" % LARGEST, b"y"], size_max=LARGEST) is None


@pytest.mark.parametrize("data", [b"x\r\n", b"3\r\nabcd", b"0\r\nbad\r\n"])
def test_invalid_chunked_body_is_refused(data: bytes) -> None:
    assert status([data]) == 400


def test_announced_length_allocates_nothing() -> None:
    """Not even address space, let alone what the kernel would have to find."""
    tracemalloc.start()
    try:
        assert read_body([b"a"], 1 << 40, size_max=1 << 40) is None
        assert read_body([b"%x\r\n" % (1 << 40), b"a"], size_max=1 << 40) is None
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("chunked", [False, True])
def test_body_allocates_at_most_twice_its_size(*, chunked: bool) -> None:
    piece = b"a" * 65536
    tracemalloc.start()
    try:
        if chunked:
            found = read_body(
                [b"%x\r\n" % (1 << 23), *[piece] * 128, b"\r\n0\r\n\r\n"], size_max=1 << 40
            )
        else:
            found = read_body([piece] * 128, 1 << 23, size_max=1 << 40)
        assert found is not None
        assert len(found[0]) == 1 << 23
        assert tracemalloc.get_traced_memory()[1] < 2.2 * (1 << 23)
    finally:
        tracemalloc.stop()


def test_abandoned_bodies_are_freed() -> None:
    tracemalloc.start()
    try:
        for _ in range(20):
            assert read_body([b"a" * 500_000], 1_000_000) is None
        assert tracemalloc.get_traced_memory()[0] < 500_000
    finally:
        tracemalloc.stop()


def test_body_is_not_shared_with_the_reader() -> None:
    bodies = [read_body([b"x", b"y" * n], n + 1) for n in (0, 0, 3)]

    assert [body and body[0] for body in bodies] == [b"x", b"x", b"xyyy"]
    assert hash(bodies[0]) == hash((b"x", b""))
