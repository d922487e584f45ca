"""Content codings of answers: gzip and deflate, decoded as the data arrive.

libcurl decodes them too, but takes a truncated stream for a complete one.
"""

import zlib
from collections.abc import Sequence
from typing import Final, Protocol

from kore._httpclient import curlopts
from kore._httpclient.fields import received
from kore._httpclient.options import POINTER, Setting

ACCEPT_ENCODING: Final = POINTER + curlopts.CURLOPT_ACCEPT_ENCODING
# What is asked for by an empty CURLOPT_ACCEPT_ENCODING, which means "all that can be decoded".
ALL_CODINGS: Final = b"gzip, deflate"
GZIP: Final = frozenset({b"gzip", b"x-gzip"})
# Names that may stand in an accept-encoding field whose answers are decoded here.
DECODED_HERE: Final = GZIP | {b"deflate", b"identity", b"*"}
# Settings with which libcurl passes on something else than the body, or leaves the coding alone.
RAW: Final = (
    (curlopts.CURLOPT_HTTP_CONTENT_DECODING, 0),
    (curlopts.CURLOPT_HEADER, 1),
)
# The codings among them.
CODINGS: Final = GZIP | {b"deflate"}
GZIP_BITS: Final = 16 + zlib.MAX_WBITS
TRUNCATED: Final = "the answer is truncated: its compressed body has no end"
# So much may come of one piece of a streamed body: more than any piece makes with one coding,
# but with two it may be a million times its size.
DECODED_MAX: Final = 64 * 1024 * 1024
TOO_DENSE: Final = f"a piece of the body decodes to {DECODED_MAX} bytes or more"


class Decoder(Protocol):
    """Decodes one coding."""

    @property
    def has_ended(self) -> bool:
        """Whether the data so far are complete."""

    def decode(self, data: bytes, size_max: int) -> bytes:
        """Return decoded data, at most *size_max* bytes; 0: no limit.

        Raises zlib.error or ValueError for data that are not of this coding.
        """


class GzipDecoder:
    """Decodes gzip, which may have several members (RFC 1952 section 2.2)."""

    def __init__(self) -> None:
        self._stream: zlib._Decompress | None = None

    @property
    def has_ended(self) -> bool:
        """Whether the last member is complete."""
        return self._stream is None

    def decode(self, data: bytes, size_max: int) -> bytes:
        """Decode *data*, and the members that begin in it."""
        decoded: list[bytes] = []
        room = size_max
        while data:
            if self._stream is None:
                self._stream = zlib.decompressobj(GZIP_BITS)
            decoded.append(self._stream.decompress(data, room))
            if not self._stream.eof:
                break
            data, self._stream = self._stream.unused_data, None
            if size_max:
                room -= len(decoded[-1])
                if room <= 0:
                    break
        return b"".join(decoded)


class DeflateDecoder:
    """Decodes deflate: zlib's format (RFC 9110 section 8.4.1.2), or bare as some peers send it."""

    def __init__(self) -> None:
        self._head = b""
        self._stream: zlib._Decompress | None = None

    @property
    def has_ended(self) -> bool:
        """Whether the end marker has come."""
        return self._stream is not None and self._stream.eof

    def decode(self, data: bytes, size_max: int) -> bytes:
        """Decode *data*; the first two bytes tell the format."""
        if self._stream is None:
            self._head += data
            if len(self._head) < 2:
                return b""
            data, self._head = self._head, b""
            self._stream = zlib.decompressobj(zlib.MAX_WBITS * (1 if is_zlib(data) else -1))
        decoded = self._stream.decompress(data, size_max)
        if self._stream.unused_data:
            raise ValueError("data follow the end of the deflate stream")
        return decoded


def is_zlib(data: bytes) -> bool:
    """Return whether data begin with a zlib head (RFC 1950 section 2.2)."""
    return data[0] & 15 == 8 and int.from_bytes(data[:2], "big") % 31 == 0


class BodyDecoder:
    """Decodes the body of an answer whose head is in *lines* when the first data come."""

    def __init__(self, lines: list[bytes]) -> None:
        self._lines = lines
        self._decoders: list[Decoder] | None = None
        self.problem = ""

    def decode(self, data: bytes, size_max: int = 0) -> bytes | None:
        """Return decoded data, or None: see `problem`."""
        try:
            if self._decoders is None:
                self._decoders = decoders_of(self._lines)
            for decoder in self._decoders:
                data = decoder.decode(data, size_max)
                if 0 < size_max <= len(data):  # too much already, and not all of it
                    break
        except (ValueError, zlib.error) as error:
            self.problem = f"the body of the answer cannot be decoded: {error}"
            return None
        return data

    def decode_piece(self, data: bytes) -> bytes | None:
        """Return decoded data of a streamed body, or None: see `problem`."""
        decoded = self.decode(data, DECODED_MAX)
        if decoded is not None and len(decoded) >= DECODED_MAX:
            self.problem = TOO_DENSE
            return None
        return decoded

    def check_end(self) -> None:
        """Note a problem if the body is not complete."""
        if not all(decoder.has_ended for decoder in self._decoders or ()):
            self.problem = TRUNCATED


def decoders_of(lines: list[bytes]) -> list[Decoder]:
    """Return the decoders for the last head, in their order. Raises ValueError for other codings.

    The last coding listed was applied last (RFC 9110 section 8.4).
    """
    listed = ",".join(received(lines).all("content-encoding")).lower()
    decoders: list[Decoder] = []
    for coding in reversed([word.strip().encode() for word in listed.split(",")]):
        if coding in GZIP:
            decoders.append(GzipDecoder())
        elif coding == b"deflate":
            decoders.append(DeflateDecoder())
        elif coding not in {b"", b"identity"}:
            raise ValueError(f"unknown content-encoding {coding.decode()!r}")
    return decoders


def take_over(settings: Sequence[Setting]) -> list[Setting]:
    """Return settings with which libcurl leaves decoding to us; none if that is not asked for.

    Codings that only libcurl knows are not asked for beside ours. When nothing else is asked for
    they stay libcurl's.
    """
    given = dict(settings)
    accepted = given.get(ACCEPT_ENCODING)
    if accepted is None or any(given.get(number) == value for number, value in RAW):
        return []
    words = [word for word in (accepted or ALL_CODINGS).split(b",") if coding_of(word)]
    known = [word for word in words if coding_of(word) in DECODED_HERE]
    if not any(coding_of(word) in CODINGS for word in known):
        return []
    value = b",".join(known).strip()
    return [(ACCEPT_ENCODING, value), (curlopts.CURLOPT_HTTP_CONTENT_DECODING, 0)]


def coding_of(word: bytes) -> bytes:
    """Return the name in an element of an accept-encoding field."""
    return word.partition(b";")[0].strip().lower()
