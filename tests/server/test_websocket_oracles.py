"""What other people's clients say of our WebSockets: websockets and wsproto."""

import random
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.sync.client import ClientConnection, connect
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Message,
    Ping,
    Pong,
    Request,
    TextMessage,
)
from wsproto.extensions import PerMessageDeflate

from tests.helpers.fix_worker import ThreadLauncher, ThreadServer
from tests.helpers.procs import PATIENCE
from tests.helpers.websocket import BINARY, TEXT, Got, Peer, cut, fragments

APP = Path(__file__).with_name("websocket_app.py")
MESSAGES = ["", "text", "κόσμε" * 50, b"", b"\0\xff", b"again " * 100, b"again " * 100]
FEW = settings(max_examples=60)

Piece = str | bytes


@pytest.fixture(scope="module")
def echo(serve_thread: ThreadLauncher) -> ThreadServer:
    return serve_thread(APP)


def dialled(
    server: ThreadServer,
    path: str = "/large",
    deflate: ClientPerMessageDeflateFactory | None = None,
) -> ClientConnection:
    """Return the websockets library's client."""
    return connect(
        f"ws://127.0.0.1:{server.address[1]}{path}",
        extensions=[deflate] if deflate else [],
        compression=None,
        open_timeout=PATIENCE,
        close_timeout=PATIENCE,
        proxy=None,
    )


def test_messages_come_back(echo: ThreadServer) -> None:
    with dialled(echo) as client:
        for message in [*MESSAGES, "x" * 70000, b"x" * 70000]:
            client.send(message)
            assert client.recv(PATIENCE) == message
        client.send(["in ", "", "pieces"])
        assert client.recv(PATIENCE) == "in pieces"
        assert client.ping().wait(PATIENCE)


BITS = [None, *range(9, 16)]


@pytest.mark.parametrize("server_alone", [False, True])
@pytest.mark.parametrize("client_alone", [False, True])
@pytest.mark.parametrize("server_bits", BITS)
def test_compression_is_understood_with_all_parameters(
    echo: ThreadServer, server_alone: bool, client_alone: bool, server_bits: int | None
) -> None:
    for client_bits in [*BITS, True]:
        offer = ClientPerMessageDeflateFactory(server_alone, client_alone, server_bits, client_bits)
        with dialled(echo, "/packed-large", offer) as client:
            (agreed,) = client.protocol.extensions
            assert agreed.remote_no_context_takeover == server_alone
            assert agreed.local_no_context_takeover == client_alone
            assert agreed.remote_max_window_bits == (server_bits or 15)
            # More than any window holds, so that what is too far back would show.
            noise = random.Random(1).randbytes(3000)
            for message in [*MESSAGES, noise, b"x" * 40000 + noise, noise]:
                client.send(message)
                assert client.recv(PATIENCE) == message


def test_a_route_that_does_not_compress_says_nothing_of_it(echo: ThreadServer) -> None:
    with dialled(echo, "/", ClientPerMessageDeflateFactory()) as client:
        assert client.protocol.extensions == []
        client.send("plain")
        assert client.recv(PATIENCE) == "plain"


def test_a_client_closes_in_good_order(echo: ThreadServer) -> None:
    with dialled(echo) as client:
        client.send("last")
        client.close(4999, "κόσμε")
        assert client.protocol.close_sent == client.protocol.close_rcvd or (
            client.protocol.close_rcvd is not None and client.protocol.close_rcvd.code == 4999
        )
    echo.log.wait("left 4999 [κόσμε]")


def test_a_server_closes_in_good_order(echo: ThreadServer) -> None:
    with dialled(echo, "/goodbye") as client:
        client.send("see you")
        with pytest.raises(ConnectionClosed) as caught:
            client.recv(PATIENCE)
        assert caught.value.rcvd is not None
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4000, "see you")
        assert caught.value.rcvd_then_sent
    echo.log.wait("left 4000 [see you]")


# ---- wsproto


class Dialogue:
    """wsproto in the client's role, on a blocking socket."""

    def __init__(self, server: ThreadServer, path: str, *, packed: bool) -> None:
        self.socket = socket.create_connection(server.address, PATIENCE)
        self.wire = WSConnection(ConnectionType.CLIENT)
        extensions = [PerMessageDeflate()] if packed else []
        self.say(Request(host="localhost", target=path, extensions=extensions))
        accepted = self.hear()
        assert isinstance(accepted, AcceptConnection), accepted
        assert bool(accepted.extensions) == packed
        self.events: Iterator[Event] = iter(())

    def say(self, event: Event) -> None:
        self.socket.sendall(self.wire.send(event))

    def hear(self) -> Event:
        while True:
            for event in self.wire.events():
                return event
            self.wire.receive_data(self.socket.recv(65536) or None)

    def message(self) -> Piece:
        """Return a whole message: wsproto hands over what has come of it."""
        parts: list[Piece] = []
        while True:
            event = self.hear()
            assert isinstance(event, (TextMessage, BytesMessage)), event
            parts.append(event.data)
            if event.message_finished:
                empty = event.data[:0]
                return empty.join(parts)  # type: ignore[arg-type]


@pytest.mark.parametrize("packed", [False, True])
def test_wsproto_understands_it(echo: ThreadServer, packed: bool) -> None:
    talk = Dialogue(echo, "/packed-large" if packed else "/large", packed=packed)
    for message in [*MESSAGES, "z" * 100000]:
        half = len(message) // 2
        talk.say(Message(data=message[:half], message_finished=False))
        talk.say(Ping(payload=b"inside"))
        talk.say(Message(data=message[half:]))
        assert talk.hear() == Pong(payload=b"inside")
        assert talk.message() == message
    talk.say(CloseConnection(code=1001, reason="enough"))
    assert talk.hear() == CloseConnection(code=1001, reason="")
    assert talk.socket.recv(100) == b""
    talk.socket.close()


# ---- anything

pieces = st.one_of(
    st.lists(st.text(max_size=200), min_size=1, max_size=4),
    st.lists(st.binary(max_size=200), min_size=1, max_size=4),
)


@pytest.mark.parametrize("packed", [False, True])
def test_messages_are_echoed(echo: ThreadServer, packed: bool) -> None:
    offer = ClientPerMessageDeflateFactory() if packed else None

    @FEW
    @given(st.lists(pieces, min_size=1, max_size=8))
    def check(messages: Sequence[Sequence[Piece]]) -> None:
        with dialled(echo, "/packed-large" if packed else "/large", offer) as client:
            for message in messages:
                client.send(message if len(message) > 1 else message[0])
            for message in messages:
                assert client.recv(PATIENCE) == message[0][:0].join(message)  # type: ignore[arg-type]

    check()


def test_messages_in_any_fragments_are_echoed(echo: ThreadServer) -> None:
    @FEW
    @given(st.lists(pieces, min_size=1, max_size=5), st.randoms(use_true_random=False))
    def check(messages: Sequence[Sequence[Piece]], rng: random.Random) -> None:
        sent, expected = b"", []
        for message in messages:
            op = TEXT if isinstance(message[0], str) else BINARY
            raw = [piece.encode() if isinstance(piece, str) else piece for piece in message]
            # Between any two bytes, of a character too.
            whole = b"".join(raw)
            sent += b"".join(fragments(op, *(cut(whole, rng, len(raw)) or [b""])))
            expected.append(Got(op, whole))
        with Peer(echo.address, "/large") as peer:
            peer.send_apart(cut(sent, rng, 10))
            assert [peer.got() for _ in expected] == expected

    check()
