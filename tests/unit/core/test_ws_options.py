"""Limits of WebSockets, and the frames that are built once for many clients."""

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kore._core.ws_options import WebSocketOptions, build_frame
from tests.helpers.websocket import LIMITS

TEXT, BINARY = 1, 2


@pytest.mark.parametrize("name", LIMITS)
def test_missing_limit_raises(name: str) -> None:
    limits = {key: value for key, value in LIMITS.items() if key != name}
    with pytest.raises(KeyError, match=name):
        WebSocketOptions(limits, label=b"/ws")


@pytest.mark.parametrize("label", [None, "text", 5])
def test_label_must_be_bytes(label: Any) -> None:
    with pytest.raises(TypeError, match="label"):
        WebSocketOptions(LIMITS, label=label)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_message_is_one_frame_whatever_its_type(text: str) -> None:
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
def test_frame_has_the_shortest_head(size: int, head: bytes) -> None:
    assert build_frame(BINARY, b"x" * size) == head + b"x" * size


@pytest.mark.parametrize("op", [0, 3, 8, 9, None, "text", 1.5])
def test_opcode_of_no_message_raises(op: object) -> None:
    with pytest.raises(TypeError, match="invalid op parameter: WEBSOCKET_OP_TEXT or WEBSOCKET"):
        build_frame(op, b"")


def test_text_that_is_not_utf8_raises() -> None:
    with pytest.raises(ValueError, match="a text must be UTF-8"):
        build_frame(TEXT, b"\xff")
    with pytest.raises(UnicodeEncodeError):
        build_frame(TEXT, "\ud800")


def test_message_of_another_type_raises() -> None:
    with pytest.raises(TypeError, match="a message is str or bytes-like, not int"):
        build_frame(BINARY, 7)
