"""The ends of a server with WebSockets: stopping, reloading, the access log, clients that die."""

import contextlib
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import procs
from tests.helpers.build import get
from tests.helpers.fix_serve import Launcher, Server
from tests.helpers.websocket import ASKING, BINARY, TEXT, Peer, closing, frame
from tests.process.process_helpers import finished, replaced

APP = """
import asyncio, os
import kore
from kore import _context

domain = kore.domain("*", attach="http")

def onconnect(conn):
    conn.websocket_send(1, str(os.getpid()))

def onmsg(conn, op, data):
    conn.websocket_send(op, data)

async def work(conn, op, data):
    print("works", flush=True)
    while data == "until it is gone" and conn.fd != -1:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    print(f"worked {conn.websocket_send(op, data)}", flush=True)

def ondisconnect(conn):
    print(f"left {conn.close_code} {conn.close_reason}", flush=True)

@kore.route("/", methods=["get"])
def shake(req):
    req.websocket_handshake("onconnect", "onmsg", "ondisconnect")

@kore.route("/work", methods=["get"])
def shake_too(req):
    req.websocket_handshake(None, work, ondisconnect)

@kore.route("/later", methods=["get"])
async def later(req):
    print("waits", flush=True)
    while not _context.current.worker.stop_sequence.is_stopping:
        await asyncio.sleep(0.01)
    print(f"shaken {req.websocket_handshake(None, onmsg, None)}", flush=True)
"""


def serving(serve: Launcher, **settings: object) -> Server:
    return serve(APP, settings={"drain_timeout": 20, **settings})


def test_drain_closes_websockets_and_ends_with_the_last_close(serve: Launcher) -> None:
    server = serving(serve)
    with Peer(server.address) as one, Peer(server.address) as two:
        one.hears(), two.hears()
        os.kill(server.process.pid, signal.SIGTERM)
        for peer in (one, two):
            end = peer.got()
            assert (end.code, end.reason) == (1012, "service restart")
        # What was under way is still taken: the client has not said goodbye yet.
        one.text("unanswered")
        for peer in (one, two):
            assert server.process.poll() is None
            peer.send(closing(1012))
            assert peer.rest() == []
            assert peer.end == "closed"
        assert finished(server) == 0
    assert server.log.text().count("left 1012 service restart") == 2


def test_a_drain_waits_for_callbacks(serve: Launcher) -> None:
    server = serving(serve)
    with Peer(server.address, "/work") as peer:
        peer.text("until it is gone")
        server.log.wait("works")
        os.kill(server.process.pid, signal.SIGTERM)
        assert peer.got().code == 1012
        peer.send(closing(1012))
        assert finished(server) == 0
    assert "worked False" in server.log.text()


def test_a_client_that_does_not_answer_is_cut_off_at_the_deadline(serve: Launcher) -> None:
    server = serving(serve, drain_timeout=1)
    with Peer(server.address) as peer:
        peer.hears()
        os.kill(server.process.pid, signal.SIGTERM)
        assert peer.got().code == 1012
        assert finished(server) == 0
        assert peer.rest() == []


def test_drain_refuses_new_websockets(serve: Launcher) -> None:
    server = serving(serve)
    with server.connect() as client:
        client.send(get("/later", *ASKING))
        server.log.wait("waits")
        os.kill(server.process.pid, signal.SIGTERM)
        assert client.answer().status == 503
    assert finished(server) == 0
    assert "shaken False" in server.log.text()


@pytest.mark.parametrize("count", [50, pytest.param(1000, marks=pytest.mark.slow)])
def test_reload_closes_websockets_and_new_workers_accept(serve: Launcher, count: int) -> None:
    room = {"worker_max_connections": 1500, "worker_rlimit_nofiles": 2000}
    server = serving(serve, workers=2, **room)
    procs.until(lambda: len(server.workers) == 2, what="two workers")
    before = server.workers
    with with_descriptors(count + 500):
        peers = [Peer(server.address) for _ in range(count)]
        for peer in peers:
            assert int(peer.hears()) in before
        os.kill(server.process.pid, signal.SIGHUP)
        for peer in peers:
            assert peer.got().code == 1012
            peer.send(closing(1012))
            assert peer.rest() == []
            peer.socket.close()
    replaced(server, before, 2)
    with Peer(server.address) as peer:
        assert int(peer.hears()) not in before
        assert peer.leaves().code == 1000
    assert server.log.text().count("left 1012 service restart") == count


@contextlib.contextmanager
def with_descriptors(count: int) -> Iterator[None]:
    """Let this process have so many, if it may."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(count, before[0]), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_killed_client_is_disconnected(serve: Launcher) -> None:
    server = serving(serve)
    code = f"""
import time
from tests.helpers.websocket import Peer, frame
peer = Peer({server.address!r}, after=frame(1, "x"))
print(peer.take(2), flush=True)
time.sleep(60)
"""
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    with child:
        assert child.stdout is not None
        assert b"'x'" in child.stdout.readline()
        child.kill()
    server.log.wait("left 1006")


def test_half_closed_client_gets_pending_messages(serve: Launcher) -> None:
    server = serving(serve)
    with Peer(server.address) as peer:
        peer.hears()
        peer.send(frame(TEXT, "a"), frame(BINARY, b"b" * 10_000), frame(TEXT, "c"))
        peer.finish()
        assert [got.data for got in peer.rest()] == [b"a", b"b" * 10_000, b"c"]
    server.log.wait("left 1006")


def test_half_close_cancels_no_callback(serve: Launcher) -> None:
    server = serving(serve)
    with Peer(server.address, "/work") as peer:
        peer.text("one")
        peer.text("two")
        peer.finish()
        texts = [got.data for got in peer if got.op == TEXT]
        assert texts == [b"one", b"two"]
    server.log.wait("left 1006")


@pytest.mark.parametrize("ending", ["close", "reset"])
def test_an_upgraded_connection_has_its_line_in_the_access_log(
    serve: Launcher, ending: str
) -> None:
    source = APP.replace('attach="http")', 'attach="http")\ndomain.accesslog = "access.log"')
    server = serve(source)
    access = server.log.path.with_name("access.log")
    with Peer(server.address) as peer:
        peer.hears()
        procs.until(
            lambda: access.exists() and '"GET / HTTP/1.1" 101 ' in access.read_text(),
            what="a line with 101",
        )
        if ending == "close":
            peer.leaves()
        else:
            peer.reset()
    server.log.wait("left ")
    with Peer(server.address):
        procs.until(lambda: access.read_text().count("\n") == 2, what="two lines, not three")
