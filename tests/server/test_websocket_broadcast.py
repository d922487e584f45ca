"""Messages to many, over two workers: exactly once for each, and never to their source."""

import os
import signal

import pytest

from tests.helpers import procs
from tests.helpers.fix_serve import Launcher, Server
from tests.helpers.websocket import BINARY, Got, Peer, frame

APP = """
import os
import kore

domain = kore.domain("*", attach="http")
scopes = {"local": kore.WEBSOCKET_BROADCAST_LOCAL, "global": kore.WEBSOCKET_BROADCAST_GLOBAL}

def onconnect(conn):
    conn.websocket_send(1, f"worker {os.getpid()}")

def onmsg(conn, op, data):
    if op == kore.WEBSOCKET_OP_BINARY:
        kore.websocket_broadcast(conn, op, data, kore.WEBSOCKET_BROADCAST_GLOBAL)
        return
    what, _, rest = data.partition(" ")
    if what == "join":
        conn.join(rest)
    elif what == "leave":
        conn.leave(rest)
    elif what == "burst":
        for n in range(int(rest)):
            kore.websocket_broadcast(conn, 1, str(n), kore.WEBSOCKET_BROADCAST_GLOBAL)
    elif what == "anonymous":
        kore.websocket_broadcast(None, 1, rest, kore.WEBSOCKET_BROADCAST_GLOBAL)
    elif what in scopes:
        kore.websocket_broadcast(conn, 1, rest, scopes[what])
    else:
        group, _, text = rest.partition(" ")
        kore.websocket_broadcast(conn, 1, text, kore.WEBSOCKET_BROADCAST_GLOBAL, group=group)
    conn.websocket_send(1, "done")

@kore.route("/", methods=["get"])
def connect(req):
    req.websocket_handshake("onconnect", "onmsg", None, maxframe=1 << 20)
"""


class Many:
    """Clients of two workers, at least three of each."""

    def __init__(self, server: Server) -> None:
        self.of: dict[str, list[Peer]] = {}
        while len(self.of) < 2 or min(map(len, self.of.values())) < 3:
            peer = Peer(server.address)
            self.of.setdefault(peer.hears(), []).append(peer)
            assert len(self.all) < 500, "all clients come to one worker"

    @property
    def all(self) -> list[Peer]:
        return [peer for peers in self.of.values() for peer in peers]

    def close(self) -> None:
        for peer in self.all:
            peer.socket.close()


def say(peer: Peer, text: str, *hears: str) -> None:
    """Say something, and be told that it was done, and nothing else."""
    peer.text(text)
    assert peer.take(1 + len(hears)) == [*hears, "done"]


def none_of(peers: list[Peer]) -> None:
    """Nothing has come, and nothing is under way: what follows comes first."""
    for peer in peers:
        assert peer.is_open()


@pytest.fixture(scope="module")
def two(serve_module: Launcher) -> Server:
    server = serve_module(APP, settings={"workers": 2})
    procs.until(lambda: len(server.workers) == 2, what="two workers")
    return server


@pytest.fixture
def many(two: Server) -> Many:
    clients = Many(two)
    yield clients
    clients.close()


def after_all(many: Many) -> None:
    """Let a last message go round: whatever was sent before it has come."""
    (source, *mine), others = many.of.values()
    say(source, "global last")
    for peer in [*mine, *others]:
        assert peer.hears() == "last"
    none_of([source])


def test_a_local_message_stays_in_its_worker(many: Many) -> None:
    (source, *mine), _ = many.of.values()
    say(source, "local hello")
    for peer in mine:
        assert peer.hears() == "hello"
    after_all(many)


def test_a_global_message_comes_to_each_once_and_not_to_its_source(many: Many) -> None:
    (source, *mine), others = many.of.values()
    say(source, "global hello")
    for peer in [*mine, *others]:
        assert peer.hears() == "hello"
    after_all(many)


def test_message_without_a_sender_reaches_all(many: Many) -> None:
    (source, *mine), others = many.of.values()
    say(source, "anonymous hello", "hello")
    for peer in [*mine, *others]:
        assert peer.hears() == "hello"
    after_all(many)


def test_messages_of_one_source_keep_their_order(many: Many) -> None:
    (source, *mine), others = many.of.values()
    say(source, "burst 500")
    for peer in [*mine, *others]:
        assert peer.take(500) == [str(n) for n in range(500)]
    after_all(many)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 300_000])
def test_bytes_of_any_size_go_round(many: Many, size: int) -> None:
    (source, *mine), others = many.of.values()
    data = bytes(n * 31 & 255 for n in range(size))
    source.send(frame(BINARY, data))
    for peer in [*mine, *others]:
        assert peer.got() == Got(BINARY, data)
    after_all(many)


def test_a_group_is_everywhere(many: Many) -> None:
    (source, one, *mine), (two, three, *_) = many.of.values()
    for peer in (source, one, two, three):
        say(peer, "join κόσμε")
    say(three, "leave κόσμε")
    say(two, "join another")
    say(source, "to κόσμε hello")
    for peer in (one, two):
        assert peer.hears() == "hello"
    say(three, "to another for one")
    assert two.hears() == "for one"
    say(mine[0], "to nobody hello")
    after_all(many)


def test_group_forgets_disconnected_members(many: Many, two: Server) -> None:
    (source, one, *_), (other, *_) = many.of.values()
    for peer in (source, one, other):
        say(peer, "join room")
    other.leaves()
    other.socket.close()
    one.reset()
    for peers in many.of.values():
        for peer in (other, one):
            if peer in peers:
                peers.remove(peer)
    say(source, "to room hello")
    after_all(many)


def test_the_death_of_a_worker_ends_its_clients_only(serve: Launcher) -> None:
    server = serve(APP, settings={"workers": 2})
    procs.until(lambda: len(server.workers) == 2, what="two workers")
    many = Many(server)
    (dying, lost), (_, left) = many.of.items()
    with server.expecting("killed by SIGKILL", errors=0):
        os.kill(int(dying.split()[1]), signal.SIGKILL)
        for peer in lost:
            assert peer.rest() == []
            peer.socket.close()
        procs.until(lambda: len(server.workers) == 2, what="two workers again")
    again = Many(server)
    assert dying not in again.of
    say(left[0], "global hello")
    for peer in [*left[1:], *again.all]:
        assert peer.hears() == "hello"
    many.close()
    again.close()
