"""Every answer leaves a line, whoever gave it and however it ended."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.build import chunked, get, post, request
from tests.helpers.fix_serve import Launcher, Server
from tests.helpers.procs import until
from tests.helpers.raw_client import Mark

APP = """
import asyncio

first = kore.domain("first.test", attach="http", accesslog="first.log", accesslog_format="json")
shared = kore.domain("shared.test", attach="http")
shared.accesslog = ("first.log", "json")
own = kore.domain("own.test", attach="http")
own.accesslog = "own.log"
silent = kore.domain("silent.test", attach="http")

def index(req):
    req.response(200, b"hello world")

def large(req):
    req.response(200, b"x" * 20_000_000)

def pieces(req):
    req.response(200, iter([b"a" * 10, b"b" * 10]))

async def async_pieces(req):
    async def items():
        for _ in range(3):
            await asyncio.sleep(0)
            yield b"c" * 10
    req.response(200, items())

async def endless(req):
    async def items():
        while True:
            await asyncio.sleep(0.01)
            yield b"c" * 10
    req.response(200, items())

async def wait(req):
    req.response(103)       # says that it has begun
    await asyncio.sleep(float(req.request_header("seconds")))
    req.response(200, b"waited")

def fails(req):
    req.response_header("x", "\\n")

def echo(req):
    req.response(200, req.body)

def interim(req):
    req.response(103)
    req.response(200, b"then")

for domain in (first, shared, own, silent):
    domain.redirect("^/old$", 301, "/new")
    domain.route("/", index, methods=["get"])
    domain.route("/large", large, methods=["get"])
    domain.route("/pieces", pieces, methods=["get"])
    domain.route("/async-pieces", async_pieces, methods=["get"])
    domain.route("/endless", endless, methods=["get"])
    domain.route("/wait", wait, methods=["get"])
    domain.route("/fails", fails, methods=["get"])
    domain.route("/echo", echo, methods=["post"])
    domain.route("/interim", interim, methods=["get"])
    domain.route("/not-modified", lambda req: req.response(304), methods=["get"])
"""
HOST = "first.test"


@pytest.fixture(scope="module")
def server(serve_module: Launcher) -> Server:
    return serve_module(APP)


@pytest.fixture(scope="module")
def impatient(serve_module: Launcher) -> Server:
    return serve_module(APP, settings={"http_header_timeout": 1, "http_body_timeout": 1})


def log(server: Server, name: str = "first.log") -> Path:
    return server.log.path.with_name(name)


class Marked:
    """What is in a log after a mark."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.start = path.stat().st_size

    def lines(self, count: int) -> list[bytes]:
        """Wait for so many lines."""

        def complete() -> bool:
            return self._read().count(b"\n") >= count

        until(complete, what=f"{count} lines")
        return self._read().splitlines()

    def _read(self) -> bytes:
        with self.path.open("rb") as file:
            file.seek(self.start)
            return file.read()

    def told(self, count: int = 1) -> list[dict[str, Any]]:
        """Wait for so many exchanges."""
        return [json.loads(line) for line in self.lines(count)]


def at(path: str, *fields: str, method: str = "GET", host: str = HOST, body: bytes = b"") -> bytes:
    return request(method, path, *fields, host=host, body=body)


def test_an_exchange_is_a_line(server: Server) -> None:
    mark = Marked(log(server))
    asked = at("/?a=1", "User-Agent: me", "Referer: there")
    with server.connect() as client:
        client.ask(asked)
    (told,) = mark.told()

    assert told == {
        **told,
        "remote_addr": "127.0.0.1",
        "host": HOST,
        "method": "GET",
        "target": "/?a=1",
        "protocol": "HTTP/1.1",
        "status": 200,
        "body_bytes_sent": 11,
        "request_length": len(asked),
        "completion": "OK",
        "user_agent": "me",
        "referer": "there",
        "worker": 1,
        "pid": server.worker,
    }


# What is asked, and the status and the size of what is sent.
ANSWERS = [
    (at("/", method="HEAD"), 200, 0),
    (at("/not-modified"), 304, 0),
    (at("/old"), 301, 0),
    (at("/nothing"), 404, 14),
    (at("/", method="PUT"), 405, 23),
    (at("/", method="OPTIONS"), 204, 0),
    (at("/pieces"), 200, 2 * (3 + 10 + 2) + 5),
    (at("/async-pieces"), 200, 3 * (3 + 10 + 2) + 5),
    (request("GET", "/pieces", version="HTTP/1.0", host=HOST), 200, 20),
    (at("/interim"), 200, 4),
    (at("/echo", "Content-Length: 3", method="POST", body=b"abc"), 200, 3),
    (at("/echo", "Transfer-Encoding: chunked", method="POST", body=chunked(b"ab")), 200, 2),
    (at("/echo", "Content-Length: 9999999", method="POST"), 413, 22),
    (at("https://first.test/"), 421, 24),
    # Nobody's.
    (get("/"), 404, 14),
    # No requests, and so nobody's either.
    (b"GARBAGE \xff\r\n\r\n", 400, 16),
    (b"GET / HTTP/1.1\r\n\r\n", 400, 16),
    (b"GET / HTTP/2.0\r\n\r\n", 505, 31),
    (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", 414, 17),
    (at("/", "X: " + "x" * 20_000), 431, 36),
    (at("/", "Expect: something"), 417, 23),
]
# Nothing more comes.
TOO_LATE = [
    (b"GET / HT", 408, 20),
    (at("/echo", "Content-Length: 10", method="POST", body=b"abc"), 408, 20),
]


def check(server: Server, answers: list[tuple[bytes, int, int]]) -> None:
    mark = Marked(log(server))
    for asked, status, _ in answers:
        with server.connect() as client:
            assert client.ask(asked).status == status
    told = mark.told(len(answers))

    assert [(line["status"], line["body_bytes_sent"], line["completion"]) for line in told] == [
        (status, size, "OK") for _, status, size in answers
    ]


def test_each_response_is_logged_with_its_size(server: Server) -> None:
    check(server, ANSWERS)


def test_timed_out_request_is_logged(impatient: Server) -> None:
    check(impatient, TOO_LATE)


def test_malformed_request_is_logged_with_its_bytes(server: Server) -> None:
    mark = Marked(log(server))
    with server.connect() as client:
        client.ask(b'\x16\x03\x01"\\ HTTP\r\nHost: a\r\n\r\n')
    (told,) = mark.told()

    assert (told["request"], told["method"], told["host"]) == ('\x16\x03\x01"\\ HTTP', "", "")


def test_an_error_of_a_handler_is_a_line_with_500(server: Server) -> None:
    mark = Marked(log(server))
    with server.expecting("/fails"), server.connect() as client:
        assert client.ask(at("/fails")).status == 500

    assert mark.told()[0]["status"] == 500


def test_pipelined_requests_have_each_their_own_line(server: Server) -> None:
    mark = Marked(log(server))
    asked = [at(f"/?{number}") for number in range(500)]
    with server.connect() as client:
        client.send(b"".join(asked))
        client.answers(500)
    told = mark.told(500)

    assert [line["target"] for line in told] == [f"/?{number}" for number in range(500)]
    assert [line["request_length"] for line in told] == list(map(len, asked))


def test_logged_time_is_the_handlers(server: Server) -> None:
    mark = Marked(log(server))
    with server.connect() as client:
        client.ask(at("/wait", "seconds: 0.3"))

    assert 0.25 < mark.told()[0]["request_time"] < 60


def test_disconnect_before_the_response_is_499(server: Server) -> None:
    mark = Marked(log(server))
    with server.connect() as client:
        client.send(at("/wait", "seconds: 30"))
        client.wait(lambda: client.reader.answers)
        client.reset()
    (told,) = mark.told()

    assert (told["status"], told["body_bytes_sent"], told["completion"]) == (499, 0, "")


def test_disconnect_before_the_body_is_complete_is_499(server: Server) -> None:
    mark = Marked(log(server))
    with server.connect() as client:
        asked = at("/echo", "Content-Length: 10", "Expect: 100-continue", method="POST")
        client.send(asked, Mark.CONTINUE, b"ab")
        client.reset()

    assert mark.told()[0]["status"] == 499


@pytest.mark.parametrize("path", ["/large", "/endless"])
def test_aborted_response_is_logged_with_the_bytes_sent(server: Server, path: str) -> None:
    mark = Marked(log(server))
    with server.connect(receive_buffer=16384) as client:
        client.send(at(path))
        client.receive()
        client.reset()
    (told,) = mark.told()

    assert (told["status"], told["completion"]) == (200, "")
    assert 0 < told["body_bytes_sent"] < 20_000_000


def test_a_large_answer_is_logged_when_it_has_gone(server: Server) -> None:
    mark = Marked(log(server))
    with server.connect(receive_buffer=16384) as client:
        client.send(at("/large"), at("/"))
        assert len(client.answer().body) == 20_000_000
        client.answer()
    large, small = mark.told(2)

    assert (large["target"], large["body_bytes_sent"], large["completion"]) == (
        "/large",
        20_000_000,
        "OK",
    )
    assert large["request_length"] == len(at("/large"))
    assert (small["target"], small["body_bytes_sent"]) == ("/", 11)


def test_unread_body_makes_no_second_line(server: Server) -> None:
    mark = Marked(log(server))
    with server.connect() as client:
        client.ask(at("/old", "Content-Length: 3", method="POST", body=b"abc"))
        client.ask(at("/"))

    assert [told["status"] for told in mark.told(2)] == [301, 200]


def test_half_closed_clients_are_answered_and_logged(server: Server) -> None:
    mark = Marked(log(server))
    with server.connect() as client:
        client.send(at("/wait", "seconds: 0.1"), Mark.HALF_CLOSE)
        assert client.answer().body == b"waited"

    assert mark.told()[0]["status"] == 200


def test_each_domain_has_its_log_and_some_share_one(server: Server) -> None:
    first, own = Marked(log(server)), Marked(log(server, "own.log"))
    with server.connect() as client:
        for host in ("first.test", "own.test", "silent.test", "shared.test", "first.test"):
            client.ask(at("/", host=host))
    told = first.told(3)

    assert [line["host"] for line in told] == ["first.test", "shared.test", "first.test"]
    assert b'"GET / HTTP/1.1" 200 11 "-" "-"' in own.lines(1)[0]


def test_no_value_forges_a_line(server: Server) -> None:
    mark = Marked(log(server, "own.log"))
    agent = b'User-Agent: a" "b\\\t\x80\xff 200 9 "-" "-'
    with server.connect() as client:
        client.ask(at('/"<script>', "Referer: \x9b31m", host="own.test")[:-2] + agent + b"\r\n\r\n")
    (line,) = mark.lines(1)

    assert line.isascii()
    assert b'"GET /\\x22<script> HTTP/1.1" 404 14 "\\x9B31m" ' in line
    assert line.endswith(b'"a\\x22 \\x22b\\x5C\\x09\\x80\\xFF 200 9 \\x22-\\x22 \\x22-"')


def test_a_long_user_agent_is_one_line(server: Server) -> None:
    mark = Marked(log(server))
    with server.connect() as client:
        client.ask(at("/", "User-Agent: " + "\xff" * 16_000))

    assert mark.told()[0]["user_agent"] == "\xff" * 16_000


def test_a_server_full_of_requests_says_so_in_the_log(serve: Launcher) -> None:
    server = serve(APP, settings={"http_request_limit": 1})
    mark = Marked(log(server))
    with server.connect() as first, server.connect() as second:
        first.send(at("/wait", "seconds: 100"))
        first.wait(lambda: first.reader.answers)
        assert second.ask(at("/")).status == 503
        first.reset()

    assert [told["status"] for told in mark.told(2)] == [503, 499]


def test_a_client_without_an_address_is_a_dash(serve: Launcher) -> None:
    server = serve(
        'kore.server("local", path="local.sock", tls=False)\n'
        'domain = kore.domain("*", attach="local", accesslog="a.log")\n'
        'domain.route("/", lambda req: req.response(200))\n'
        'kore.domain("*", attach="http")'
    )
    mark = Marked(log(server, "a.log"))
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(server.log.path.with_name("local.sock")))
        client.sendall(get("/"))
        client.recv(1000)

    assert mark.lines(1)[0].startswith(b"- - - [")


def test_request_lengths_are_logged_apart_in_a_pipeline(server: Server) -> None:
    mark = Marked(log(server))
    body = post(b"inner", target="/")
    asked = at("/echo", f"Content-Length: {len(body)}", method="POST", body=body)
    with server.connect() as client:
        client.send(asked + at("/"))
        client.answers(2)

    assert [(line["method"], line["request_length"]) for line in mark.told(2)] == [
        ("POST", len(asked)),
        ("GET", len(at("/"))),
    ]
