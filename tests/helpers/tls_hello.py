"""Client hellos made by hand, with contents that no TLS library would send."""

import random
from typing import Final

HOST_NAME: Final = 0


def record(kind: int, body: bytes) -> bytes:
    """Return a record in the clear."""
    return bytes([kind, 3, 1]) + len(body).to_bytes(2) + body


def vector(size: int, data: bytes) -> bytes:
    """Return data behind its length, which has *size* bytes."""
    return len(data).to_bytes(size) + data


def client_hello(extension: bytes) -> bytes:
    """Return a client hello of TLS 1.2 whose server name extension has this content."""
    extensions = b"\0\0" + vector(2, extension)
    extensions += bytes.fromhex("000a0006 0004001d0017 000b0002 0100 000d0006 00040403 0804")
    suites = bytes.fromhex("c02b c02f")
    body = b"\3\3" + random.Random(1).randbytes(32) + vector(1, b"") + vector(2, suites)
    body += vector(1, b"\0") + vector(2, extensions)
    return record(22, b"\1" + vector(3, body))


def name_extension(name: bytes, kind: int = HOST_NAME) -> bytes:
    """Return the content of a server name extension with one name."""
    return vector(2, bytes([kind]) + vector(2, name))
