"""WebSocket frames, compared with Python's UTF-8 decoder and with the websockets library."""

import itertools
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Close, Frame, Opcode

from kore._core.testing import (
    advance_utf8,
    encode_frame,
    mask_payload,
    read_close_code,
    read_frame_head,
)

KEY = b"\x01\x02\x03\x04"


def head(first: int, length: bytes) -> bytes:
    """Return a mask_payload frame's head; *length* without the mask's bit."""
    return bytes([first, length[0] | 0x80]) + length[1:] + KEY


@pytest.mark.parametrize(
    ("length", "size"),
    [
        (b"\x00", 0),
        (b"\x7d", 125),
        (b"\x7e\x00\x7e", 126),
        (b"\x7e\xff\xff", 65535),
        (b"\x7f" + (65536).to_bytes(8, "big"), 65536),
        (b"\x7f" + (2**63 - 1).to_bytes(8, "big"), 2**63 - 1),
    ],
)
def test_length_is_read_in_its_shortest_form(length: bytes, size: int) -> None:
    data = head(0x82, length)

    assert read_frame_head(data + b"payload") == (len(data), 2, True, False, KEY, size)
    assert [read_frame_head(data[:end]) for end in range(len(data))] == [None] * len(data)


@pytest.mark.parametrize(
    "length",
    [b"\x7e\x00\x7d", b"\x7f" + (65535).to_bytes(8, "big"), b"\x7f" + (2**63).to_bytes(8, "big")],
)
def test_length_in_a_longer_form_is_refused(length: bytes) -> None:
    assert read_frame_head(head(0x82, length)) == 1002


@pytest.mark.parametrize("first", range(256))
def test_frames_of_servers_and_unknown_opcodes_are_refused(first: int) -> None:
    op, fin, rsv = first & 15, first & 128, first & 0x70
    known = op in {0, 1, 2} or (op in {8, 9, 10} and fin)

    assert (read_frame_head(head(first, b"\x05")) != 1002) == (known and not rsv)
    assert (read_frame_head(head(first, b"\x05"), compression=True) != 1002) == (
        known and (not rsv or (rsv == 0x40 and op in {1, 2}))
    )
    assert read_frame_head(bytes([first, 5])) == 1002, "without a mask"


@pytest.mark.parametrize("op", [8, 9, 10])
def test_control_frame_is_limited_to_125_bytes(op: int) -> None:
    assert isinstance(read_frame_head(head(0x80 | op, b"\x7d")), tuple)
    assert read_frame_head(head(0x80 | op, b"\x7e\x00\x7e")) == 1002


@given(st.binary(max_size=100), st.binary(min_size=4, max_size=4), st.integers(0, 9))
def test_mask_is_repeated_over_the_payload(data: bytes, key: bytes, at: int) -> None:
    expected = bytes(c ^ key[(at + i) % 4] for i, c in enumerate(data))

    assert mask_payload(data, key, at) == expected
    assert mask_payload(expected, key, at) == data


SIZES = [0, 1, 125, 126, 65535, 65536, 100_000]


@pytest.mark.parametrize(
    ("op", "size"),
    [*itertools.product([1, 2], SIZES), *itertools.product([8, 9, 10], SIZES[:3])],
)
def test_frames_are_encoded_as_by_websockets(op: int, size: int) -> None:
    data = os.urandom(size)

    assert encode_frame(op, data) == Frame(Opcode(op), data).serialize(mask=False)
    first, *rest = encode_frame(op, data)
    assert encode_frame(op, data, compressed=True) == bytes([first | 0x40, *rest])


# UTF-8: every sequence up to three bytes, and the corners of four.


def is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


CORNERS = (0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC2, 0xFF)
SEQUENCES = [
    *itertools.product(range(256), repeat=2),
    *itertools.product(range(0xC0, 0x100), range(0x7E, 0xC2), CORNERS),
    *itertools.product(range(0xED, 0xF8), range(0x7E, 0xC2), CORNERS, CORNERS),
]


def test_utf8_check_agrees_with_python() -> None:
    wrong = [data for data in map(bytes, SEQUENCES) if (advance_utf8(data) == 0) != is_text(data)]

    assert not wrong


@given(st.text(max_size=60), st.data())
def test_utf8_is_checked_across_pieces(text: str, data: st.DataObject) -> None:
    encoded = text.encode()
    cut = data.draw(st.integers(0, len(encoded)))

    middle = advance_utf8(encoded[:cut])

    assert middle is not None
    assert (middle == 0) == is_text(encoded[:cut])
    assert advance_utf8(encoded[cut:], middle) == 0


@pytest.mark.parametrize(
    "beginning", [b"\xc0", b"\xf5", b"\xed\xa0", b"\xf4\x90", b"a" * 9 + b"\x80"]
)
def test_invalid_utf8_is_found_at_its_first_byte(beginning: bytes) -> None:
    assert advance_utf8(beginning) is None


# Close codes


@pytest.mark.parametrize("code", [*range(995, 1020), 1999, 2999, 3000, 4999, 5000, 65535])
def test_close_codes_of_the_protocol_are_accepted(code: int) -> None:
    try:
        Close(code, "bye").check()
        allowed = True
    except Exception:  # noqa: BLE001 - whatever the library raises
        allowed = False

    assert read_close_code(code.to_bytes(2, "big") + b"bye") == (code if allowed else -1002)


def test_close_frame_with_half_a_code_or_invalid_reason_is_refused() -> None:
    assert read_close_code(b"") == 1005
    assert read_close_code(b"\x03") == -1002
    assert read_close_code(b"\x03\xe8") == 1000
    assert read_close_code(b"\x03\xe8\xff") == -1007
    assert read_close_code("\x03è€".encode("latin-1", "ignore") + "€".encode()[:2]) == -1007
