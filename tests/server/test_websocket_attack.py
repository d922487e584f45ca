"""Hostile clients, and applications in their own way: nothing dies, nothing is left behind."""

import contextlib
import random
import socket
import threading
import time
from pathlib import Path

import pytest

from tests.helpers import procs
from tests.helpers.build import get
from tests.helpers.fix_serve import Launcher, Server
from tests.helpers.websocket import ASKING, BINARY, PING, TEXT, Peer, closing, frame

APP = Path(__file__).with_name("websocket_attack_app.py")
OFFER = "Sec-WebSocket-Extensions: permessage-deflate"
MAY_GROW = 4 << 20


@pytest.fixture(scope="module")
def attacked(serve_module: Launcher) -> Server:
    return serve_module(APP, settings={"websocket_close_timeout": 1})


def state(server: Server) -> tuple[int, int, int, int, int]:
    """Return connections, ends, and how many objects of a WebSocket, objects, descriptors."""
    with server.connect() as client:
        first, second, *rest = map(int, client.ask(get("/state")).body.split())
        return first, second, rest[0], rest[1], rest[2]


def until_all_are_gone(server: Server) -> None:
    procs.until(lambda: state(server)[0] == 0, what="everybody is gone")
    # The connection that asks is one.
    procs.until(lambda: state(server)[2] <= 1, what="nothing is left of them")


@pytest.mark.parametrize("path", ["/", "/wait"])
def test_a_reset_at_every_stage_leaves_nothing(attacked: Server, path: str) -> None:
    asked = get(path, *ASKING, OFFER)
    whole = asked + frame(TEXT, "hello") + frame(BINARY, b"x", fin=False) + closing(1000)
    files = state(attacked)[4]
    for size in range(1, len(whole) + 1, 3):
        with socket.create_connection(attacked.address) as client:
            client.sendall(whole[:size])
            if size % 2:
                time.sleep(0.001)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    until_all_are_gone(attacked)
    procs.until(lambda: state(attacked)[4] == files, what="no descriptor left")


def test_random_bytes_after_the_handshake_end_in_a_close_frame(attacked: Server) -> None:
    for seed in range(200):
        rng = random.Random(seed)
        with Peer(attacked.address, "/alone" if seed % 2 else "/wait", OFFER) as peer:
            peer.send(rng.randbytes(rng.choice([10, 200, 5000])))
            peer.finish()
            got = list(peer)
            assert all(found.code for found in got[-1:] if found.op == 8)
    until_all_are_gone(attacked)


def test_one_client_may_disconnect_all(attacked: Server) -> None:
    peers = [Peer(attacked.address, "/wait" if n % 2 else "/") for n in range(100)]
    for peer in peers:
        assert peer.hears() == "welcome"
    peers[50].text("all")
    for peer in peers:
        assert peer.until_closed().code == 4000
        peer.socket.close()
    until_all_are_gone(attacked)


def test_a_crowd_that_broadcasts_and_dies(attacked: Server) -> None:
    problems: list[str] = []
    stop = time.monotonic() + 3

    def visit(seed: int) -> None:
        rng = random.Random(seed)
        try:
            while time.monotonic() < stop:
                visitor(attacked, rng)
        except AssertionError as problem:
            problems.append(str(problem))

    threads = [threading.Thread(target=visit, args=(seed,)) for seed in range(8)]
    with attacked.expecting("all that was logged before is there", errors=None):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        until_all_are_gone(attacked)
        with attacked.connect() as client:
            client.ask(get("/mark"))
    assert problems == []


def visitor(server: Server, rng: random.Random) -> None:
    """Come, say this and that, and leave in some way."""
    words = ["x", "y" * 3000, "broadcast", "leave", "all", "fail"]
    peer = Peer(server.address, rng.choice(["/", "/wait"]), receive_buffer=rng.choice([0, 4096]))
    with peer, contextlib.suppress(TimeoutError):
        for _ in range(rng.randrange(8)):
            peer.send(frame(TEXT, rng.choices(words, [9, 5, 5, 2, 1, 1])[0]))
            if rng.random() < 0.1:
                peer.send(frame(PING, "p") * 20)
        match rng.randrange(4):
            case 0:
                peer.reset()
            case 1:
                peer.send(closing(1000))
                peer.rest()
            case 2:
                peer.finish()
                peer.rest()
            case 3:
                peer.send(frame(3, "nonsense"))


def churn(server: Server, count: int, path: str) -> None:
    """Let so many clients come, say something, and leave in turn in three ways."""
    for n in range(count):
        with Peer(server.address, path, *([OFFER] if n % 2 else [])) as peer:
            peer.text("hello")
            while peer.got().data == b"welcome":
                pass
            if n % 3 == 0:
                peer.send(closing(1000))
                assert peer.until_closed().code == 1000
            elif n % 3 == 1:
                peer.reset()


def leaves_nothing(server: Server, count: int, path: str) -> None:
    """Require that memory, objects and descriptors are what they were."""
    churn(server, 300, path)
    until_all_are_gone(server)
    server.log.check()
    before, memory = state(server), procs.resident(server.worker)
    churn(server, count, path)
    until_all_are_gone(server)
    after = state(server)
    grown = procs.resident(server.worker) - memory
    print(f"{path}: {count} clients, {after[3] - before[3]} objects, {grown} bytes more")
    assert after[4] == before[4], "descriptors"
    # The list of ends grows by a number each, which the collector does not count.
    assert after[3] - before[3] < 200, "objects"
    assert grown < MAY_GROW


@pytest.mark.parametrize("path", ["/", "/wait"])
def test_clients_that_come_and_go_leave_nothing(attacked: Server, path: str) -> None:
    leaves_nothing(attacked, 500, path)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("path", ["/", "/wait"])
def test_ten_thousand_clients_leave_nothing(attacked: Server, path: str) -> None:
    leaves_nothing(attacked, 10_000, path)
