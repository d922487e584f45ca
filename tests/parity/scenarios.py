"""What C Kore does and we do too: a request, and what has to come back. Data only."""

from dataclasses import dataclass, field
from typing import Any

from tests.helpers.build import get, post, request


@dataclass(frozen=True)
class Scenario:
    """Of the answer, only what is named here is compared."""

    name: str
    request: bytes
    status: int = 200
    body: bytes | None = None
    json: dict[str, Any] = field(default_factory=dict)
    fields: dict[str, str | None] = field(default_factory=dict)
    end: str = ""
    chunks: list[bytes] | None = None


def method(name: str, number: int) -> Scenario:
    """Return the scenario of a method's number."""
    wanted = request(name, "/report", "Content-Length: 0")
    return Scenario(f"method-{name.lower()}", wanted, json={"method": number})


def arguments(name: str, text: str, /, **found: str) -> list[Scenario]:
    """Return the scenarios of parameters in a query, and in a form."""
    wanted = {"id": None, "name": None, "other": None, **found}
    form = "Content-Type: application/x-www-form-urlencoded"
    return [
        Scenario(f"query-{name}", get(f"/arguments?{text}"), json=wanted),
        Scenario(f"form-{name}", post(text.encode(), -1, form, target="/arguments"), json=wanted),
    ]


def cookie(name: str, text: str, value: str | None) -> Scenario:
    """Return the scenario of a cookie."""
    return Scenario(f"cookie-{name}", get("/arguments", f"Cookie: {text}"), json={"cookie": value})


SCENARIOS = [
    *arguments("one", "id=1", id="1"),
    *arguments("first-wins", "id=1&id=2", id="1"),
    *arguments("invalid", "id=x"),
    *arguments("undeclared", "other=1"),
    *arguments("names-have-a-case", "ID=1"),
    *arguments("plus-and-escape", "name=a+b%20c%2B%26", name="a b c+&"),
    *arguments("escaped-name", "%69d=1", id="1"),
    *arguments("broken-escape", "name=a%zzb", name="a%zzb"),
    *arguments("semicolon", "name=1;id", name="1;id"),
    *arguments("nul", "name=a%00"),
    *arguments("no-name", "=x"),
    cookie("one", "c=1", "1"),
    cookie("among-others", "a=1; c=2;d=3", "2"),
    cookie("first-wins", "c=1; c=2", "1"),
    cookie("quoted", 'c="1"', '"1"'),
    cookie("escape", "c=%20", "%20"),
    cookie("comma", "c=1, d", "1, d"),
    cookie("none", "d=1", None),
    Scenario(
        "pieces",
        post(b"abcdef", target="/pieces"),
        body=b"[[(3, b'abc'), (3, b'def'), (0, b'')], b'abcdef', (0, b'')]",
    ),
    Scenario("auth", get("/key", "X-Key: secret"), body=b"let in"),
    Scenario("auth-wrong", get("/key", "X-Key: wrong"), status=403),
    Scenario("auth-missing", get("/key"), status=403),
    Scenario("auth-redirect", get("/login"), status=302, fields={"location": "/to"}),
    Scenario(
        "redirect",
        get("/moved/a/b?c=d"),
        status=301,
        body=b"",
        fields={"location": "https://h.test/a/b?c=d", "connection": "keep-alive"},
    ),
    Scenario("redirect-of-head", request("HEAD", "/moved/x?y"), status=301, body=b""),
    Scenario("plain", get(), body=b"hello world", fields={"content-length": "11"}),
    Scenario("async", get("/later"), body=b"later"),
    Scenario("keep-alive", get(), fields={"connection": "keep-alive", "keep-alive": "timeout=20"}),
    Scenario(
        "close",
        get("/", "Connection: close"),
        fields={"connection": "close", "keep-alive": None},
        end="closed",
    ),
    Scenario("close-in-capitals", get("/", "CONNECTION: CLOSE"), end="closed"),
    Scenario("http-1.0", request(version="HTTP/1.0"), body=b"hello world", end="closed"),
    Scenario("head", request("HEAD"), body=b"", fields={"content-length": "11"}),
    Scenario("empty-query", get("/?"), body=b"hello world"),
    Scenario("query", get("/report?a=b"), json={"path": "/report"}),
    Scenario("host-with-port", request(target="/report", host="h:81"), json={"host": "h:81"}),
    Scenario("address", get("/report"), json={"addr": "127.0.0.1"}),
    method("GET", 1),
    method("POST", 2),
    method("PUT", 4),
    method("DELETE", 16),
    method("OPTIONS", 64),
    method("PATCH", 128),
    Scenario("body", post(b"a\x00b\xff", target="/report"), json={"body": "a\x00b\xff"}),
    Scenario("empty-body", post(b"", target="/report"), json={"body": ""}),
    Scenario("leading-zeros", post(b"abc", "0003", target="/report"), json={"body": "abc"}),
    Scenario("header", get("/report", "X-ONE: 1"), json={"one": "1", "none": None}),
    Scenario("first-header-wins", get("/report", "x-one: a", "x-one: b"), json={"one": "a"}),
    Scenario(
        "all-headers",
        get("/report", "X-One: a", "x-one: b", "Y: c"),
        json={"headers": {"host": "localhost", "x-one": "b", "y": "c"}},
    ),
    Scenario("captures", get("/user/joe/42"), json={"captures": ["joe", "42"]}),
    Scenario("captures-up-to-a-gap", get("/maybe/b/c"), json={"captures": []}),
    Scenario("captures-before-a-gap", get("/maybe/a/c"), json={"captures": ["a"]}),
    Scenario("posix-class", get("/class/joe"), json={"captures": ["joe"]}),
    Scenario("regex-that-does-not-match", get("/user/joe/x"), status=404),
    Scenario("unanchored-regex", get("/is/anywhere/here"), body=b"unanchored"),
    Scenario("second-route-of-a-path", post(b"", target="/both"), body=b"both post"),
    Scenario("first-route-of-a-path", get("/both"), body=b"both get"),
    Scenario("first-match-wins", get("/order"), body=b"literal"),
    Scenario("regex-behind-a-literal", get("/order/x"), body=b"regex"),
    Scenario("missing", get("/missing"), status=404),
    Scenario("case-of-the-path", get("/BOTH"), status=404),
    Scenario("two-slashes", get("//both"), status=404),
    Scenario("final-slash", get("/both/"), status=404),
    Scenario("dots", get("/x/../both"), status=404),
    Scenario("wrong-method", post(b"", target="/"), status=405),
    Scenario("exception", get("/fails"), status=500, fields={"connection": "keep-alive"}),
    Scenario("no-body", get("/none"), body=b"", fields={"content-length": "0"}),
    Scenario(
        "list",
        get("/list"),
        chunks=[b"one", b"two", b"three"],
        fields={"transfer-encoding": "chunked", "content-length": None},
    ),
    Scenario("fields", get("/fields"), status=201, fields={"x-first": "3", "x-second": "2"}),
    Scenario("no-content", get("/status/204"), status=204, fields={"content-length": None}),
    Scenario("teapot", get("/status/418"), status=418),
    Scenario("no-host", request(host=None), status=400, end="closed"),
    Scenario("no-version", b"GET /\r\nHost: h\r\n\r\n", status=400, end="closed"),
    Scenario("version-2", request(version="HTTP/2.0"), status=505, end="closed"),
    Scenario("space-before-colon", get("/", "A : b"), status=400, end="closed"),
    Scenario("folded-field", get("/", "A: b\r\n c"), status=400, end="closed"),
    Scenario("body-too-large", post(b"", 1_024_001, target="/report"), status=413, end="closed"),
]
