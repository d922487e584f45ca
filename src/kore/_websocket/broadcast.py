"""Broadcasts between workers: a frame and the group it is for, as one message. Pure."""

import struct
from typing import Final

# The message is the length of the group's name, the name, and the frame. ALL_MEMBERS in place of
# the length means no name: the frame is for all WebSockets.
NAME_LENGTH: Final = struct.Struct("!I")
ALL_MEMBERS: Final = 2**32 - 1
# A name may be any str.
SURROGATES: Final = "surrogatepass"
# The first byte of an unfragmented text frame, and of a binary one (RFC 6455 section 5.2).
TEXT: Final = 0x81
BINARY: Final = 0x82
# How many bytes of length follow these values of the second byte.
EXTENDED_LENGTHS: Final = {126: 2, 127: 8}


def encode_broadcast(frame: bytes, group: str | None) -> bytes:
    """Return the message for a frame to the members of *group*, or to all."""
    if group is None:
        return NAME_LENGTH.pack(ALL_MEMBERS) + frame
    name = group.encode("utf-8", SURROGATES)
    return NAME_LENGTH.pack(len(name)) + name + frame


def decode_broadcast(payload: bytes) -> tuple[str | None, bytes]:
    """Return the group, None for all, and the frame of a message.

    Raises ValueError if the message is malformed: a compromised worker must not be able to end the
    connections of this one.
    """
    if len(payload) < NAME_LENGTH.size:
        raise ValueError("too short")
    (length,) = NAME_LENGTH.unpack_from(payload)
    end = NAME_LENGTH.size + (0 if length == ALL_MEMBERS else length)
    frame = payload[end:]
    _check_frame(frame)
    name = payload[NAME_LENGTH.size : end].decode("utf-8", SURROGATES)
    return None if length == ALL_MEMBERS else name, frame


def _check_frame(frame: bytes) -> None:
    """Raise ValueError unless *frame* is one unmasked, unfragmented frame, with UTF-8 if text."""
    if len(frame) < 2 or frame[0] not in (TEXT, BINARY):
        raise ValueError("no frame")
    extended = EXTENDED_LENGTHS.get(frame[1], 0)
    size = int.from_bytes(frame[2 : 2 + extended], "big") if extended else frame[1]
    if len(frame) != 2 + extended + size:
        raise ValueError("a frame of another length")
    if frame[0] == TEXT:
        frame[2 + extended :].decode()
