"""Every head that we and h11, or we and llhttp, both accept means the same to both.

Where we are alone in accepting, there is a reason that can be named. And it makes no
difference to us how the bytes were cut.
"""

from typing import NamedTuple

import h11
import httptools
from hypothesis import event
from hypothesis import strategies as st

from kore._core.refusals import ParseError
from kore._core.testing import HeadReader, ParsedHead, parse
from tests.helpers.head_strategies import fuzzed, heads
from tests.helpers.three_ways import three_ways

LARGEST = (1 << 63) - 1  # we count no further: any such length is refused with 413
TAIL = b"GET /tail HTTP/1.1\r\nHost: tail\r\n\r\n"


class Meaning(NamedTuple):
    """What a head says, independent of the parser."""

    used: int
    method: bytes
    target: bytes
    minor: int
    fields: list[tuple[bytes, bytes]]
    length: int | None
    chunked: bool


def ours(data: bytes) -> ParsedHead | int | None:
    """Return what we make of it: a head, a status that refuses it, None for more."""
    try:
        return parse(data)
    except ParseError as error:
        return error.status


def meaning(head: ParsedHead) -> Meaning:
    """Return our reading."""
    fields = [field_as_meant(name.lower(), value) for name, value in head.fields]
    return Meaning(
        head.used, head.method, head.target, head.minor, fields, head.length, head.chunked
    )


def field_as_meant(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    """Return a field with what has no case in lower case, as h11 does."""
    return name, value.lower() if name == b"transfer-encoding" else value


def h11_reading(data: bytes) -> Meaning | None:
    """Return h11's reading of a complete head, None when it refuses or wants more."""
    peer = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    try:
        peer.receive_data(data)
        request = peer.next_event()
    except h11.RemoteProtocolError:
        return None
    if not isinstance(request, h11.Request):
        return None
    fields = [(name, value) for name, value in request.headers]
    lengths = {value for name, value in fields if name == b"content-length"}
    chunked = any(name == b"transfer-encoding" for name, _ in fields)
    # h11 takes HTTP/1.2 as what it says; so do we, but count its minor version as 1.
    minor = min(int(request.http_version[-1:]), 1)
    return Meaning(
        len(data) - len(peer.trailing_data[0]),
        request.method,
        request.target,
        minor,
        fields,
        min(int(lengths.pop()), LARGEST) if lengths else None,
        chunked,
    )


@fuzzed(heads())
def test_head_accepted_by_h11_is_parsed_alike(data: bytes) -> None:
    mine, theirs = ours(data + TAIL), h11_reading(data + TAIL)
    if isinstance(mine, ParsedHead) and theirs is not None:
        event("both accept")
        assert meaning(mine) == theirs
    elif isinstance(mine, ParsedHead):
        event("only we accept")
        assert alone_with_reason(data, mine), mine


def alone_with_reason(data: bytes, head: ParsedHead) -> bool:
    """Say why h11 refuses what we accept."""
    blank = data.startswith(b"\r\n")  # RFC 9112 section 2.2: to be skipped
    large = head.length is not None and head.length == LARGEST
    return blank or large


class Llhttp:
    """llhttp's reading of one head."""

    def __init__(self) -> None:
        self.url = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.headers_done = False
        self.message_done = False
        self.keeps_alive = False
        self.parser = httptools.HttpRequestParser(self)

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append(field_as_meant(name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        self.headers_done = True
        self.keeps_alive = self.parser.should_keep_alive()

    def on_message_complete(self) -> None:
        self.message_done = True


@fuzzed(heads())
def test_head_accepted_by_llhttp_is_parsed_alike(data: bytes) -> None:
    mine = ours(data)
    if not isinstance(mine, ParsedHead):
        return
    theirs = Llhttp()
    try:
        theirs.parser.feed_data(data[: mine.used])
    except httptools.HttpParserUpgrade:
        event("an upgrade")
    except httptools.HttpParserError:
        event("only we accept")
        return
    event("both accept")
    bodiless = mine.length in (None, 0) and not mine.chunked

    assert theirs.headers_done
    assert (theirs.url, theirs.fields) == (mine.target, meaning(mine).fields)
    assert theirs.parser.get_method() == mine.method
    assert theirs.parser.get_http_version() in (f"1.{mine.minor}", "1.2")
    assert theirs.message_done == bodiless
    if mine.minor == 1:
        assert theirs.keeps_alive == (not mine.close)


@fuzzed(heads(), st.lists(st.integers(0, 200), max_size=8))
def test_head_is_parsed_alike_however_it_is_cut(data: bytes, cuts: list[int]) -> None:
    three_ways(parse, data, ParseError)

    assert fed(data, list(range(len(data)))) == ours(data)
    assert fed(data, sorted(cuts)) == ours(data)


def fed(data: bytes, cuts: list[int]) -> ParsedHead | int | None:
    """Return what we make of *data* when it arrives in pieces."""
    reader = HeadReader()
    result: ParsedHead | None = None
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        try:
            result = reader.feed(data[start:end])
        except ParseError as error:
            return error.status
        if result is not None:
            return result
    return result
