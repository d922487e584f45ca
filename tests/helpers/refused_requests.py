"""A request for each rule that one can break; most of it is what is refused, as it is sent."""

from typing import Final

from tests.helpers.build import get, post, request

WEBSOCKET: Final = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==",
)


def framed(*fields: str, version: str = "HTTP/1.1") -> bytes:
    """Return a POST whose body is framed by *fields*."""
    return request("POST", "/echo", *fields, version=version)


def coded(body: bytes) -> bytes:
    """Return a POST with what should be a chunked body."""
    return framed("Transfer-Encoding: chunked") + body


def handshake(*fields: str, method: str = "GET", without: int | None = None) -> bytes:
    """Return a handshake for a WebSocket; *without* leaves out one of its fields."""
    kept = [field for number, field in enumerate(WEBSOCKET) if number != without]
    return request(method, "/ws", *kept, *fields)


# Rule: requests that break it, and only it.
REFUSED: Final[dict[str, list[bytes]]] = {
    "BLANK_LINES": [b"\r\n\r\n\r\n" + get()],
    "BARE_LF": [b"GET / HTTP/1.1\n", b"GET / HTTP/1.1\r\nHost: a\n", b"\n"],
    "BARE_CR": [b"GET / HTTP/1.1\rx", b"GET / HTTP/1.1\r\nHost: a\rb", get()[:-1] + b"x"],
    "TLS": [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\r\n\x16\x03\x03"],
    "LINE_CHARACTER": [b"GET /\t HTTP/1.1\r\n", b"\x00", b"GET /\xc3\xa9 HTTP/1.1\r\n", b"G\x16"],
    "LINE_SIZE": [get("/" + "a" * 8000), b"a" * 8001],
    "HEAD_SIZE": [get("/", *(f"n{n}: {'v' * 1000}" for n in range(17)))],
    "METHOD_NAME": [b"GARBAGE\r\n", b" GET / HTTP/1.1\r\n", b"G(T / HTTP/1.1\r\n", b"/\r\n"],
    "VERSION_MISSING": [
        b"GET /\r\n",
        b"GET / HTTP/1\r\n",
        b"GET / http/1.1\r\n",
        b"GET / HTTP/1.1 \r\n",
        b"GET / HTTP/x.1\r\n",
        b"GET / XHTTP/1.1\r\n",
    ],
    "TARGET_MISSING": [b"GET HTTP/1.1\r\n", b"GET  HTTP/1.1\r\n"],
    "TARGET_CHARACTER": [get("/a b"), get("/#a"), get("  /")],
    "PROTOCOL": [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"FOO / HTTP/3.0\r\n"],
    "MAJOR_VERSION": [request(version="HTTP/2.0"), request(version="HTTP/0.9")],
    "METHOD": [request("PROPFIND"), request("get"), request("CONNECT", "localhost:1")],
    "ASTERISK": [get("*"), request("OPTIONS", "*a")],
    "TARGET_FORM": [get("index"), get("ftp://a/"), get("http:/a"), get("?a")],
    "TARGET_HOST": [get("http:///"), get("http://a@b/"), get("http://a:b/")],
    "BACKSLASH": [get("/\\"), get("/a\\..\\b")],
    "ESCAPE": [get("/%"), get("/%4"), get("/%zz"), get("/%00")],
    "SCHEME": [get("https://localhost/")],
    "FIELD_FOLDED": [get("/", "a: b", " c"), get("/", "a: b", "\tc: d"), get("/", "  ")],
    "FIELD_NAME": [get("/", "a : b"), get("/", "a"), get("/", ": b"), get("/", "\xe9: b")],
    "FIELD_CHARACTER": [get("/", "a: \x00"), get("/", "a: \x1b[2J"), get("/", "\x7f: a")],
    "FIELD_COUNT": [get("/", *(f"n{n}: v" for n in range(100)))],
    "HOST_MISSING": [request(host=None)],
    "HOST_REPEATED": [get("/", "Host: localhost"), get("http://a/", "host: b")],
    "HOST_VALUE": [request(host="a/b"), request(host="a:b"), request(host="a@b")],
    "EXPECTATION": [get("/", "Expect: 200-ok"), get("/", "Expect: 100-continue, x")],
    "LENGTH_REPEATED": [framed("Content-Length: 1", "Content-Length: 1") + b"a"],
    "LENGTH_VALUE": [
        framed(f"Content-Length: {n}") for n in ("", "-1", "+1", "1, 1", "0x1", "1.0")
    ],
    "LENGTH_AND_CODING": [framed("Transfer-Encoding: chunked", "Content-Length: 0")],
    "CODING_LIST": [framed("Transfer-Encoding: , chunked"), framed("Transfer-Encoding:")],
    "CHUNKED_REPEATED": [
        framed("Transfer-Encoding: chunked, gzip"),
        framed("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
    ],
    "CHUNKED_MISSING": [framed("Transfer-Encoding: gzip"), framed("Transfer-Encoding: xchunked")],
    "CODING_VERSION": [framed("Transfer-Encoding: chunked", version="HTTP/1.0")],
    "CODING": [framed("Transfer-Encoding: gzip, chunked")],
    "CHUNK_SIZE": [coded(b"x"), coded(b"-1\r\n"), coded(b"\r\n"), coded(b"1 \r\n"), coded(b"1\n")],
    "CHUNK_SIZE_RANGE": [coded(b"1" + b"0" * 16)],
    "CHUNK_LINE_END": [coded(b"1\rx"), coded(b"1;a\r\r")],
    "CHUNK_LINE_SIZE": [coded(b"1;" + b"a" * 5000), coded(b"0" * 5000)],
    "CHUNK_EXTENSION": [coded(b"1;a\n"), coded(b"1;\x00")],
    "CHUNK_DATA_END": [coded(b"1\r\nab"), coded(b"1\r\na\n"), coded(b"1\r\na\rb")],
    "TRAILER_NAME": [coded(b"0\r\na b"), coded(b"0\r\n a"), coded(b"0\r\na\r"), coded(b"0\r\n\n")],
    "TRAILER_CHARACTER": [coded(b"0\r\na: \x00"), coded(b"0\r\na: b\n")],
    "TRAILER_LINE_END": [coded(b"0\r\na: b\rc"), coded(b"0\r\n\rx")],
    "TRAILER_SIZE": [coded(b"0\r\na: " + b"b" * 5000)],
    "BODY_SIZE": [
        framed("Content-Length: 2000000"),
        framed(f"Content-Length: {1 << 80}"),
        coded(b"200000\r\na"),
        request("POST", "/short", "Content-Length: 11"),
        request("POST", "/short", "Transfer-Encoding: chunked") + b"6\r\nabcdef\r\n5\r\na",
    ],
    "WEBSOCKET_METHOD": [request("GET", "/ws", *WEBSOCKET, version="HTTP/1.0")],
    "WEBSOCKET_UPGRADE": [handshake(without=0), handshake(without=1), get("/ws")],
    "WEBSOCKET_BODY": [handshake("Content-Length: 1") + b"a"],
    "WEBSOCKET_VERSION": [handshake(without=2), handshake("Sec-WebSocket-Version: 8")],
    "WEBSOCKET_KEY": [handshake(without=3), handshake("Sec-WebSocket-Key: a")],
    "WEBSOCKET_ORIGIN": [handshake("Origin: https://example.org")],
}
# What must not come in time.
LATE: Final[dict[str, bytes]] = {
    "HEAD_TIMEOUT": b"GET / HTTP/1.1\r\nHost",
    "BODY_TIMEOUT": post(b"a", 5),
}
# Rules of ports with TLS: test_tls_hosts.py breaks them.
OVER_TLS: Final = frozenset({"MISDIRECTED", "PLAINTEXT"})
