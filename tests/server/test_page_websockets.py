"""What the page about WebSockets shows and says, tried."""

import contextlib
import json
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.helpers.fix_serve import RUNNING, Server, serving
from tests.helpers.procs import PATIENCE

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "websockets.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)


# Beside what the page shows: what it says.
MORE = """
import asyncio

async def off_thread(conn, op, data):
    calls = {
        "send": (conn.websocket_send, TEXT, "x"),
        "disconnect": (conn.disconnect,),
        "broadcast": (kore.websocket_broadcast, None, TEXT, "x"),
    }
    try:
        await asyncio.to_thread(*calls[data])
    except RuntimeError as error:
        conn.websocket_send(TEXT, str(error))

@kore.route("/threads", methods=["get"])
def threads(req):
    req.websocket_handshake(None, off_thread, None)

@kore.route("/spoken", methods=["get"], websocket={"protocols": ["chat.v1", "chat.v2"]})
def spoken(req):
    before = req.connection.subprotocol
    def onconnect(conn):
        conn.websocket_send(TEXT, f"{before} {conn.subprotocol}")
    req.websocket_handshake(onconnect)

@kore.route("/group", methods=["get"])
def group(req):
    def onmsg(conn, op, data):
        try:
            kore.websocket_broadcast(None, TEXT, "x", group=7)
        except TypeError as error:
            conn.websocket_send(TEXT, str(error))
    req.websocket_handshake(onmsg=onmsg)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("page")
    app = directory / "app.py"
    app.write_text("\n\n".join([*blocks("python"), MORE]).replace("port=8888", "port=0"))
    with serving(app, directory) as server:
        yield server


def to(server: Server, path: str, **options: Any) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{server.address[1]}{path}", **options)


def test_an_echo(server: Server) -> None:
    with to(server, "/echo") as client:
        client.send("hello")
        client.send(b"\0\1")

        assert [client.recv(PATIENCE), client.recv(PATIENCE)] == ["hello", b"\0\1"]


def test_coroutines_answer_in_order(server: Server) -> None:
    with to(server, "/slowly") as client:
        for word in ("one", "two", "three"):
            client.send(word)

        assert [client.recv(PATIENCE) for _ in "123"] == ["ONE", "TWO", "THREE"]


def test_many_numbers_and_a_close(server: Server) -> None:
    with to(server, "/numbers") as client:
        assert list(client) == [str(number) for number in range(20_000)]
        assert client.close_code == 1000


def test_group_message_reaches_other_members_of_all_workers_once(
    server: Server,
) -> None:
    with contextlib.ExitStack() as everybody:
        speaker, *others = (everybody.enter_context(to(server, "/rooms/a")) for _ in range(12))
        elsewhere = everybody.enter_context(to(server, "/rooms/b"))
        for number in range(5):
            speaker.send(str(number))
        elsewhere.send("b")
        others[0].send("end")

        for client in others[1:]:
            heard = [json.loads(client.recv(PATIENCE))["said"] for _ in range(6)]
            # Of two workers' messages nobody knows the order.
            assert sorted(heard) == ["0", "1", "2", "3", "4", "end"]
            assert [said for said in heard if said != "end"] == ["0", "1", "2", "3", "4"]
        assert json.loads(speaker.recv(PATIENCE)) == {"room": "a", "said": "end"}


@pytest.mark.parametrize(
    ("origin", "status"),
    [("https://www.example.com", 101), (None, 101), ("https://example.org", 403)],
)
def test_only_listed_origins_are_let_in(server: Server, origin: Any, status: int) -> None:
    assert answered(server, origin) == status


def answered(server: Server, origin: Any) -> int:
    try:
        with to(server, "/quiet", origin=origin) as client:
            client.send("hello")
            assert client.recv(PATIENCE) == "hello"
    except InvalidStatus as refused:
        return refused.response.status_code
    return 101


def test_a_message_beyond_a_routes_limit_is_1009(server: Server) -> None:
    with to(server, "/quiet") as client:
        client.send("x" * 4096)
        assert client.recv(PATIENCE) == "x" * 4096
        client.send("x" * 4097)
        with contextlib.suppress(ConnectionClosed):
            client.recv(PATIENCE)

        assert client.close_code == 1009


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("send", "websocket_send() belongs to the worker's thread"),
        ("disconnect", "disconnect() belongs to the worker's thread"),
        ("broadcast", "websocket_broadcast() belongs to the worker's thread"),
    ],
)
def test_call_from_another_thread_is_an_error_with_advice(
    server: Server, call: str, text: str
) -> None:
    with to(server, "/threads") as client:
        client.send(call)
        said = str(client.recv(PATIENCE))

    assert said.startswith(text)
    assert "loop.call_soon_threadsafe(" in said


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [(["chat.v3", "chat.v2", "chat.v1"], "chat.v2"), (["soap"], None), (None, None)],
)
def test_the_application_knows_the_sub_protocol(
    server: Server, offered: Any, chosen: str | None
) -> None:
    with to(server, "/spoken", subprotocols=offered) as client:
        assert client.subprotocol == chosen
        assert client.recv(PATIENCE) == f"None {chosen}"


def test_a_group_is_text(server: Server) -> None:
    with to(server, "/group") as client:
        client.send("x")

        assert client.recv(PATIENCE) == "a group is a str or None, not 7"


def test_plain_request_gets_an_explanation(server: Server) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{server.address[1]}/echo", timeout=PATIENCE)

    assert (refused.value.code, refused.value.read()) == (
        400,
        b"this is for websockets: ask for `upgrade: websocket`\n",
    )


def test_a_file_says_the_same(tmp_path: Path) -> None:
    (conf,) = blocks("conf")
    (tmp_path / "kore.conf").write_text(conf.replace("8888", "0"))
    (tmp_path / "hello.py").write_text(
        "def onmsg(conn, op, data):\n    conn.websocket_send(op, data)\n\n\n"
        "def quiet(req):\n    req.websocket_handshake()\n"
    )
    server = Server([sys.executable, "-m", "kore", "-c", "kore.conf"], tmp_path, {})
    try:
        server.learn_port()
        RUNNING.append(server)
        own = f"http://127.0.0.1:{server.address[1]}"
        for origin in ("https://a.example.com", own):
            assert answered(server, origin) == 101
        assert answered(server, "http://localhost:80") == 403
        server.stop()
    finally:
        server.kill()
