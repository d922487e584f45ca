"""Messages assembled from frames: those that were sent, or a close code."""

import random
import zlib
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from kore._core.testing import MessageReader
from kore._websocket.deflate import TAIL, DeflateParameters, Deflater


def frame(op: int, data: bytes, *, fin: bool = True, rsv1: bool = False) -> bytes:
    """Return a masked frame; made by hand, because libraries refuse to make bad ones."""
    key = b"\x11\x22\x33\x44"
    first = op | 0x80 * fin | 0x40 * rsv1
    size = len(data)
    if size < 126:
        length = bytes([0x80 | size])
    elif size < 1 << 16:
        length = b"\xfe" + size.to_bytes(2, "big")
    else:
        length = b"\xff" + size.to_bytes(8, "big")
    return bytes([first]) + length + key + bytes(c ^ key[i % 4] for i, c in enumerate(data))


def read(data: bytes, cuts: Iterable[int] = (), **limits: Any) -> list[Any]:
    """Return all there is in *data*, which comes in pieces."""
    messages = MessageReader(**limits)
    found = []
    places = [0, *sorted(cuts), len(data)]
    for start, end in pairwise(places):
        found += messages.feed(data[start:end])
        if found and isinstance(found[-1], int):
            break
    return found


@st.composite
def conversations(draw: st.DrawFn) -> tuple[bytes, list[tuple[int, str | bytes]]]:
    """Draw messages, cut into frames with control frames between them; and what they are."""
    wire, expected = b"", []
    payloads = st.one_of(st.text(max_size=40), st.binary(max_size=300))
    for payload in draw(st.lists(payloads, max_size=5)):
        data = payload.encode() if isinstance(payload, str) else payload
        op = 1 if isinstance(payload, str) else 2
        cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=3)))
        places = [0, *cuts, len(data)]
        for number, (start, end) in enumerate(pairwise(places)):
            fin = number == len(cuts)
            kind = Opcode(0 if number else op)
            wire += Frame(kind, data[start:end], fin=fin).serialize(mask=True)
            if not fin and draw(st.booleans()):
                ping = draw(st.binary(max_size=125))
                wire += Frame(Opcode.PING, ping).serialize(mask=True)
                expected.append((9, ping))
        expected.append((op, payload))
    return wire, expected


@given(conversations(), st.data())
def test_messages_are_assembled_however_they_are_cut(
    conversation: tuple[bytes, list[tuple[int, str | bytes]]], data: st.DataObject
) -> None:
    wire, expected = conversation
    cuts = data.draw(st.lists(st.integers(0, len(wire)), max_size=6))

    assert read(wire, cuts) == expected
    assert read(wire, range(len(wire))) == expected


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([frame(0, b"x")], 1002),
        ([frame(1, b"x", fin=False), frame(1, b"y")], 1002),
        ([frame(1, b"x", fin=False), frame(2, b"y")], 1002),
        ([frame(1, b"x"), frame(0, b"y")], 1002),
        ([frame(9, b"x", fin=False)], 1002),
        ([frame(1, b"x", rsv1=True)], 1002),
        ([frame(3, b"x")], 1002),
        ([frame(11, b"x")], 1002),
        ([frame(8, b"x")], 1002),
        ([frame(8, b"\x03\xec")], 1002),
        ([frame(8, b"\x03\xe8\xff")], 1007),
        ([frame(1, b"\xff")], 1007),
        ([frame(1, b"\xe2\x82")], 1007),
        ([frame(1, b"\xe2\x82", fin=False), frame(0, b"x")], 1007),
        ([frame(2, b"x" * 101)], 1009),
        ([frame(2, b"x" * 60, fin=False), frame(0, b"x" * 60)], 1009),
    ],
)
def test_invalid_frames_are_refused(frames: list[bytes], code: int) -> None:
    wire = b"".join(frames)

    assert read(wire, message_max=100)[-1] == code
    assert read(wire, range(len(wire)), message_max=100)[-1] == code


def test_invalid_utf8_is_refused_before_the_message_ends() -> None:
    assert read(frame(1, b"abc\xff", fin=False)) == [1007]
    whole = frame(1, b"a" * 100 + b"\xff" + b"a" * 1000)
    assert read(whole[:150]) == [1007]


def test_length_above_the_limit_is_refused_before_its_payload() -> None:
    head = frame(2, b"x" * 70_000)[:14]

    assert read(head, frame_max=69_999) == [1009]
    assert read(head, message_max=69_999) == [1009]
    assert read(head, frame_max=70_000, message_max=70_000) == []


# Compressed messages


def inflater() -> Any:
    raw = zlib.decompressobj(-15)

    def inflate(data: bytes, most: int) -> bytes:
        try:
            return raw.decompress(data, most)
        except zlib.error as error:
            raise ValueError(str(error)) from None

    return inflate


def packed(*texts: bytes) -> list[bytes]:
    raw = zlib.compressobj(wbits=-15)
    return [(raw.compress(text) + raw.flush(zlib.Z_SYNC_FLUSH))[:-4] for text in texts]


def test_compressed_message_is_inflated_across_frames() -> None:
    first, second = packed("größe ".encode() * 50, b"again " * 50)
    wire = (
        frame(1, first[:5], fin=False, rsv1=True)
        + frame(9, b"ping")
        + frame(0, first[5:])
        + frame(2, second, rsv1=True)
        + frame(1, b"plain")
    )

    expected = [(9, b"ping"), (1, "größe " * 50), (2, b"again " * 50), (1, "plain")]
    assert read(wire, inflate=inflater()) == expected
    assert read(wire, range(len(wire)), inflate=inflater()) == expected


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([frame(1, b"\xff\xff\xff", rsv1=True)], 1007),
        ([frame(2, packed(b"\0" * 5_000_000)[0], rsv1=True)], 1009),
        ([frame(1, packed(b"\xff\xfe")[0], rsv1=True)], 1007),
        ([frame(1, b"x", fin=False, rsv1=True), frame(0, b"x", rsv1=True)], 1002),
        ([frame(9, b"x", rsv1=True)], 1002),
    ],
)
def test_invalid_compressed_messages_are_refused(frames: list[bytes], code: int) -> None:
    assert read(b"".join(frames), inflate=inflater(), message_max=100_000) == [code]


@pytest.mark.parametrize("size", [0, 1, 125, 10_000, 100_000])
@pytest.mark.parametrize(
    ("level", "memory", "strategy"),
    [(1, 8, 0), (9, 1, 0), (0, 8, 0), (9, 9, zlib.Z_FIXED), (6, 1, zlib.Z_HUFFMAN_ONLY)],
)
def test_overhead_of_compression_is_not_counted(
    size: int, level: int, memory: int, strategy: int
) -> None:
    def packed(data: bytes) -> bytes:
        packer = zlib.compressobj(level, zlib.DEFLATED, -15, memory, strategy)
        return (packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)

    noise = random.Random(size).randbytes(size + 1)
    limits = {"message_max": size, "frame_max": size}
    for data, expected in ((noise[:size], (2, noise[:size])), (noise, 1009)):
        wire = packed(data)
        assert len(wire) > size
        whole = frame(2, wire, rsv1=True)
        half = len(wire) // 2
        parts = frame(2, wire[:half], fin=False, rsv1=True) + frame(0, wire[half:])
        for sent in (whole, parts):
            messages = MessageReader(inflate=Deflater(DeflateParameters()).unpack, **limits)
            assert messages.feed(sent) == [expected]
    # It is no way around the limits.
    messages = MessageReader(inflate=Deflater(DeflateParameters()).unpack, **limits)
    assert messages.feed(frame(2, bytes(size * 9 // 8 + 200), rsv1=True)[:20]) == [1009]
    assert MessageReader(**limits).feed(frame(2, bytes(size + 1))[:20]) == [1009]
