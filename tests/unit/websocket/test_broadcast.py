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
