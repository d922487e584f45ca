"""Content codings of responses: gzip and deflate, decoded as the data arrive.

libcurl decodes them, too, but accepts a truncated stream as complete.
"""

import zlib
from collections.abc import Sequence
from typing import Final, Protocol

from kore._httpclient import curlopts
from kore._httpclient.fields import parse_headers
from kore._httpclient.options import POINTER, Setting

ACCEPT_ENCODING: Final = POINTER + curlopts.CURLOPT_ACCEPT_ENCODING
# The field sent for an empty CURLOPT_ACCEPT_ENCODING, which means "all supported codings".
ALL_CODINGS: Final = b"gzip, deflate"
GZIP: Final = frozenset({b"gzip", b"x-gzip"})
# Names in an accept-encoding field that do not prevent decoding here.
DECODED_HERE: Final = GZIP | {b"deflate", b"identity", b"*"}
# Settings with which libcurl delivers more than the body, or the body as it arrives.
RAW_SETTINGS: Final = (
    (curlopts.CURLOPT_HTTP_CONTENT_DECODING, 0),
    (curlopts.CURLOPT_HEADER, 1),
)
# The codings that are decoded here.
CODINGS: Final = GZIP | {b"deflate"}
GZIP_BITS: Final = 16 + zlib.MAX_WBITS
TRUNCATED: Final = "the response is truncated: its compressed body has no end"
# Bytes that one piece of a streamed body may decode to. A single coding never makes as many of
# one piece, but two may make a million times its size.
DECODED_SIZE_MAX: Final = 64 * 1024 * 1024
DECODED_TOO_LARGE: Final = f"a piece of the body decodes to {DECODED_SIZE_MAX} bytes or more"


class Decoder(Protocol):
    """A decoder of one content coding."""

    @property
    def has_ended(self) -> bool:
        """Whether the data end where they may end."""

    def decode(self, data: bytes, size_max: int) -> bytes:
        """Return decoded data, at most *size_max* bytes; 0: no limit.

        Raises zlib.error or ValueError if the data are not of this coding.
        """


class GzipDecoder:
    """A decoder of gzip, which may have several members (RFC 1952 section 2.2)."""

    def __init__(self) -> None:
        self._stream: zlib._Decompress | None = None

    @property
    def has_ended(self) -> bool:
        """Whether the last member is complete."""
        return self._stream is None

    def decode(self, data: bytes, size_max: int) -> bytes:
        """Decode *data*, with all members that begin in it."""
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
    """A decoder of deflate: zlib's format (RFC 9110 section 8.4.1.2), or raw as some send it."""

    def __init__(self) -> None:
        self._buffer = b""
        self._stream: zlib._Decompress | None = None

    @property
    def has_ended(self) -> bool:
        """Whether the end marker has been decoded."""
        return self._stream is not None and self._stream.eof

    def decode(self, data: bytes, size_max: int) -> bytes:
        """Decode *data*; the first two bytes tell the format."""
        if self._stream is None:
            self._buffer += data
            if len(self._buffer) < 2:
                return b""
            data, self._buffer = self._buffer, b""
            self._stream = zlib.decompressobj(zlib.MAX_WBITS * (1 if _is_zlib(data) else -1))
        decoded = self._stream.decompress(data, size_max)
        if self._stream.unused_data:
            raise ValueError("data follow the end of the deflate stream")
        return decoded


def _is_zlib(data: bytes) -> bool:
    """Return whether data begin with a zlib header (RFC 1950 section 2.2)."""
    return data[0] & 15 == 8 and int.from_bytes(data[:2], "big") % 31 == 0


class BodyDecoder:
    """Decodes the body of a response; its head is in *lines* before the first data arrive."""

    def __init__(self, lines: list[bytes]) -> None:
        self._lines = lines
        self._decoders: list[Decoder] | None = None
        self.problem = ""

    def decode(self, data: bytes, size_max: int = 0) -> bytes | None:
        """Return decoded data, or None: see `problem`."""
        try:
            if self._decoders is None:
                self._decoders = _create_decoders(self._lines)
            for decoder in self._decoders:
                data = decoder.decode(data, size_max)
                if 0 < size_max <= len(data):  # too large already
                    break
        except (ValueError, zlib.error) as error:
            self.problem = f"the body of the response cannot be decoded: {error}"
            return None
        return data

    def decode_piece(self, data: bytes) -> bytes | None:
        """Return decoded data of a streamed body, or None: see `problem`."""
        decoded = self.decode(data, DECODED_SIZE_MAX)
        if decoded is not None and len(decoded) >= DECODED_SIZE_MAX:
            self.problem = DECODED_TOO_LARGE
            return None
        return decoded

    def check_end(self) -> None:
        """Set `problem` if the body ends early."""
        if not all(decoder.has_ended for decoder in self._decoders or ()):
            self.problem = TRUNCATED


def _create_decoders(lines: list[bytes]) -> list[Decoder]:
    """Return the decoders for the last head, in the order in which they are applied.

    The last coding listed was applied last (RFC 9110 section 8.4). Raises ValueError for a coding
    that is unknown here.
    """
    listed = ",".join(parse_headers(lines).all("content-encoding")).lower()
    decoders: list[Decoder] = []
    for coding in reversed([word.strip().encode() for word in listed.split(",")]):
        if coding in GZIP:
            decoders.append(GzipDecoder())
        elif coding == b"deflate":
            decoders.append(DeflateDecoder())
        elif coding not in {b"", b"identity"}:
            raise ValueError(f"unknown content-encoding {coding.decode()!r}")
    return decoders


def build_decoding_settings(settings: Sequence[Setting]) -> list[Setting]:
    """Return settings with which libcurl does not decode; none if libcurl is to decode.

    Of the codings in *settings*, those that only libcurl knows are not requested, unless there are
    no others.
    """
    given = dict(settings)
    accepted = given.get(ACCEPT_ENCODING)
    if accepted is None or any(given.get(number) == value for number, value in RAW_SETTINGS):
        return []
    words = [word for word in (accepted or ALL_CODINGS).split(b",") if _get_coding(word)]
    known = [word for word in words if _get_coding(word) in DECODED_HERE]
    if not any(_get_coding(word) in CODINGS for word in known):
        return []
    value = b",".join(known).strip()
    return [(ACCEPT_ENCODING, value), (curlopts.CURLOPT_HTTP_CONTENT_DECODING, 0)]


def _get_coding(word: bytes) -> bytes:
    """Return the name in an element of an accept-encoding field, in lower case."""
    return word.partition(b";")[0].strip().lower()
