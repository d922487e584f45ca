"""Limits of number and size that a setting changes."""

import time

import pytest

from tests.helpers import procs
from tests.helpers.build import get, post
from tests.helpers.fix_serve import Launcher, Server
from tests.helpers.wire import in_step_or_closed

APP = """
import asyncio

domain = kore.domain("*", attach="http")
waiting = []

@kore.route("/", methods=["get"])
def index(req):
    req.response(200, b"hello world")

@kore.route("/echo", methods=["post"])
def echo(req):
    req.response(200, req.body)

@kore.route("/wait", methods=["get"])
async def wait(req):
    waiting.append(asyncio.get_running_loop().create_future())
    await waiting[-1]
    req.response(200, b"waited")

@kore.route("/go", methods=["get"])
def go(req):
    for each in waiting:
        if not each.done():
            each.set_result(None)
    req.response(200, str(len(waiting)))
"""


def waiting(server: Server, connections: int) -> None:
    """Wait until the worker has so many connections beside what it started with."""
    procs.until(lambda: sockets(server) >= connections, what=f"{connections} connections")


def sockets(server: Server) -> int:
    return sum("socket:" in name for name in procs.descriptors(server.worker))


def test_a_client_waits_while_all_connections_have_a_request(serve: Launcher) -> None:
    server = serve(APP, settings={"worker_max_connections": 3})
    clients = [server.connect() for _ in range(3)]
    for client in clients:
        client.send(get("/wait"))
    late = server.connect()
    late.send(get())

    assert not late.hears(0.3)
    busy = procs.cpu(server.worker)
    time.sleep(0.7)
    assert procs.cpu(server.worker) - busy < 0.2, "a full worker spins"

    clients[0].close()

    assert late.answer().body == b"hello world"
    assert late.ask(get("/go")).status == 200
    for client in clients[1:]:
        assert client.answer().body == b"waited"
        client.close()
    late.close()


def test_a_full_worker_serves_again_after_everyone_has_left(serve: Launcher) -> None:
    server = serve(APP, settings={"worker_max_connections": 2})
    for _ in range(5):
        clients = [server.connect() for _ in range(6)]
        for client in clients:
            client.send(get("/", "Connection: close"))
        assert [client.answer().status for client in clients] == [200] * 6
        for client in clients:
            client.close()


def test_more_requests_than_allowed_get_503(serve: Launcher) -> None:
    server = serve(APP, settings={"http_request_limit": 2})
    with server.connect() as one, server.connect() as two, server.connect() as three:
        before = sockets(server)
        one.send(get("/wait"))
        two.send(get("/wait"))
        waiting(server, before)
        # The two are running once a third is refused.
        procs.until(lambda: refused(server), what="503")
        assert three.ask(get()).status == 503
        assert three.until_ended() == "closed"
        one.reset()
        procs.until(lambda: not refused(server), what="room again")
        with server.connect() as four:
            assert four.ask(get("/go")).status == 200
        assert two.answer().body == b"waited"


def refused(server: Server) -> bool:
    with server.connect() as client:
        return client.ask(get()).status == 503


def head_of(size: int) -> bytes:
    """Return a request of exactly that many bytes."""
    return get("/", "A: " + "a" * (size - len(get("/", "A: "))))


LIMITS = {
    # setting: its value, what just fits, what does not, and the status
    "http_header_max": (500, head_of(500), head_of(501), 431),
    "http_header_fields_max": (3, get("/", "A: 1", "B: 2"), get("/", "A: 1", "B: 2", "C:"), 431),
    "http_request_line_max": (30, get("/" + "?" * 16), get("/" + "?" * 17), 414),
    "http_body_max": (5, post(b"12345"), post(b"123456"), 413),
}


@pytest.mark.parametrize("setting", LIMITS)
def test_a_limit_is_where_it_was_set(serve: Launcher, setting: str) -> None:
    value, fits, exceeds, status = LIMITS[setting]
    server = serve(APP, settings={setting: value})
    with server.connect() as client:
        assert client.ask(fits).status == 200
        assert client.ask(exceeds).status == status
        in_step_or_closed(client)


def test_body_limit_of_zero_refuses_bodies(serve: Launcher) -> None:
    server = serve(APP, settings={"http_body_max": 0})
    with server.connect() as client:
        assert client.ask(post(b"")).status == 200
        assert client.ask(post(b"1")).status == 413


def test_hundreds_of_idle_connections_stay_small(serve: Launcher) -> None:
    server = serve(APP, settings={"worker_max_connections": 800})
    clients = [server.connect() for _ in range(100)]
    for client in clients:
        client.ask(get())
    before = procs.resident(server.worker)
    clients += [server.connect() for _ in range(600)]
    for client in clients:
        client.ask(get())

    assert procs.resident(server.worker) - before < 600 * 4096
    for client in clients:
        client.close()
