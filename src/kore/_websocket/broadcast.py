"""A frame, and whom it is for, as one message to other workers. Pure."""

import struct
from typing import Final

# How long the name of a group is, in front of it and of the frame; this for everybody.
LENGTH: Final = struct.Struct("!I")
EVERYBODY: Final = 2**32 - 1
# A name may be any str.
SURROGATES: Final = "surrogatepass"
# The first byte of a whole text, and of a whole binary message.
TEXT: Final = 0x81
BINARY: Final = 0x82
# Of the second byte, after which the length takes so many more.
WIDE: Final = {126: 2, 127: 8}


def packed(whole: bytes, group: str | None) -> bytes:
    """Return a frame, and whom it is for, as a message to other workers."""
    if group is None:
        return LENGTH.pack(EVERYBODY) + whole
    name = group.encode("utf-8", SURROGATES)
    return LENGTH.pack(len(name)) + name + whole


def unpacked(payload: bytes) -> tuple[str | None, bytes]:
    """Return whom a frame is for, and the frame, or raise ValueError.

    What another worker sends need not be what it ought to: whoever took that one over must not be
    able to end the connections of this one.
    """
    if len(payload) < LENGTH.size:
        raise ValueError("too short")
    (length,) = LENGTH.unpack_from(payload)
    end = LENGTH.size + (0 if length == EVERYBODY else length)
    whole = payload[end:]
    check(whole)
    name = payload[LENGTH.size : end].decode("utf-8", SURROGATES)
    return None if length == EVERYBODY else name, whole


def check(frame: bytes) -> None:
    """Refuse what is not one frame as a server sends it, RFC 6455 section 5.2, and a good text."""
    if len(frame) < 2 or frame[0] not in (TEXT, BINARY):
        raise ValueError("no frame")
    wide = WIDE.get(frame[1], 0)
    size = int.from_bytes(frame[2 : 2 + wide], "big") if wide else frame[1]
    if len(frame) != 2 + wide + size:
        raise ValueError("a frame of another length")
    if frame[0] == TEXT:
        frame[2 + wide :].decode()
