"""Receivers of a response: libcurl calls them with the lines of its head and pieces of its body.

`LimitedBuffer` collects a whole body up to a limit. `ResponseSink` holds a streamed body for its
reader and pauses the transfer while the reader is behind.
"""

from asyncio import Future
from typing import Final

from kore._httpclient.codings import BodyDecoder
from kore._httpclient.fields import parse_status

# The transfer is paused while so many bytes wait for the reader of a stream.
UNREAD_SIZE_MAX: Final = 256 * 1024
# What a write callback returns to end the transfer (any number but the size), and to pause it.
WRITE_ERROR: Final = -1
WRITE_PAUSE: Final = 0x10000001
# Statuses that a further response may follow: a redirect is followed, credentials are sent.
FOLLOWED_STATUSES: Final = frozenset({301, 302, 303, 307, 308, 401, 407})


class LimitedBuffer:
    """Collects a body of at most *size_max* bytes after decoding.

    libcurl has such a limit, too, but counts bytes as they arrive, before decoding.
    """

    def __init__(self, chunks: list[bytes], size_max: int, decoder: BodyDecoder | None) -> None:
        self.chunks = chunks
        self.room = size_max
        self.decoder = decoder

    def write(self, data: bytes) -> int:
        """Append a piece of the body; `WRITE_ERROR` if it is too large or cannot be decoded."""
        received_size = len(data)
        if self.decoder is not None:
            decoded = self.decoder.decode(data, self.room + 1)
            if decoded is None:
                return WRITE_ERROR
            data = decoded
        self.room -= len(data)
        if self.room < 0:
            return WRITE_ERROR
        self.chunks.append(data)
        return received_size


class ResponseSink:
    """Holds the head and the unread part of a body for the reader of a stream.

    It has no reference to the reader, so that a stream that is no longer used is freed at once and
    its transfer ends. If *is_final*, every head is the last one: redirects are not followed.
    """

    def __init__(self, *, is_final: bool) -> None:
        self.lines: list[bytes] = []
        # Decodes the body, if libcurl does not.
        self.decoder: BodyDecoder | None = None
        self.chunks: list[bytes] = []
        self.size = 0
        self.is_paused = False
        # The head of the last response is complete.
        self.has_head = False
        self.waiter: Future[None] | None = None
        self._is_final = is_final
        self._status = 0

    def header(self, line: bytes) -> None:
        """Append a line of a head."""
        self.lines.append(line)
        if line.startswith(b"HTTP/"):
            self._status = parse_status(line)
        elif not line.strip() and self._status >= 200:
            self.has_head |= self._is_final or self._status not in FOLLOWED_STATUSES
            self.wake()

    def write(self, data: bytes) -> int:
        """Append a piece of the body; `WRITE_PAUSE` if the reader is behind."""
        if self.size >= UNREAD_SIZE_MAX:
            self.is_paused = True
            return WRITE_PAUSE
        received_size = len(data)
        if self.decoder is not None:
            decoded = self.decoder.decode_piece(data)
            if decoded is None:
                return WRITE_ERROR
            data = decoded
        # A body follows the last head only.
        self.has_head = True
        if data:
            self.chunks.append(data)
            self.size += len(data)
        self.wake()
        return received_size

    def wake(self, _: object = None) -> None:
        """Wake the reader."""
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)
