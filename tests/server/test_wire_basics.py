"""Raw cases: plain requests, the life of a connection, pipelining, versions."""

from tests.helpers.build import CRLF, HOST_LINE, get, post, request
from tests.helpers.fix_serve import Server
from tests.helpers.raw_client import GAP, Mark
from tests.helpers.wire import CLOSED, HALF_CLOSED, Case, answered, both_ways, check, refused

GET_METHODS = frozenset({"GET", "HEAD"})
ECHO_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
HEAD = ("HEAD",)


def http(version: str) -> bytes:
    return request(version=version)


BASIC = [
    answered(
        "basic.get",
        get(),
        fields={"content-length": "11", "connection": "keep-alive", "keep-alive": "timeout=20"},
    ),
    answered("basic.post", post(b"abc"), b"abc"),
    answered("basic.head", request("HEAD"), b"", fields={"content-length": "11"}, methods=HEAD),
    refused("basic.404", 404, get("/no-such-path"), end="open"),
    refused(
        "basic.404-head", 404, request("HEAD", "/no-such-path"), end="open", body=b"", methods=HEAD
    ),
    refused("basic.405-post", 405, post(b"abc", target="/"), end="open", allow=GET_METHODS),
    refused("basic.405-get", 405, get("/echo"), end="open", allow=ECHO_METHODS),
    answered("basic.bytewise", get("/?bytewise")),
]

CONNECTION = [
    answered("conn.close", get("/", "Connection: close"), end=CLOSED),
    answered("conn.close-upper", get("/", "Connection: CLOSE"), end=CLOSED),
    answered("conn.close-in-list", get("/", "Connection: foo, close"), end=CLOSED),
    answered("conn.close-trailing-sp", get("/", "Connection: close "), end=CLOSED),
    answered("conn.keep-alive", get("/", "Connection: keep-alive")),
    answered(
        "conn.ka-then-close-dup",
        get("/", "Connection: keep-alive", "Connection: close"),
        end=CLOSED,
    ),
    answered("conn.sequential-2", [get(), GAP, get()], status=(200, 200)),
    answered("conn.half-close-same-segment", [Mark.CORK, get(), Mark.HALF_CLOSE], end=HALF_CLOSED),
    answered("conn.http10", http("HTTP/1.0"), end=CLOSED),
    answered(
        "conn.http10-keep-alive",
        request("GET", "/", "Connection: keep-alive", version="HTTP/1.0"),
        end=CLOSED,
    ),
    answered("conn.crlf-between", [get(), GAP, CRLF, GAP, get()], status=(200, 200)),
]

PIPELINING = [
    answered("pipe.get-get", get() + get(), status=(200,) * 2),
    answered("pipe.get-x5", get() * 5, status=(200,) * 5),
    answered("pipe.post-get", post(b"abc") + get(), status=(200, 200)),
    answered("pipe.bigpost-get", post(b"b" * 6000) + get(), status=(200, 200)),
    answered("pipe.get-post", get() + post(b"xyz"), b"xyz", status=(200, 200)),
    answered(
        "pipe.split-second",
        [get() + b"GET / HT", GAP, b"TP/1.1\r\n" + HOST_LINE + CRLF],
        status=(200, 200),
    ),
    answered("pipe.close-then-get", get("/", "Connection: close") + get(), end=CLOSED),
    answered("pipe.head-get", request("HEAD") + get(), status=(200, 200), methods=("HEAD", "GET")),
]

VERSIONS = [
    refused("ver.http09", 400, b"GET /\r\n\r\n"),
    refused("ver.http09-host", 400, b"GET /\r\n" + HOST_LINE + CRLF),
    answered("ver.1.2", http("HTTP/1.2")),
    refused("ver.1.01", 400, http("HTTP/1.01")),
    refused("ver.2.0", 505, http("HTTP/2.0")),
    refused("ver.0.9", 505, http("HTTP/0.9")),
    refused("ver.lower", 400, http("http/1.1")),
    refused("ver.junk", 400, http("HTTP/1.1x")),
    refused("ver.other", 400, http("FTP/1.1")),
    refused("ver.no-slash", 400, http("HTTP1.1")),
]

UPGRADE = [
    answered(
        "upgrade.h2c",
        get(
            "/",
            "Upgrade: h2c",
            "Connection: Upgrade, HTTP2-Settings",
            "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
        ),
    ),
]


@both_ways(BASIC + CONNECTION + PIPELINING + VERSIONS + UPGRADE)
def test_a_plain_exchange_goes_as_agreed(plain_server: Server, case: Case) -> None:
    check(plain_server, case)


def test_the_connection_is_announced_as_it_is_kept(plain_server: Server) -> None:
    with plain_server.connect() as client:
        kept, last = client.ask(get()), client.ask(get("/", "Connection: close"))

    assert (kept.get("connection"), kept.get("keep-alive")) == ("keep-alive", "timeout=20")
    assert (last.get("connection"), last.get("keep-alive")) == ("close", None)


def test_a_reason_follows_the_status(plain_server: Server) -> None:
    with plain_server.connect() as client:
        reasons = [client.ask(get(target)).reason for target in ("/", "/none", "/echo")]

    assert reasons == ["OK", "Not Found", "Method Not Allowed"]
