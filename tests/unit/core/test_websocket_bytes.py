"""The bytes of WebSockets: how they are read, how they leave, and who keeps them."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from kore._core.broadcast import broadcast_frame
from kore._core.connection import Connection
from kore._core.request import Request
from kore._core.testing import encode_frame, mask_payload
from kore._core.ws_options import WebSocketOptions
from tests.helpers.core_client import get
from tests.helpers.fix_core import Pair, shake
from tests.helpers.websocket import LIMITS

Make = Callable[..., Pair]
BINARY = 2
KEY = b"\x37\xfa\x21\x3d"
MIB = 1 << 20


class Hub:
    """Who is connected."""

    def __init__(self) -> None:
        self.connections: list[Connection] = []

    def on_open(self, connection: Connection) -> None:
        """Take note of one more."""
        self.connections.append(connection)

    def on_close(self, connection: Connection) -> None:
        """Forget one."""
        self.connections.remove(connection)


def masked_frame(data: bytes, *, op: int = BINARY) -> bytes:
    """Return a message as a client sends it."""
    head = encode_frame(op, data)[: -len(data) or None]
    return bytes([head[0], head[1] | 0x80]) + head[2:] + KEY + mask_payload(data, KEY)


def echo(connection: Connection, op: int, data: bytes) -> None:
    """Send back what has come."""
    connection.websocket_send(op, data)


def terms(buffer_max: int = 8 * MIB) -> WebSocketOptions:
    """Return what a route allows."""
    return WebSocketOptions(
        {**LIMITS, "maxframe": 4 * MIB, "maxmessage": 4 * MIB, "buffer_max": buffer_max},
        label=b"/talk",
    )


@pytest.fixture
def talking(pair: Make) -> Callable[..., Pair]:
    """Return what makes a pair whose client has its WebSocket."""

    def make(
        onmsg: Callable[..., Any] = echo, *, buffer_max: int = 8 * MIB, **options: Any
    ) -> Pair:
        def upgrade(request: Request) -> None:
            request.response_header("sec-websocket-accept", "of whoever decides on handshakes")
            Request.upgrade(request, terms(buffer_max), (None, onmsg, None), None)

        house = pair(upgrade, hub=Hub(), **options)
        shake(house, house.client)
        return house

    return make


def members(house: Pair) -> list[Connection]:
    """Return the connections, the first that came first."""
    assert isinstance(house.hub, Hub)
    return house.hub.connections


def answered(house: Pair, data: bytes, want: int) -> bytes:
    """Send *data* as the core takes it, and read until *want* bytes have come."""
    got = b""
    while len(got) < want:
        data = data[house.client.send(data[: 1 << 18]) :]
        house.turn()
        more = house.client.take()
        assert more or data, f"{len(got)} of {want} bytes came"
        got += more
    return got


@pytest.mark.parametrize(
    "size", [0, 1, 125, 126, 4096, 4097, 16384, 65535, 65536, 300_000, 3 * MIB]
)
def test_a_message_of_any_size_comes_back_as_it_was(talking: Make, size: int) -> None:
    data = bytes(i * 7 % 251 for i in range(size))
    want = encode_frame(BINARY, data)

    assert answered(talking(), masked_frame(data), len(want)) == want


def test_messages_of_all_sizes_in_one_write_come_back_in_order(talking: Make) -> None:
    sizes = [1, 20_000, 125, 4096, 4097, 0, 16384, 16384, 16384, 70_000, 3, 4097, 126] * 5
    datas = [bytes([i % 256]) * size for i, size in enumerate(sizes)]
    want = b"".join(encode_frame(BINARY, data) for data in datas)

    assert answered(talking(), b"".join(map(masked_frame, datas)), len(want)) == want


def test_a_message_that_comes_byte_by_byte_is_one_message(talking: Make) -> None:
    house = talking()
    for byte in masked_frame(b"x" * 300):
        house.client.send(bytes([byte]))
        house.turn()

    assert house.client.take() == encode_frame(BINARY, b"x" * 300)


def test_what_follows_half_a_head_is_understood(talking: Make) -> None:
    house = talking()
    frames = masked_frame(b"a" * 50_000) + masked_frame(b"b" * 50_000)
    cut = len(frames) // 2 + 3  # in the second head
    answered(house, frames[:cut], len(encode_frame(BINARY, b"a" * 50_000)))
    want = encode_frame(BINARY, b"b" * 50_000)

    assert answered(house, frames[cut:], len(want)) == want


def test_what_a_full_socket_does_not_take_is_sent_later(talking: Make) -> None:
    house = talking()
    connection = members(house)[0]
    datas = [bytes([i]) * size for i, size in enumerate([300_000, 5, 5000, 400_000, 0, 125] * 3)]
    for data in datas:
        assert connection.websocket_send(BINARY, data)
    assert connection.buffered > 0
    want = b"".join(encode_frame(BINARY, data) for data in datas)

    assert answered(house, b"", len(want)) == want
    assert connection.buffered == 0


def test_a_broadcast_comes_to_all_but_its_source_behind_what_they_wait_for(talking: Make) -> None:
    house = talking()
    others = [house.connect() for _ in range(2)]
    for other in others:
        shake(house, other)
    first, second, third = members(house)
    late = b"w" * MIB
    second.websocket_send(BINARY, late)
    frame = encode_frame(BINARY, b"to all " * 9000)
    broadcast_frame(members(house), frame, third)
    house.turn()

    assert house.client.take() == frame
    want = encode_frame(BINARY, late) + frame
    got = b""
    while len(got) < len(want):
        more = others[0].take()
        assert more or house.ready()
        got += more
        house.turn()
    assert got == want
    assert others[1].take() == b""
    assert (first.buffered, second.buffered) == (0, 0)


def test_a_broadcast_cuts_off_who_does_not_read_and_nobody_else(talking: Make) -> None:
    house = talking(buffer_max=100_000)
    other = house.connect()
    shake(house, other)
    first, second = members(house)
    frame = encode_frame(BINARY, b"f" * 50_000)
    got = b""
    for _ in range(40):
        broadcast_frame([first, second], frame, None)
        got += other.take()
    house.turn()

    assert first.close_code == 1008
    assert second.close_code is None
    assert got == frame * 40


def test_a_client_that_is_gone_is_no_trouble_for_a_broadcast(talking: Make) -> None:
    house = talking()
    other = house.connect()
    shake(house, other)
    frame = encode_frame(BINARY, b"x" * 125)
    first, second = members(house)
    house.client.close(reset=True)
    for _ in range(3):
        broadcast_frame([first, second], frame, None)
    house.turn()

    assert other.take() == frame * 3
    assert first.fd == -1


def test_only_connections_get_a_broadcast(talking: Make) -> None:
    house = talking()
    with pytest.raises(TypeError):
        broadcast_frame([house], encode_frame(BINARY, b""), None)  # type: ignore[list-item]


def test_a_silent_client_does_not_keep_its_last_message_in_memory(talking: Make) -> None:
    sizes: list[int] = []
    house = talking(lambda connection, op, data: sizes.append(len(data)))
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        data = masked_frame(bytes(2 * MIB))
        house.pour(data)
        house.turn()
        del data
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert sizes == [2 * MIB]
    assert after - before < MIB


def test_what_a_client_says_before_the_answer_and_its_end_is_heard(pair: Make) -> None:
    house = pair(None, hub=Hub())
    house.client.send(get() + masked_frame(b"early") + masked_frame(b"half")[:-2])
    house.client.finish()
    house.turn()
    request = house.held[-1]
    request.response_header("sec-websocket-accept", "of whoever decides on handshakes")
    Request.upgrade(request, terms(), (None, echo, None), None)
    house.turn()

    assert house.client.take().endswith(b"\r\n\r\n" + encode_frame(BINARY, b"early"))
    assert house.client.end == "closed"


def test_a_broadcast_runs_no_callback_of_its_receivers(talking: Make) -> None:
    """One whose messages had to wait until it read goes on afterwards."""
    heard = []

    def onmsg(connection: Connection, op: int, data: bytes) -> None:
        heard.append(data)
        while data == b"flood" and connection.buffered < 60_000:
            connection.websocket_send(BINARY, bytes(16_000))

    house = talking(onmsg, buffer_max=100_000)
    house.client.send(masked_frame(b"flood") + masked_frame(b"late"))
    house.turn()
    house.client.take()
    during = []
    for frame in (b"\x82\x01a", b"\x82\x01b"):
        broadcast_frame(members(house), frame, None)
        during.append(list(heard))
    house.turn()

    assert during == [[b"flood"]] * 2
    assert heard == [b"flood", b"late"]
