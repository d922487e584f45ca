"""Limits of time, on a worker that has nothing else to do.

Nobody else talks to the server while one of these waits, so a timer that only traffic
wakes up is found out.
"""

import time
from collections.abc import Callable

import pytest

from tests.helpers import procs
from tests.helpers.build import CRLF, HOST_LINE, get, post
from tests.helpers.fix_serve import Launcher, Server
from tests.helpers.raw_client import Client, Pause

APP = """
import asyncio

domain = kore.domain("*", attach="http")

@kore.route("/", methods=["get"])
def index(req):
    req.response(200, b"hello world")

@kore.route("/echo", methods=["post"])
def echo(req):
    req.response(200, req.body)

@kore.route("/slow", methods=["get"])
async def slow(req):
    await asyncio.sleep(1.8)
    req.response(200, b"slow")

@kore.route("/large", methods=["get"])
def large(req):
    req.response(200, bytes(24 << 20))

@kore.route("/pieces", methods=["get"])
def pieces(req):
    req.response(200, (bytes(65536) for _ in range(384)))
"""
ONE_SECOND = {
    "http_header_timeout": 1,
    "http_body_timeout": 1,
    "http_keepalive_time": 1,
    "http_write_timeout": 1,
}
# The clocks of two processes, and a sweep that may come a little early after all.
EARLIEST = 0.8


@pytest.fixture(scope="module")
def server(serve_module: Launcher) -> Server:
    return serve_module(APP, settings=ONE_SECOND)


@pytest.fixture(scope="module")
def on_either_loop(serve_module: Launcher, loop: str) -> Server:
    """The same, for one test of each kind: all the others wait for the same sweep."""
    return serve_module(APP, settings=ONE_SECOND, loop=loop)


def ends(client: Client) -> tuple[list[int], str]:
    """Return what came until the end, which may not come at once."""
    end = client.until_ended()
    assert client.age >= EARLIEST
    return [answer.status for answer in client.reader.answers], end


def in_time(attempt: Callable[[], bool]) -> None:
    """Try until the machine holds nobody up: False says that it did, and nothing was shown."""
    procs.until(attempt, what="a machine that keeps the time")


def test_a_client_that_says_nothing_is_closed_without_a_word(on_either_loop: Server) -> None:
    with on_either_loop.connect() as client:
        assert ends(client) == ([], "closed")


def test_half_a_line_gets_408(on_either_loop: Server) -> None:
    with on_either_loop.connect() as client:
        client.send(b"GET / HT")

        assert ends(client) == ([408], "closed")


@pytest.mark.parametrize(
    "beginning",
    [
        pytest.param(b"GET / HTTP/1.1\r\n" + HOST_LINE, id="fields"),
        pytest.param(b"GET / HTTP/1.1\r\n" + HOST_LINE + b"\r", id="last-byte"),
        pytest.param(post(b"", 10), id="no-body"),
        pytest.param(post(b"abc", 10), id="half-a-body"),
        pytest.param(post(b"3\r\nab", None, "Transfer-Encoding: chunked"), id="half-a-chunk"),
    ],
)
def test_a_request_that_stops_half_way_gets_408(server: Server, beginning: bytes) -> None:
    with server.connect() as client:
        client.send(beginning)

        assert ends(client) == ([408], "closed")


def test_an_idle_connection_is_closed_without_a_word(on_either_loop: Server) -> None:
    with on_either_loop.connect() as client:
        answer = client.ask(get())

        assert ends(client) == ([200], "closed")
    assert answer.get("keep-alive") == "timeout=1"


def test_a_second_request_that_stops_half_way_gets_408(server: Server) -> None:
    with server.connect() as client:
        client.ask(get())
        client.send(b"GET / HT")

        assert ends(client) == ([200, 408], "closed")


def test_an_empty_line_is_no_request(server: Server) -> None:
    with server.connect() as client:
        client.ask(get())
        client.send(CRLF)

        statuses, end = ends(client)
    assert (statuses[0], end) == (200, "closed")


@pytest.mark.parametrize(
    "head", [pytest.param(b"", id="head"), pytest.param(post(b"", 100), id="body")]
)
def test_a_trickle_does_not_extend_the_time(server: Server, head: bytes) -> None:
    with server.connect() as client:
        client.send(head)
        while not client.hears(0.25):
            client.send(b"G")
            assert client.age < procs.PATIENCE

        assert client.answer().status == 408
        assert client.until_ended() == "closed"


def test_each_request_of_a_connection_has_its_own_time(server: Server) -> None:
    in_time(lambda: five_requests_in_halves(server))


def five_requests_in_halves(server: Server) -> bool:
    """Spend more time on five requests than one may take, but not on any of them."""
    with server.connect() as client:
        now = time.monotonic()
        for _ in range(5):
            client.send(b"GET / HTTP/1.1\r\n", Pause(0.4), HOST_LINE + CRLF)
            statuses = [answer.status for answer in client.answers(1)]
            now, start = time.monotonic(), now
            if now - start > EARLIEST:
                return False
            assert statuses == [200]
    return True


def test_a_handler_may_take_longer_than_a_connection_may_idle(server: Server) -> None:
    with server.connect() as client:
        client.send(get("/slow") + get("/"))

        assert [answer.body for answer in client.answers(2)] == [b"slow", b"hello world"]


@pytest.mark.parametrize("path", ["/large", "/pieces"])
def test_a_client_that_does_not_read_is_cut_off(serve: Launcher, path: str) -> None:
    # A server of its own: the connection is told from others by there being no others.
    server = serve(APP, settings=ONE_SECOND)
    before = len(procs.descriptors(server.worker))
    with server.connect(receive_buffer=65536) as client:
        client.send(get(path))
        procs.until(lambda: len(procs.descriptors(server.worker)) > before, what="accepted")
        procs.until(lambda: len(procs.descriptors(server.worker)) == before, what="cut off")

        assert client.age >= EARLIEST
        client.until_ended()
    assert client.reader.final == []


@pytest.mark.parametrize("path", ["/large", "/pieces"])
def test_a_client_that_reads_slowly_gets_everything(server: Server, path: str) -> None:
    in_time(lambda: read_slowly(server, path))


def read_slowly(server: Server, path: str) -> bool:
    """Read with pauses shorter than a client may take, together longer."""
    with server.connect(receive_buffer=65536) as client:
        client.send(get(path))
        now = time.monotonic()
        for _ in range(8):
            time.sleep(0.4)
            for _ in range(8):
                client.receive(65536)
            now, start = time.monotonic(), now
            if now - start > EARLIEST:
                return False
        assert len(client.answer().body) == 24 << 20
    return True


def test_without_a_keepalive_time_every_answer_closes(serve: Launcher) -> None:
    server = serve(APP, settings={"http_keepalive_time": 0})
    with server.connect() as client:
        client.send(get() + get())
        answer = client.answer()

        assert client.until_ended() == "closed"
    assert (answer.get("connection"), answer.get("keep-alive")) == ("close", None)
    assert len(client.reader.final) == 1
