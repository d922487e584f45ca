"""The examples that Kore's API page has for WebSockets, as they stand there.

One of them names a function that the other calls something else.
"""

import pytest

from tests.helpers.build import get
from tests.helpers.fix_serve import Launcher, Server
from tests.helpers.websocket import ASKING, Peer

APP = """
domain = kore.domain("*", attach="http")

def onconnect(c):
    kore.log(kore.LOG_INFO, "%s: connected" % c)

def onmessage(c, op, data):
    # data from c arrived
    # op is the websocket op, WEBSOCKET_OP_TEXT, WEBSOCKET_OP_BINARY
    # data is the data that arrived
    kore.websocket_broadcast(c, op, data, kore.WEBSOCKET_BROADCAST_GLOBAL)

def ondisconnect(c):
    kore.log(kore.LOG_INFO, "%s: disconnected" % c)

def ws_connect(req):
    req.websocket_handshake("onconnect", "onmsg", "ondisconnect")

domain.route("/", ws_connect, methods=["get"])
"""


def exchange(server: Server) -> None:
    """Have one client send a message and another receive it."""
    with Peer(server.address) as one, Peer(server.address) as two:
        one.text("hello")
        assert two.hears() == "hello"
        assert one.is_open()
    for what in ("connected", "disconnected"):
        server.log.search(rf"<kore.connection 127\.0\.0\.1 fd -?\d+>: {what}")


@pytest.mark.parametrize(
    ("said", "defined"),
    [
        ("onmsg", "onmessage"),
        ("onmessage", "onmessage"),
        ("onmessage", "onmsg"),
        ("chat.onmsg", "onmessage"),
    ],
)
def test_the_example_works_by_either_name(serve: Launcher, said: str, defined: str) -> None:
    program = APP.replace('"onmsg"', f'"{said}"').replace("def onmessage", f"def {defined}")
    if "." in said:
        program += f"""
class chat:
    {defined} = staticmethod({defined})
"""
    exchange(serve(program))


@pytest.mark.parametrize("keyword", ["onmsg", "onmessage"])
def test_a_route_may_use_either_name(serve: Launcher, keyword: str) -> None:
    words = f'{{"onconnect": "onconnect", "{keyword}": "onmsg", "ondisconnect": ondisconnect}}'
    program = APP.replace('"onconnect", "onmsg", "ondisconnect"', "")
    exchange(serve(program.replace('["get"])', f'["get"], websocket={words})')))


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ('"onconect"', "NameError: onconnect callback 'onconect' not found in the application"),
        ('None, "on_message"', "NameError: onmsg callback 'on_message' not found"),
        ('onmessage="onconnect"', r"onmsg onconnect(c) must accept (conn, op, data); it is at "),
        ("lambda: 0", r"<lambda>() must accept (conn); it is at "),
        ("None, ws_connect", r"onmsg ws_connect(req) must accept (conn, op, data); it is at "),
        ("None, onmessage, onmessage=onmessage", r"two spellings of one keyword: give one of them"),
    ],
)
def test_a_callback_that_cannot_be_called_is_refused_at_the_call(
    serve: Launcher, call: str, error: str
) -> None:
    server = serve(APP.replace('"onconnect", "onmsg", "ondisconnect"', call))
    with server.expecting(error), server.connect() as client:
        assert client.ask(get("/", *ASKING)).status == 500
    server.log.search(r"app\.py\", line \d+, in ws_connect")
