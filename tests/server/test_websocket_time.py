"""Time and room: who is silent, who does not read, what inflates. On an otherwise idle worker."""

import random
import zlib

import pytest

from tests.helpers import procs
from tests.helpers.build import get
from tests.helpers.fix_serve import Launcher, Server
from tests.helpers.websocket import BINARY, PING, PONG, TEXT, Got, Peer, closing, frame

APP = """
import random

import kore

NOISE = [random.Random(n).randbytes(10_000) for n in range(3)]
domain = kore.domain("*", attach="http")

def echo(conn, op, data):
    conn.websocket_send(op, data)

def ondisconnect(conn):
    print(f"left {conn.close_code} {conn.close_reason}", flush=True)

def gush(conn, op, data):
    sent, errors = 0, 0
    for n in range(int(data)):
        try:
            sent += conn.websocket_send(2, NOISE[n % 3])
        except BufferError as error:
            errors += 1
            print(f"full {error}", flush=True)
            break
    print(f"sent {sent} {conn.buffered} {conn.state}", flush=True)

def route(path, onmsg=echo, **terms):
    @kore.route(path, methods=["get"], websocket=terms)
    def shake(req):
        req.websocket_handshake(None, onmsg, ondisconnect)

route("/idle", timeout=1)
route("/for-ever", timeout=0)
route("/ping", timeout=2, ping=1)
route("/ping-only", timeout=0, ping=1)
route("/ping-late", timeout=1, ping=1)
route("/close", gush, buffer_max=300_000)
route("/raise", gush, buffer_max=300_000, buffer_full="raise")
route("/raise-packed", gush, buffer_max=300_000, buffer_full="raise", compress=True)
route("/echo", buffer_max=300_000, timeout=60)
route("/packed", compress=True, maxmessage=100_000)

@kore.route("/per-call", methods=["get"], websocket={"maxframe": 10, "timeout": 60})
def per_call(req):
    req.websocket_handshake(None, echo, ondisconnect, maxframe=20, timeout=1)

@kore.route("/hello", methods=["get"])
def hello(req):
    req.response(200, b"hello world")
"""
NOISE = [random.Random(n).randbytes(10_000) for n in range(3)]
OFFER = "Sec-WebSocket-Extensions: permessage-deflate"


@pytest.fixture(scope="module")
def timed(serve_module: Launcher) -> Server:
    return serve_module(APP, settings={"websocket_close_timeout": 1})


# ---- silence


@pytest.mark.parametrize("path", ["/idle", "/per-call"])
def test_a_silent_client_is_closed_on_an_idle_worker(timed: Server, path: str) -> None:
    start = timed.log.size()
    with Peer(timed.address, path) as peer:
        end = peer.closed()
        assert (end.code, end.reason) == (1001, "idle for too long")
    timed.log.wait("left 1001 idle for too long", start)


def test_a_silent_client_is_pinged_before_it_is_closed(timed: Server) -> None:
    with Peer(timed.address, "/ping") as peer:
        *pings, end = peer.rest()
        assert set(pings) == {Got(PING, b"")}
        assert end.code == 1001


def test_ping_interval_not_shorter_than_the_timeout_is_logged(timed: Server) -> None:
    start = timed.log.size()
    with Peer(timed.address, "/ping-late") as peer:
        assert peer.closed().code == 1001
    timed.log.wait("'/ping-late': ping interval (1 s) is not shorter than timeout (1 s)", start)


def test_pings_alone_end_nothing(timed: Server) -> None:
    with Peer(timed.address, "/ping-only") as peer:
        assert peer.got() == Got(PING, b"")
        peer.text("still here")
        assert peer.hears() == "still here"


def test_limits_of_a_handshake_replace_those_of_the_route(timed: Server) -> None:
    with Peer(timed.address, "/per-call") as peer:
        peer.text("x" * 20)
        assert peer.hears() == "x" * 20
        peer.text("x" * 21)
        assert peer.closed().code == 1009


def test_a_goodbye_that_is_not_answered_is_not_waited_for(timed: Server) -> None:
    with Peer(timed.address, "/close") as peer, timed.expecting("| ValueError: "):
        peer.text("not a number")
        assert peer.closed().code == 1011


# ---- not reading


def test_a_slow_reader_is_closed(timed: Server) -> None:
    start, memory = timed.log.size(), procs.resident(timed.worker)
    with Peer(timed.address, "/close", receive_buffer=4096) as peer:
        peer.text("1000")
        timed.log.wait("left 1008 too slow", start)
        log = timed.log.wait("sent ", start)
        assert int(log.split("sent ")[1].split()[1]) < 400_000
        assert procs.resident(timed.worker) - memory < 4 << 20
        with timed.connect() as client:
            assert client.ask(get("/hello")).status == 200


def test_a_slow_reader_that_wakes_up_hears_why(timed: Server) -> None:
    start = timed.log.size()
    with Peer(timed.address, "/close", receive_buffer=65536) as peer:
        peer.text("1000")
        timed.log.wait("sent ", start)
        *messages, end = peer.rest()
        assert (end.code, end.reason) == (1008, "too slow")
        assert {got.data for got in messages} == set(NOISE)


@pytest.mark.parametrize(("path", "fields"), [("/raise", []), ("/raise-packed", [OFFER])])
def test_an_application_may_choose_to_hear_of_slow_readers(
    timed: Server, path: str, fields: list[str]
) -> None:
    start = timed.log.size()
    with Peer(timed.address, path, *fields, receive_buffer=65536) as peer:
        inflate = zlib.decompressobj(-15)
        for _ in range(2):
            start = timed.log.size()
            peer.text("200000")
            timed.log.wait("full the client does not read", start)
            count = int(timed.log.search(r"sent (\d+) \d+ 2", start)[1])
            assert count > 3
            for n in range(count):
                got = peer.got()
                data = inflate.decompress(got.data + b"\0\0\xff\xff") if got.packed else got.data
                assert data == NOISE[n % 3], "a message that was refused is referred to"
        assert peer.is_open()


def test_a_client_that_sends_and_does_not_read_has_to_wait(timed: Server) -> None:
    memory = procs.resident(timed.worker)
    with Peer(timed.address, "/echo", receive_buffer=65536) as peer:
        sent = peer.flood(frame(BINARY, b"x" * 10_000))
        assert procs.resident(timed.worker) - memory < 4 << 20
        for _ in range(sent):
            assert peer.got() == Got(BINARY, b"x" * 10_000)
        peer.reset()


def test_a_flood_of_pings_is_not_answered_without_end(timed: Server) -> None:
    memory = procs.resident(timed.worker)
    with Peer(timed.address, "/echo", receive_buffer=4096) as peer:
        peer.flood(frame(PING, b"x" * 125) * 1000)
        assert procs.resident(timed.worker) - memory < 4 << 20
        peer.reset()


# ---- compressed


def packed(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15, level=9)
    return (packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\0\0\xff\xff")


@pytest.mark.parametrize("size", [100_001, 1 << 20, 200 << 20])
def test_message_that_inflates_beyond_the_limit_is_refused(timed: Server, size: int) -> None:
    memory = procs.peak(timed.worker)
    data = packed(b"\0" * size)
    pieces = [data[at : at + 10_000] for at in range(0, len(data), 10_000)]
    with Peer(timed.address, "/packed", OFFER) as peer:
        for number, piece in enumerate(pieces):
            last = number == len(pieces) - 1
            first = 0 if number else BINARY
            peer.send(frame(first, piece, fin=last, rsv=0 if number else 4))
        assert peer.closed().code == 1009
    assert procs.peak(timed.worker) - memory < 8 << 20


def test_message_of_exactly_the_limit_is_accepted(timed: Server) -> None:
    with Peer(timed.address, "/packed", OFFER) as peer:
        peer.send(frame(BINARY, packed(b"\0" * 100_000), rsv=4))
        got = peer.got()
        assert got.packed
        assert zlib.decompress(got.data + b"\0\0\xff\xff\3\0", -15) == b"\0" * 100_000


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([frame(BINARY, b"\xff" * 20, rsv=4)], 1007),
        ([frame(BINARY, b"\x03\x00" * 5000, rsv=4)], 1007),
        ([frame(TEXT, packed(b"\xff"), rsv=4)], 1007),
        ([frame(TEXT, packed("κ".encode()[:1]), rsv=4)], 1007),
        ([frame(TEXT, b"x", fin=False), frame(0, b"y", rsv=4)], 1002),
        ([frame(PING, b"x", rsv=4)], 1002),
        ([frame(TEXT, b"x", rsv=6)], 1002),
        ([frame(TEXT, packed(b"x"), rsv=4), closing(1000)], 1000),
    ],
)
def test_message_that_cannot_be_inflated_is_refused(
    timed: Server, frames: list[bytes], code: int
) -> None:
    with Peer(timed.address, "/packed", OFFER) as peer:
        peer.send(*frames)
        assert peer.until_closed().code == code


def test_pings_come_between_compressed_fragments(timed: Server) -> None:
    data = packed("κόσμε".encode() * 20)
    with Peer(timed.address, "/packed", OFFER) as peer:
        peer.send(frame(TEXT, data[:3], fin=False, rsv=4), frame(PING, "p"), frame(0, data[3:]))
        assert peer.got() == Got(PONG, b"p")
        assert zlib.decompress(peer.got().data + b"\0\0\xff\xff\3\0", -15).decode() == "κόσμε" * 20
