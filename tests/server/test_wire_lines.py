"""Raw cases: methods and the request line."""

from tests.helpers.build import CRLF, HOST_LINE, get, request
from tests.helpers.fix_worker import ThreadServer
from tests.helpers.wire import CLOSED, Case, answered, both_ways, check, refused

ROOT = frozenset({"GET", "HEAD"})


def method(name: str, *fields: str, target: str = "/") -> bytes:
    return request(name, target, *fields)


def line(first: bytes) -> bytes:
    return first + CRLF + HOST_LINE + CRLF


METHODS = [
    refused("method.lower", 501, method("get")),
    refused("method.mixed", 501, method("gEt")),
    refused("method.unknown", 501, method("FOO")),
    refused("method.trace", 501, method("TRACE")),
    refused("method.long", 501, method("A" * 200)),
    refused("method.bad-char", 400, method("G@T")),
    answered("method.options", method("OPTIONS"), b"", status=204, allow=ROOT),
    refused("method.put-root", 405, method("PUT", "Content-Length: 0"), end="open", allow=ROOT),
    refused("method.delete-root", 405, method("DELETE"), end="open", allow=ROOT),
    refused("method.patch-root", 405, method("PATCH", "Content-Length: 0"), end="open", allow=ROOT),
    answered("method.options-star", method("OPTIONS", target="*"), b"", status=204),
    refused("method.connect", 501, method("CONNECT", target="example.com:443")),
    answered(
        "method.http10-put",
        request("PUT", "/echo", "Content-Length: 1", body=b"a", version="HTTP/1.0"),
        b"a",
        end=CLOSED,
    ),
    # Another protocol, not a request: ending the connection is as good an answer as 400.
    Case("method.h2-preface", (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",), ((400,), ()), CLOSED),
    Case(
        "method.tls-hello",
        (bytes.fromhex("16030100c8010000c40303") + bytes(194),),
        ((400,), ()),
        CLOSED,
    ),
]

LINES = [
    answered("line.leading-crlf", CRLF + get()),
    answered("line.leading-crlf-x2", CRLF * 2 + get()),
    refused("line.leading-lf", 400, b"\n" + get()),
    refused("line.leading-crlf-x4", 400, CRLF * 4 + get()),
    refused("line.leading-space", 400, b" " + get()),
    refused("line.double-space", 400, line(b"GET  /  HTTP/1.1")),
    refused("line.tab-sep", 400, line(b"GET\t/\tHTTP/1.1")),
    refused("line.trailing-space", 400, line(b"GET / HTTP/1.1 ")),
    refused("line.trailing-words", 400, line(b"GET / HTTP/1.1 extra words")),
    refused("line.space-in-target", 400, line(b"GET /a b HTTP/1.1")),
    refused("line.no-target", 400, line(b"GET HTTP/1.1")),
    refused("line.bare-cr", 400, line(b"GET /\r HTTP/1.1")),
    refused("line.nul-target", 400, line(b"GET /\0 HTTP/1.1")),
    refused("line.nul-query", 400, line(b"GET /?a\0b HTTP/1.1")),
    refused("line.ctl-query", 400, line(b"GET /?a\x01b HTTP/1.1")),
    refused("line.8bit-query", 400, line(b"GET /?a\xffb HTTP/1.1")),
    refused("line.del-query", 400, line(b"GET /?a\x7fb HTTP/1.1")),
    refused("line.vtab-sep", 400, line(b"GET\x0b/\x0bHTTP/1.1")),
]


@both_ways(METHODS + LINES)
def test_a_request_line_is_taken_or_refused(plain: ThreadServer, case: Case) -> None:
    check(plain, case)


def test_the_answer_to_options_of_everything_names_methods(plain: ThreadServer) -> None:
    with plain.connect() as client:
        answer = client.ask(method("OPTIONS", target="*"))

    assert {"GET", "HEAD", "POST", "OPTIONS"} <= answer.tokens
