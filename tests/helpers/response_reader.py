"""Read HTTP answers from bytes, strictly: what a careful client would refuse is an error here."""

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2}) ([\t\x20-\x7e]*)")
FIELD_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
CHUNK_SIZE = re.compile(rb"[0-9a-f]{1,15}")
BODILESS = frozenset({204, 304})


class AnswerError(AssertionError):
    """The bytes are not an answer a client could trust."""


@dataclass(slots=True)
class Answer:
    """One answer, interim ones included."""

    version: str
    status: int
    reason: str
    fields: list[tuple[str, str]]
    body: bytes = b""
    chunks: list[bytes] = field(default_factory=list)

    def all(self, name: str) -> list[str]:
        """Return every value of a field."""
        return [value for key, value in self.fields if key.lower() == name]

    def get(self, name: str) -> str | None:
        """Return the only value of a field; a repeated field is an error."""
        values = self.all(name)
        if len(values) > 1:
            raise AnswerError(f"{name} is there {len(values)} times: {values}")
        return values[0] if values else None

    @property
    def tokens(self) -> set[str]:
        """The methods of Allow."""
        return {token.strip() for token in (self.get("allow") or "").split(",") if token.strip()}


class Reader:
    """Turns a stream of bytes into answers. Sans I/O: `feed` bytes, then `finish`.

    *methods* are those of the requests in order (an answer to HEAD has no
    body); requests beyond the list count as GET.
    """

    def __init__(self, methods: Iterable[str] = ()) -> None:
        self.methods = deque(methods)
        self.buffer = bytearray()
        self.answers: list[Answer] = []
        self.current: Answer | None = None
        self.left: int | None = None  # of a body with a length; None: chunked or until the end
        self.chunked = False
        self.ended = False

    @property
    def final(self) -> list[Answer]:
        """The complete answers that are not interim."""
        return [answer for answer in self.answers if answer.status >= 200]

    @property
    def partial(self) -> bool:
        """Whether an answer has begun and is not complete."""
        return self.current is not None or bool(self.buffer)

    def feed(self, data: bytes) -> None:
        """Take bytes; complete answers appear in `answers`."""
        self.buffer += data
        while self._head() if self.current is None else self._body(self.current):
            pass

    def finish(self) -> None:
        """Say that no more bytes follow: this ends a body without a length."""
        self.ended = True
        while self._head() if self.current is None else self._body(self.current):
            pass

    def _head(self) -> bool:
        if len(self.buffer) >= 5 and not self.buffer.startswith(b"HTTP/"):
            raise AnswerError(f"not an answer: {bytes(self.buffer[:60])!r}")
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        answer = parse_head(bytes(self.buffer[:end]))
        del self.buffer[: end + 4]
        self._begin(answer)
        return True

    def _begin(self, answer: Answer) -> None:
        length, coding = answer.get("content-length"), answer.get("transfer-encoding")
        check_framing(answer.status, length, coding)
        if answer.status < 200:
            self.answers.append(answer)
            return
        method = self.methods.popleft() if self.methods else "GET"
        self.current = answer
        self.chunked = coding is not None
        self.left = int(length) if length is not None else None
        if method == "HEAD" or answer.status in BODILESS:
            self._end(answer)

    def _body(self, answer: Answer) -> bool:
        if self.chunked:
            return self._chunk(answer)
        if self.left is None:
            if not self.ended:
                return False
            self.left = len(self.buffer)
        if len(self.buffer) < self.left:
            return False
        answer.body = bytes(self.buffer[: self.left])
        del self.buffer[: self.left]
        return self._end(answer)

    def _chunk(self, answer: Answer) -> bool:
        line = self.buffer.find(b"\r\n")
        if line < 0:
            return False
        if not CHUNK_SIZE.fullmatch(self.buffer, 0, line):
            raise AnswerError(f"chunk size {bytes(self.buffer[:line])[:40]!r}")
        start, size = line + 2, int(self.buffer[:line], 16)
        if len(self.buffer) < start + size + 2:
            return False
        if self.buffer[start + size : start + size + 2] != b"\r\n":
            raise AnswerError(f"chunk of {size} bytes does not end with CR LF")
        answer.chunks.append(bytes(self.buffer[start : start + size]))
        del self.buffer[: start + size + 2]
        if size == 0:
            answer.chunks.pop()
            answer.body = b"".join(answer.chunks)
            return self._end(answer)
        return True

    def _end(self, answer: Answer) -> bool:
        self.answers.append(answer)
        self.current = None
        return bool(self.buffer)


def parse_head(head: bytes) -> Answer:
    """Return the answer whose status line and fields are *head*."""
    first, *lines = head.split(b"\r\n")
    status = STATUS_LINE.fullmatch(first)
    if status is None:
        raise AnswerError(f"status line {first[:80]!r}")
    fields = []
    for line in lines:
        match = FIELD_LINE.fullmatch(line)
        if match is None:
            raise AnswerError(f"field line {line[:80]!r}")
        fields.append((match[1].decode("ascii"), match[2].decode("latin-1").rstrip(" \t")))
    return Answer(f"HTTP/1.{status[1].decode()}", int(status[2]), status[3].decode(), fields)


def check_framing(status: int, length: str | None, coding: str | None) -> None:
    """Refuse what RFC 9112 section 6 forbids a server to send."""
    if length is not None and coding is not None:
        raise AnswerError("both content-length and transfer-encoding")
    if length is not None and not (length.isascii() and length.isdigit()):
        raise AnswerError(f"content-length {length!r}")
    if coding is not None and coding != "chunked":
        raise AnswerError(f"transfer-encoding {coding!r}")
    if (status < 200 or status == 204) and (length, coding) != (None, None):
        raise AnswerError(f"a {status} announces a body")
