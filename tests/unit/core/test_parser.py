"""Request heads: what valid ones are parsed to, and with which status others are refused."""

from functools import partial
from typing import Any

import pytest

from kore._core.refusals import ParseError
from kore._core.testing import HeadReader, ParsedHead, parse
from tests.helpers.three_ways import three_ways

HOST = b"Host: h\r\n"


def head(line: bytes = b"GET / HTTP/1.1", *fields: bytes, host: bytes = HOST) -> bytes:
    return line + b"\r\n" + host + b"".join(field + b"\r\n" for field in fields) + b"\r\n"


def read(data: bytes, **limits: Any) -> ParsedHead:
    """Return the one reading that three ways of feeding agree on."""
    found = three_ways(partial(parse, **limits), data, ParseError)
    assert isinstance(found, ParsedHead), found
    assert found.used == len(data)
    return found


def status(data: bytes, **limits: Any) -> int:
    """Return the status that refuses *data*, whichever way it is fed."""
    found = three_ways(partial(parse, **limits), data, ParseError)
    assert isinstance(found, str), found
    return int(found.rpartition(" ")[2])


ACCEPTED: list[tuple[bytes, dict[str, Any]]] = [
    (head(), {"method": b"GET", "target": b"/", "path": b"/", "query": None, "minor": 1}),
    (b"\r\n" + head(), {"method": b"GET", "host": b"h"}),
    (b"\r\n\r\n" + head(), {"method": b"GET"}),
    (head(b"POST /a/b?c=d HTTP/1.1"), {"method": b"POST", "path": b"/a/b", "query": b"c=d"}),
    (head(b"PUT /? HTTP/1.1"), {"method": b"PUT", "path": b"/", "query": b""}),
    (head(b"DELETE /?a?b HTTP/1.1"), {"method": b"DELETE", "query": b"a?b"}),
    (head(b"PATCH //x HTTP/1.1"), {"method": b"PATCH", "path": b"//x"}),
    (head(b"HEAD /%41%7f HTTP/1.1"), {"method": b"HEAD", "path": b"/%41%7f"}),
    (head(b"OPTIONS * HTTP/1.1"), {"target": b"*", "path": b"/"}),
    (head(b"GET http://x HTTP/1.1"), {"host": b"x", "path": b"/", "query": None}),
    (head(b"GET http://x?y HTTP/1.1"), {"host": b"x", "path": b"/", "query": b"y"}),
    (head(b"GET HTTP://x:1/y HTTP/1.1"), {"host": b"x:1", "path": b"/y"}),
    (head(b"GET https://x/y HTTP/1.1"), {"host": b"x", "path": b"/y"}),
    (head(b"GET / HTTP/1.0", host=b""), {"minor": 0, "host": b"", "fields": []}),
    (head(b"GET / HTTP/1.2"), {"minor": 1}),
    (head(b"GET / HTTP/1.9"), {"minor": 1}),
    (head(host=b"Host:h\r\n"), {"host": b"h"}),
    (head(host=b"Host: \t h \t\r\n"), {"host": b"h", "fields": [(b"Host", b"h")]}),
    (head(b"GET / HTTP/1.1", b"A:", b"b: \t ", b"c: d: e"), {"length": None, "chunked": False}),
    (head(b"GET / HTTP/1.1", b"Content-Length: 0"), {"length": 0}),
    (head(b"GET / HTTP/1.1", b"Content-Length: 00012"), {"length": 12}),
    (head(b"GET / HTTP/1.1", b"Content-Length: " + b"9" * 18), {"length": 10**18 - 1}),
    (head(b"GET / HTTP/1.1", b"Transfer-Encoding: Chunked"), {"chunked": True, "length": None}),
    (head(b"GET / HTTP/1.1", b"Connection: close"), {"close": True}),
    (head(b"GET / HTTP/1.1", b"Connection: a", b"Connection: close"), {"close": True}),
    (head(b"GET / HTTP/1.1", b"Expect: 100-continue"), {"close": False}),
    (head(b"GET / HTTP/1.0", b"Expect: nonsense"), {"minor": 0}),
]

REFUSED: list[tuple[int, bytes]] = [
    (400, b"\r\n\r\n\r\n" + head()),
    (400, b" " + head()),
    (400, b"\n" + head()),
    (400, b"GET /\r\n"),
    (400, b"GET  / HTTP/1.1\r\n"),
    (400, b"GET /  HTTP/1.1\r\n"),
    (400, b"GET\t/ HTTP/1.1\r\n"),
    (400, b"GET / HTTP/1.1 \r\n"),
    (400, b"GET / HTTP/1.1\n"),
    (400, b"GET / HTTP/1.1\r\r"),
    (400, b"GET / HTTP/1.\r\n"),
    (400, b"GET / HTTP/11\r\n"),
    (400, b"GET / HTTP/1.1x\r\n"),
    (400, b"GET / HTTP/1,1\r\n"),
    (400, b"GET / HTTP/x.1\r\n"),
    (400, b"GET / http/1.1\r\n"),
    (400, b"GET / HTTPS/1.1\r\n"),
    (400, b"/ HTTP/1.1\r\n"),
    (400, b" / HTTP/1.1\r\n"),
    (400, b"GET HTTP/1.1\r\n"),
    (400, b"GET h HTTP/1.1\r\n"),
    (400, b"GET h:80 HTTP/1.1\r\n"),
    (400, b"GET * HTTP/1.1\r\n"),
    (400, b"OPTIONS *x HTTP/1.1\r\n"),
    (400, b"GET ftp://h/ HTTP/1.1\r\n"),
    (400, b"GET http:/h/ HTTP/1.1\r\n"),
    (400, b"GET http:// HTTP/1.1\r\n"),
    (400, b"GET http:///x HTTP/1.1\r\n"),
    (400, b"GET https:// HTTP/1.1\r\n"),
    (400, b"GET http://u@h/ HTTP/1.1\r\n"),
    (400, b"GET /#x HTTP/1.1\r\n"),
    (400, b"GET /a b HTTP/1.1\r\n"),
    (400, b"GET /\xe9 HTTP/1.1\r\n"),
    (400, b"GET /\\ HTTP/1.1\r\n"),
    (400, b"GET /% HTTP/1.1\r\n"),
    (400, b"GET /%4 HTTP/1.1\r\n"),
    (400, b"GET /%4g HTTP/1.1\r\n"),
    (400, b"GET /%00 HTTP/1.1\r\n"),
    (400, b"GET /%4?1 HTTP/1.1\r\n"),
    (505, b"GET / HTTP/2.0\r\n"),
    (505, b"GET / HTTP/0.9\r\n"),
    (400, b"PRI / HTTP/2.0\r\n"),
    (501, head(b"TRACE / HTTP/1.1")),
    (501, head(b"get / HTTP/1.1")),
    (501, head(b"CONNECT h:80 HTTP/1.1")),
    (400, head(host=b"")),
    (400, head(host=HOST + HOST)),
    (400, head(b"GET / HTTP/1.0", host=HOST + HOST)),
    (400, head(b"GET http://h/ HTTP/1.1", host=b"")),
    (400, head(b"GET http://h/ HTTP/1.1", host=b"Host: a b\r\n")),
    (400, head(host=b"Host : h\r\n")),
    (400, head(host=b" Host: h\r\n")),
    (400, head(host=HOST + b" fold\r\n")),
    (400, head(host=HOST + b"\tfold\r\n")),
    (400, head(host=HOST + b": v\r\n")),
    (400, head(host=HOST + b"name\r\n")),
    (400, head(host=HOST + b"n\xe9: v\r\n")),
    (400, head(host=HOST + b"n: a\0b\r\n")),
    (400, head(host=HOST + b"n: a\rb\r\n")),
    (400, head(host=HOST + b"n: a\nb\r\n")),
    (400, head(b"GET / HTTP/1.1", b"Content-Length:")),
    (400, head(b"GET / HTTP/1.1", b"Content-Length: -1")),
    (400, head(b"GET / HTTP/1.1", b"Content-Length: +1")),
    (400, head(b"GET / HTTP/1.1", b"Content-Length: 0x1")),
    (400, head(b"GET / HTTP/1.1", b"Content-Length: 1 1")),
    (400, head(b"GET / HTTP/1.1", b"Content-Length: 1,1")),
    (400, head(b"GET / HTTP/1.1", b"Content-Length: 1", b"Content-Length: 1")),
    (400, head(b"GET / HTTP/1.1", b"Content-Length: 1", b"Transfer-Encoding: chunked")),
    (400, head(b"GET / HTTP/1.1", b"Transfer-Encoding: chunked", b"Content-Length: 1")),
    (400, head(b"GET / HTTP/1.1", b"Transfer-Encoding: chunked, chunked")),
    (400, head(b"GET / HTTP/1.1", b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked")),
    (400, head(b"GET / HTTP/1.1", b"Transfer-Encoding: chunked, gzip")),
    (400, head(b"GET / HTTP/1.1", b"Transfer-Encoding: gzip")),
    (400, head(b"GET / HTTP/1.1", b"Transfer-Encoding:")),
    (400, head(b"GET / HTTP/1.1", b"Transfer-Encoding: , chunked")),
    (400, head(b"GET / HTTP/1.0", b"Transfer-Encoding: chunked")),
    (501, head(b"GET / HTTP/1.1", b"Transfer-Encoding: gzip, chunked")),
    (501, head(b"GET / HTTP/1.1", b"Transfer-Encoding: xchunked, chunked")),
    (417, head(b"GET / HTTP/1.1", b"Expect: 200-ok")),
    (417, head(b"GET / HTTP/1.1", b"Expect:")),
    (417, head(b"GET / HTTP/1.1", b"Expect: 100-continue, x")),
]


@pytest.mark.parametrize(("data", "says"), ACCEPTED, ids=lambda value: repr(value)[:60])
def test_valid_head_is_parsed(data: bytes, says: dict[str, Any]) -> None:
    found = read(data)

    assert {name: getattr(found, name) for name in says} == says


@pytest.mark.parametrize(("wanted", "data"), REFUSED, ids=lambda value: repr(value)[:60])
def test_invalid_head_is_refused_with_status(wanted: int, data: bytes) -> None:
    assert status(data) == wanted


@pytest.mark.parametrize("data", [data for data, _ in ACCEPTED], ids=lambda value: repr(value)[:60])
def test_valid_head_in_two_parts_is_parsed_alike(data: bytes) -> None:
    whole = parse(data)

    for at in range(len(data)):
        reader = HeadReader()
        assert reader.feed(data[:at]) is None
        assert reader.feed(data[at:] + b"tail") == whole


@pytest.mark.parametrize("data", [data for _, data in REFUSED], ids=lambda value: repr(value)[:60])
def test_invalid_head_in_two_parts_is_refused_alike(data: bytes) -> None:
    whole = status(data)

    for at in range(len(data)):
        reader = HeadReader()
        with pytest.raises(ParseError) as refusal:
            reader.feed(data[:at]) or reader.feed(data[at:])
        assert refusal.value.status == whole


# Limits, at their edges


def sized_line(size: int) -> bytes:
    return head(b"GET /" + b"a" * (size - len("GET / HTTP/1.1")) + b" HTTP/1.1")


def sized_head(size: int) -> bytes:
    fields = [b"n%03d: " % i + b"v" * 244 + b"\r\n" for i in range(60)]
    rest = size - len(head(host=HOST + b"".join(fields)))
    return head(host=HOST + b"".join(fields) + b"last: " + b"v" * (rest - 8) + b"\r\n")


def test_request_line_limit_is_8000_bytes() -> None:
    assert len(read(sized_line(8000)).target) == 8000 - len("GET  HTTP/1.1")
    assert status(sized_line(8001)) == 414
    assert read(b"\r\n\r\n" + sized_line(8000))
    assert status(b"\r\n\r\n" + sized_line(8001)) == 414


def test_long_request_line_is_refused_before_its_end() -> None:
    assert parse(b"G" * 8000) is None
    assert status(b"G" * 8001) == 414


def test_head_limit_is_16384_bytes() -> None:
    assert len(sized_head(16384)) == 16384
    assert read(sized_head(16384)).used == 16384
    assert status(sized_head(16385)) == 431


def test_long_head_is_refused_before_its_end() -> None:
    start = head(host=HOST + b"n: ")[:-2]

    assert parse(start + b"v" * (16383 - len(start))) is None
    assert status(start + b"v" * (16384 - len(start))) == 431


@pytest.mark.parametrize("cut", range(1, 5))
def test_head_cut_at_the_limit_is_refused(cut: int) -> None:
    data = sized_head(16384 + cut)[:16384]

    assert status(data) == 431


def test_field_limit_is_100() -> None:
    fields = [b"a: b"] * 99

    assert len(read(head(b"GET / HTTP/1.1", *fields)).fields) == 100
    assert status(head(b"GET / HTTP/1.1", *fields, b"a: b")) == 431


@pytest.mark.parametrize("size", [1, 13, 14, 20])
def test_small_limits_are_enforced(size: int) -> None:
    line = b"GET / HTTP/1.1"

    assert (status(head(line), line_max=size) == 414) if size < len(line) else read(head(line))
    assert status(head(line), head_max=size) == 431


def test_zero_limits_refuse_everything() -> None:
    assert status(b"G", head_max=0) == 431
    assert status(b"G", line_max=0) == 414
    assert status(head(), fields_max=0) == 431
    with pytest.raises(OverflowError):
        HeadReader(head_max=-1)
    with pytest.raises(OverflowError):
        HeadReader(head_max=1 << 32)


def test_largest_limits_accept_many_lines() -> None:
    most = (1 << 32) - 1
    data = head(b"GET / HTTP/1.1", *[b"a:"] * 20_000)

    found = parse(data, head_max=most, line_max=most, fields_max=most)

    assert found is not None
    assert len(found.fields) == 20_001


@pytest.mark.parametrize("digits", [str((1 << 63) - 1), str(1 << 63), str(1 << 64), "9" * 5000])
def test_length_beyond_64_bits_is_the_largest_number(digits: str) -> None:
    assert (
        read(head(b"GET / HTTP/1.1", b"Content-Length: " + digits.encode())).length == (1 << 63) - 1
    )


def test_reset_discards_what_was_fed() -> None:
    reader = HeadReader()
    reader.feed(b"nonsense")
    reader.reset()

    assert reader.feed(head()) == parse(head())


def test_parse_error_names_its_status() -> None:
    with pytest.raises(ParseError, match="refused with 414") as refusal:
        parse(b"G" * 8001)

    assert refusal.value.status == 414


LINE = b"GET / HTTP/1.1\r\n"


@pytest.mark.parametrize(
    ("data", "quote"),
    [
        (b"\x16\x03\x01\x02", b"\x16\x03\x01\x02"),
        (b"\r\nGET /\x00b HTTP/1.1\r\n", b"GET /\x00b HTTP/1.1"),
        (b"GET / HTTP/1.1\nHost: h\r\n", b"GET / HTTP/1.1\n"),
        (b"GET / HTTP/1.1\rHost: h\r\n", b"GET / HTTP/1.1\r"),
        (b"G\xc4T / HTTP/1.1\r\n", b"G\xc4T / HTTP/1.1"),
        (b"GET /" + b"a" * 9000, b"GET /" + b"a" * 59),
        (b"GET /" + b"a" * 100 + b"\x01 b", b"a" * 63 + b"\x01"),
        (LINE + b"Host: h\r\nbad name: v\r\n\r\n", b"bad name: v"),
        (LINE + b"A: " + b"a" * 100 + b"\x7f\r\n", b"a" * 63 + b"\x7f"),
        (LINE + b"A: b\r\n\r\n", b"GET / HTTP/1.1"),
        (b"\r\n" + LINE + b"\r\n", b"GET / HTTP/1.1"),
        (b"\r\n\r\n\r\nGET", b"GET"),
        (b"\r\n\r\n\r\n", b""),
        (LINE + b"Authorization: secret\x01\r\n", b"Authorization:"),
        (LINE + b"Cookie: secret" + b"a" * 200 + b"\x01\r\n", b"Cookie:"),
        (LINE + b"Proxy-authorization: secret\n", b"Proxy-authorization:"),
        (LINE + b"Cookies: public\x01\r\n", b"Cookies: public\x01"),
        (b"Cookie: secret\x01\r\n", b"Cookie: secret\x01"),
    ],
)
def test_offending_bytes_are_found(data: bytes, quote: bytes) -> None:
    reader = HeadReader()
    with pytest.raises(ParseError):
        reader.feed(data)

    assert reader.quote == quote


@pytest.mark.parametrize("method", [b"PROPFIND", b"QUERY", b"get", b"a!"])
def test_any_method_is_accepted_on_request(method: bytes) -> None:
    raw = method + b" /a?b HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n\r\n"
    head = parse(raw, any_method=True)

    assert head is not None
    assert (head.method, head.path, head.query, head.length) == (method, b"/a", b"b", 3)
    with pytest.raises(ParseError) as refusal:
        parse(raw)
    assert refusal.value.status == 501


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"CONNECT a:80 HTTP/1.1", 501),
        (b"PROPFIND a:80 HTTP/1.1", 400),
        (b"PROPFIND * HTTP/1.1", 400),
        (b"PRI * HTTP/2.0", 400),
        (b"PROPFIND /a HTTP/2.0", 400),
    ],
)
def test_invalid_request_line_with_any_method_is_refused(line: bytes, status: int) -> None:
    with pytest.raises(ParseError) as refusal:
        parse(line + b"\r\n" + HOST + b"\r\n", any_method=True)

    assert refusal.value.status == status
