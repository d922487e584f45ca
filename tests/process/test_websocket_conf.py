"""WebSockets in a configuration file and in a route's keywords: served, checked, printed."""

from pathlib import Path

import pytest

from tests.helpers.websocket import Peer
from tests.process.conf_project import kore, serving

CONF = """workers 1
python_import ./app.py
server plain {
    bind 127.0.0.1 0
    tls no
}
domain * {
    attach plain
    route /ws {
        handler shake
        methods get
        websocket onconnect opened
        websocket onmsg chat.said
        websocket ondisconnect app.left
        websocket protocols chat.v2 chat.v1
        websocket origins same https://*.example.com null
        websocket maxframe 1000
        websocket maxmessage 2000
        websocket timeout 30
        websocket ping 10
        websocket buffer_max 100000
        websocket buffer_full raise
        websocket compress yes
    }
}
"""
APP = """
import kore

def opened(conn):
    conn.websocket_send(1, "opened")

class Chat:
    async def said(self, conn, op, data):
        conn.websocket_send(op, data)

chat = Chat()

def left(conn):
    print(f"left {conn.close_code}", flush=True)

def shake(req):
    req.websocket_handshake()
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "kore.conf").write_text(CONF)
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def test_file_has_all_options_of_a_handshake(project: Path) -> None:
    offers = ["Sec-WebSocket-Protocol: chat.v1", "Sec-WebSocket-Extensions: permessage-deflate"]
    with serving(project, "-c", "kore.conf") as server:
        with Peer(server.address, "/ws", *offers, "Origin: https://a.example.com") as peer:
            assert peer.field("sec-websocket-protocol") == "chat.v1"
            assert peer.field("sec-websocket-extensions") == "permessage-deflate"
            assert peer.got().packed
        with Peer(server.address, "/ws") as peer:
            peer.text("x" * 1000)
            assert peer.take(2) == ["opened", "x" * 1000]
            peer.text("x" * 1001)
            assert peer.closed().code == 1009
        server.log.wait("left 1009")


def test_printed_websocket_options_are_equivalent(project: Path) -> None:
    printed = kore(project, "--print-config", "-c", "kore.conf")
    assert printed.returncode == 0, printed.stderr
    for line in CONF.splitlines():
        if line.strip().startswith("websocket"):
            assert line.strip().replace("app.left", "left") in printed.stdout
    (project / "again.conf").write_text(printed.stdout)
    again = kore(project, "--print-config", "-c", "again.conf")
    assert (again.stdout, again.returncode) == (printed.stdout, 0)


@pytest.mark.parametrize(
    ("line", "wrong", "said"),
    [
        (
            "onmsg chat.said",
            "onmsg chat.sad",
            "13: route '/ws': onmsg callback 'chat.sad' not found (did you mean 'chat.said'?)",
        ),
        ("onmsg chat.said", "onmsg nowhere", "13: route '/ws': onmsg callback 'nowhere' not found"),
        ("onmsg chat.said", "onmsg a b", "13: route '/ws': websocket onmsg takes one value"),
        (
            "onmsg chat.said",
            "onmesage chat.said",
            "13: route '/ws': unknown keyword 'onmesage' (did you mean 'onmsg'?), there are",
        ),
        (
            "onmsg chat.said",
            "onconnect opened",
            "13: route '/ws': websocket onconnect is given twice",
        ),
        ("timeout 30", "timeout soon", "19: route '/ws': bad value 'soon' for timeout: "),
        ("maxframe 1000", "maxframe -1", "17: route '/ws': bad value '-1' for maxframe: "),
        ("compress yes", "compress maybe", "23: route '/ws': "),
        (
            "protocols chat.v2 chat.v1",
            "protocols chat/1",
            "15: route '/ws': 'chat/1' is not a protocol: ",
        ),
        (
            "origins same https://*.example.com null",
            "origins example.com",
            "16: route '/ws': 'example.com' is not an ",
        ),
        (
            "buffer_full raise",
            "buffer_full wait",
            "22: route '/ws': bad value 'wait' for buffer_full: ",
        ),
    ],
)
def test_websocket_errors_of_a_file_are_startup_errors(
    project: Path, line: str, wrong: str, said: str
) -> None:
    (project / "kore.conf").write_text(CONF.replace(f"websocket {line}", f"websocket {wrong}"))
    run = kore(project, "-t", "-c", "kore.conf")
    assert run.returncode == 1
    assert f"kore.conf:{said}" in run.stderr


ROUTES = """import kore
kore.server("plain", ip="127.0.0.1", port="0", tls=False)
domain = kore.domain("*", attach="plain")

def onmessage(conn, op, data):
    pass

def shake(req):
    req.websocket_handshake()

domain.route("/ws", shake, methods=["get"], websocket=TERMS)
"""


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        (
            {"onmsg": "onmesage"},
            "callback 'onmesage' not found in the application (did you mean 'onmessage'?)",
        ),
        ({"onmsg": 7}, "onmsg must be a function, its name or None, not 7"),
        ({"onmesage": None}, "unknown keyword 'onmesage' of a websocket (did you mean 'onmsg'?)"),
        ({"timeout": -1}, "bad value '-1' for timeout: "),
        ({"timeout": None}, "bad value 'None' for timeout: "),
        ({"compress": "yes"}, "compress must be bool, not str"),
        (["onmsg"], "websocket must be a dict of keywords, not ['onmsg']"),
        ({7: 7}, "unknown keyword '7' of a websocket"),
    ],
)
def test_websocket_errors_of_a_route_are_startup_errors(
    tmp_path: Path, terms: object, said: str
) -> None:
    (tmp_path / "app.py").write_text(ROUTES.replace("TERMS", repr(terms)))
    run = kore(tmp_path, "-t", "app.py")
    assert run.returncode == 1
    assert said in run.stderr
    assert 'app.py", line 11' in run.stderr or "app.py:11: " in run.stderr


def test_a_server_with_a_wrong_name_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(ROUTES.replace("TERMS", repr({"onmsg": "onmesage"})))
    run = kore(tmp_path, "app.py")
    assert run.returncode == 1
    assert "app.py:11: route '/ws': onmsg callback 'onmesage' not found" in run.stderr


def test_a_route_finds_its_callbacks_by_name(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(ROUTES.replace("TERMS", repr({"onmsg": "app.onmessage"})))
    assert kore(tmp_path, "-t", "app.py").returncode == 0
