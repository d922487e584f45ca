"""Finalizers that send, at each allocation of what is being sent: nothing is lost or mixed up."""

import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from kore._core.connection import Connection
from kore._core.request import Request
from kore._core.testing_protocol import resume_transport
from kore._websocket.deflate import DeflateParameters, Deflater
from tests.helpers.core_client import Client, get
from tests.helpers.fix_core import Pair, shake
from tests.helpers.gc_trigger import MOST, collecting, spring
from tests.unit.core.test_exchange_log import Logged, logged  # noqa: F401
from tests.unit.core.test_websocket_bytes import BINARY, Hub, terms

Make = Callable[..., Pair]
LARGE = b"large" * 20_000
TAIL = b"\x00\x00\xff\xff"


def frames(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Return the first byte and the payload of each frame of a server."""
    while data:
        size, at = data[1], 2
        if size == 126:
            (size,), at = struct.unpack_from("!H", data, 2), 4
        elif size == 127:
            (size,), at = struct.unpack_from("!Q", data, 2), 10
        assert len(data) >= at + size, "half a frame"
        yield data[0], data[at : at + size]
        data = data[at + size :]


def messages(data: bytes) -> list[bytes]:
    """Return what a client understands, which takes over the context of compression."""
    unpacker = zlib.decompressobj(-15)
    return [
        unpacker.decompress(payload + TAIL) if first & 0x40 else payload
        for first, payload in frames(data)
    ]


class Talk:
    """A WebSocket, what was sent over it, and a finalizer that sends, too."""

    def __init__(self, pair: Make, deflater: Deflater | None) -> None:
        self.hub = Hub()
        self.house = pair(
            lambda request: request.upgrade(terms(), (None, None, None), deflater), hub=self.hub
        )
        self.client: Client = self.house.client
        shake(self.house, self.client)
        self.connection: Connection = self.hub.connections[0]
        self.sent: list[bytes] = []
        self.fired = False

    def send(self, data: bytes) -> None:
        if self.connection.websocket_send(BINARY, data):
            self.sent.append(data)

    def finalize(self, data: bytes) -> None:
        self.fired = True
        self.send(data)


def received(talk: Talk) -> bytes:
    """Return what has come, read to the end."""
    found = b""
    while True:
        talk.house.turn()
        data = talk.client.take()
        if not data:
            return found
        found += data


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("own", [b"of a finalizer", b"O" * 50_000])
def test_messages_of_finalizers_come_whole_and_in_order(
    pair: Make, own: bytes, compressed: bool
) -> None:
    talk = Talk(pair, Deflater(DeflateParameters()) if compressed else None)
    data = b""
    with collecting():
        for allocations in range(1, MOST):
            talk.fired = False
            number = b"%d" % allocations
            spring(partial(talk.finalize, number + own), allocations)
            talk.send(number + LARGE)
            talk.send(number + b"the last of its trial, like large and of a finalizer")
            data += received(talk)
            if not talk.fired:
                break

    assert not talk.fired
    assert sorted(messages(data)) == sorted(talk.sent)


def test_a_finalizer_loses_no_line_of_the_access_log(logged: Logged) -> None:  # noqa: F811
    """One that has the next request answered while the line of the one before is kept for later."""
    trials, fired = 0, []

    def finalize(request: Request) -> None:
        fired.append(request)
        resume_transport(request.connection)

    with collecting():
        for allocations in range(1, MOST):
            fired.clear()
            client = logged.house.connect(receive_buffer=4096)
            client.send(get("/held") + get("/50000"))
            logged.house.turn()
            request = logged.house.held.pop()
            spring(partial(finalize, request), allocations)
            request.response(200, LARGE)
            logged.house.turn()
            client.close(reset=True)
            logged.house.turn()
            trials += 1
            if not fired:
                break

    assert not fired
    assert len(logged.lines()) == trials * 2


@pytest.mark.parametrize("kind", [bytes, memoryview])
def test_a_client_that_is_disconnected_gets_all_of_its_answer(
    pair: Make, kind: Callable[[bytes], object]
) -> None:
    """And nothing behind it: the connection ends, wherever in it a finalizer runs."""
    fired: list[Request] = []

    def finalize(request: Request) -> None:
        fired.append(request)
        if request.answered:
            request.connection.disconnect()

    house = pair(None)
    with collecting():
        for allocations in range(1, MOST):
            fired.clear()
            client = house.connect()
            client.send(get("/first"))
            house.turn()
            request = house.held.pop()
            spring(partial(finalize, request), allocations)
            request.response(200, kind(b"small"))
            house.turn()
            client.read()
            assert client.statuses == [200]
            assert client.reader.final[0].body == b"small"
            client.close(reset=True)
            house.turn()
            if not fired:
                break

    assert not fired
