"""A broadcast on its way to other workers: whom it is for, and the frame."""

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kore._core.ws_options import build_frame
from kore._websocket.broadcast import packed, unpacked

TEXT, BINARY = 1, 2


@given(st.binary(), st.none() | st.text())
@example(b"", "")
@example(b"", "\ud800")
@example(b"x" * 126, None)
@example(b"x" * 65536, "room")
def test_a_frame_arrives_with_the_group_it_is_for(data: bytes, group: str | None) -> None:
    whole = build_frame(BINARY, data)

    assert unpacked(packed(whole, group)) == (group, whole)


GOOD = build_frame(TEXT, "good")


@pytest.mark.parametrize(
    "nonsense",
    [
        b"",
        b"\0\0\0",
        packed(b"", None),
        packed(b"\x81", None),
        packed(GOOD[:-1], None),
        packed(GOOD + b"x", None),
        packed(b"\x01" + GOOD[1:], None),
        packed(b"\x88\x00", None),
        packed(b"\x81\x81" + GOOD[2:], None),
        packed(build_frame(BINARY, b"\xff").replace(b"\x82", b"\x81"), None),
        packed(GOOD, "room").replace(b"room", b"\xff" * 4),
        struct.pack("!I", 100) + GOOD,
    ],
)
def test_what_is_no_broadcast_is_sent_to_nobody(nonsense: bytes) -> None:
    with pytest.raises(ValueError, match=r"no frame|another length|too short|can't decode"):
        unpacked(nonsense)


def test_the_nameless_group_is_not_everybody() -> None:
    assert packed(b"x", "") != packed(b"x", None)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_message_is_one_frame_whatever_it_is_given_as(text: str) -> None:
    whole = build_frame(TEXT, text)

    assert whole.endswith(text.encode())
    assert whole == build_frame(TEXT, text.encode()) == build_frame(TEXT, bytearray(text.encode()))
    assert build_frame(BINARY, text)[1:] == whole[1:]


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, b"\x82\x00"),
        (125, b"\x82\x7d"),
        (126, b"\x82\x7e\x00\x7e"),
        (65535, b"\x82\x7e\xff\xff"),
        (65536, b"\x82\x7f" + struct.pack("!Q", 65536)),
    ],
)
def test_a_frame_has_the_shortest_head_there_is(size: int, head: bytes) -> None:
    assert build_frame(BINARY, b"x" * size) == head + b"x" * size


@pytest.mark.parametrize("op", [0, 3, 8, 9, None, "text", 1.5])
def test_only_messages_are_broadcast(op: object) -> None:
    with pytest.raises(TypeError, match="invalid op parameter: WEBSOCKET_OP_TEXT or WEBSOCKET"):
        build_frame(op, b"")


def test_a_text_is_utf_8() -> None:
    with pytest.raises(ValueError, match="a text must be UTF-8"):
        build_frame(TEXT, b"\xff")
    with pytest.raises(UnicodeEncodeError):
        build_frame(TEXT, "\ud800")


def test_a_message_is_text_or_bytes() -> None:
    with pytest.raises(TypeError, match="a message is str or bytes-like, not int"):
        build_frame(BINARY, 7)
