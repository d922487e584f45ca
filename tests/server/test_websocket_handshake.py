"""The opening handshake: who is let in, who is not, what is said to either."""

import base64
import re
import socket
from pathlib import Path

import pytest

from tests.helpers.build import get, request
from tests.helpers.fix_worker import ThreadLauncher, ThreadServer
from tests.helpers.procs import PATIENCE
from tests.helpers.websocket import ACCEPT, ASKING, KEY, TEXT, Peer, frame

APP = Path(__file__).with_name("websocket_app.py")


@pytest.fixture(scope="module")
def echo(serve_thread: ThreadLauncher) -> ThreadServer:
    return serve_thread(APP)


def changed(**fields: str | None) -> list[str]:
    """Return a handshake's fields with others in their place, or without them."""
    own: dict[str, str | None] = dict(line.split(": ", 1) for line in ASKING)
    own.update((name.replace("_", "-").title(), value) for name, value in fields.items())
    named = {name.lower(): (name, value) for name, value in own.items()}
    return [f"{name}: {value}" for name, value in named.values() if value is not None]


def with_key(size: int) -> str:
    return base64.b64encode(b"k" * size).decode()


REFUSED = {
    "no-upgrade": (400, get("/", *changed(upgrade=None))),
    "upgrade-other": (400, get("/", *changed(upgrade="h2c"))),
    "upgrade-longer": (400, get("/", *changed(upgrade="websockets"))),
    "no-connection": (400, get("/", *changed(connection=None))),
    "connection-close": (400, get("/", *changed(connection="close"))),
    "connection-other": (400, get("/", *changed(connection="keep-alive"))),
    "no-key": (400, get("/", *changed(sec_websocket_key=None))),
    "key-empty": (400, get("/", *changed(sec_websocket_key=""))),
    "key-not-base64": (400, get("/", *changed(sec_websocket_key="!" * 24))),
    "key-15-bytes": (400, get("/", *changed(sec_websocket_key=with_key(15)))),
    "key-17-bytes": (400, get("/", *changed(sec_websocket_key=with_key(17)))),
    "key-twice": (400, get("/", *ASKING, f"Sec-WebSocket-Key: {KEY}")),
    "key-list": (400, get("/", *changed(sec_websocket_key=f"{KEY}, {KEY}"))),
    "no-version": (426, get("/", *changed(sec_websocket_version=None))),
    "version-8": (426, get("/", *changed(sec_websocket_version="8"))),
    "version-14": (426, get("/", *changed(sec_websocket_version="14"))),
    "version-013": (426, get("/", *changed(sec_websocket_version="013"))),
    "version-list": (426, get("/", *changed(sec_websocket_version="13, 8"))),
    "post": (400, request("POST", "/", *ASKING, "Content-Length: 0")),
    "post-body": (400, request("POST", "/", *ASKING, "Content-Length: 3", body=b"abc")),
    "get-body": (400, get("/", *ASKING, "Content-Length: 3") + b"abc"),
    "get-chunked": (400, get("/", *ASKING, "Transfer-Encoding: chunked") + b"0\r\n\r\n"),
    "http-1.0": (400, request("GET", "/", *ASKING, version="HTTP/1.0")),
    "origin-other": (403, get("/page", *ASKING, "Origin: https://evil.example")),
    "origin-null": (403, get("/page", *ASKING, "Origin: null")),
    "origin-suffix": (403, get("/page", *ASKING, "Origin: https://a.example.com.evil.example")),
    "origin-scheme": (403, get("/page", *ASKING, "Origin: http://a.example.com")),
    "version-twice": (426, get("/", *ASKING, "Sec-WebSocket-Version: 8")),
    "origin-twice": (403, get("/page", *ASKING, *["Origin: https://a.example.com"] * 2)),
}
ACCEPTED = {
    "plain": ASKING,
    "upgrade-case": changed(upgrade="WebSocket"),
    "upgrade-list": changed(upgrade="h2c, websocket"),
    "connection-list": changed(connection="keep-alive, Upgrade"),
    "connection-twice": [*ASKING, "Connection: keep-alive"],
    "length-0": [*ASKING, "Content-Length: 0"],
    "origin-of-anybody": [*ASKING, "Origin: https://evil.example"],
    "protocol-of-nobody": [*ASKING, "Sec-WebSocket-Protocol: chat"],
    "extension-of-nobody": [*ASKING, "Sec-WebSocket-Extensions: permessage-deflate"],
}


@pytest.mark.parametrize("name", REFUSED)
def test_malformed_handshake_is_refused_with_a_reason(echo: ThreadServer, name: str) -> None:
    status, asked = REFUSED[name]
    with echo.connect() as client:
        before = client.ask(get("/hello")).body
        answer = client.ask(asked)

        assert answer.status == status
        assert answer.get("upgrade") == ("websocket" if status == 426 else None)
        assert ("upgrade" in answer.all("connection")) == (status == 426)
        assert answer.get("sec-websocket-version") == ("13" if status == 426 else None)
        assert answer.body
    with echo.connect() as client:
        assert client.ask(get("/hello")).body == before, "no callback was called"


def test_the_connection_of_a_refusal_can_be_used_again(echo: ThreadServer) -> None:
    with echo.connect() as client:
        assert client.ask(get("/")).status == 400
        assert client.ask(get("/", *changed(sec_websocket_version="8"))).status == 426
        assert client.ask(get("/hello")).status == 200
        client.send(get("/", *ASKING))
        client.wait(lambda: client.reader.answers[-1].status == 101)
        assert client.reader.answers[-1].get("sec-websocket-accept") == ACCEPT


@pytest.mark.parametrize("name", ACCEPTED)
def test_valid_handshake_is_accepted(echo: ThreadServer, name: str) -> None:
    with echo.connect() as client:
        client.send(get("/", *ACCEPTED[name]))
        client.wait(lambda: client.reader.answers)
        answer = client.reader.answers[0]

        assert answer.status == 101
        assert answer.get("upgrade") == "websocket"
        assert answer.get("connection") == "upgrade"
        assert answer.get("sec-websocket-accept") == ACCEPT
        for name in ("sec-websocket-protocol", "sec-websocket-extensions", "content-length"):
            assert answer.get(name) is None


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        ([], None),
        (["Sec-WebSocket-Protocol: chat.v1"], "chat.v1"),
        (["Sec-WebSocket-Protocol: other, chat.v1, chat.v2"], "chat.v1"),
        (["Sec-WebSocket-Protocol: other", "Sec-WebSocket-Protocol: chat.v2"], "chat.v2"),
        (["Sec-WebSocket-Protocol: CHAT.V1"], None),
        (["Sec-WebSocket-Protocol: other"], None),
    ],
)
def test_the_clients_first_choice_is_spoken(
    echo: ThreadServer, asked: list[str], chosen: str | None
) -> None:
    with Peer(echo.address, "/spoken", *asked) as peer:
        assert peer.field("sec-websocket-protocol") == chosen


@pytest.mark.parametrize(
    "origin", ["https://a.example.com", "HTTPS://B.A.Example.COM", None, "http://localhost"]
)
def test_allowed_origins_may_connect(echo: ThreadServer, origin: str | None) -> None:
    fields = [f"Origin: {origin}"] if origin else []
    with Peer(echo.address, "/page", *fields) as peer:
        assert peer.is_open()


def test_a_handshake_may_follow_other_requests_in_one_segment(echo: ThreadServer) -> None:
    asked = get("/hello") * 3 + get("/", *ASKING) + frame(TEXT, "and a message")
    received = b""
    with socket.create_connection(echo.address, PATIENCE) as client:
        client.sendall(asked)
        while not received.endswith(b"and a message"):
            more = client.recv(65536)
            assert more, received
            received += more
    assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"200", b"200", b"200", b"101"]
    assert received.endswith(b"\r\n\r\n\x81\x0dand a message")


@pytest.mark.parametrize("piece", [1, 7, 50])
def test_a_handshake_may_come_in_pieces(echo: ThreadServer, piece: int) -> None:
    with echo.connect() as client:
        client.send_bytewise(get("/", *ASKING), piece)
        client.wait(lambda: client.reader.answers)
        assert client.reader.answers[0].status == 101
