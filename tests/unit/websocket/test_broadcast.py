"""Broadcasts between workers: the group and the frame, encoded and decoded."""

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kore._core.ws_options import build_frame
from kore._websocket.broadcast import decode_broadcast, encode_broadcast

TEXT, BINARY = 1, 2


@given(st.binary(), st.none() | st.text())
@example(b"", "")
@example(b"", "\ud800")
@example(b"x" * 126, None)
@example(b"x" * 65536, "room")
def test_decode_returns_the_encoded_group_and_frame(data: bytes, group: str | None) -> None:
    frame = build_frame(BINARY, data)

    assert decode_broadcast(encode_broadcast(frame, group)) == (group, frame)


GOOD = build_frame(TEXT, "good")


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\0\0\0",
        encode_broadcast(b"", None),
        encode_broadcast(b"\x81", None),
        encode_broadcast(GOOD[:-1], None),
        encode_broadcast(GOOD + b"x", None),
        encode_broadcast(b"\x01" + GOOD[1:], None),
        encode_broadcast(b"\x88\x00", None),
        encode_broadcast(b"\x81\x81" + GOOD[2:], None),
        encode_broadcast(build_frame(BINARY, b"\xff").replace(b"\x82", b"\x81"), None),
        encode_broadcast(GOOD, "room").replace(b"room", b"\xff" * 4),
        struct.pack("!I", 100) + GOOD,
    ],
)
def test_malformed_broadcast_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"no frame|another length|too short|can't decode"):
        decode_broadcast(payload)


def test_group_with_an_empty_name_is_not_all_members() -> None:
    assert encode_broadcast(b"x", "") != encode_broadcast(b"x", None)
