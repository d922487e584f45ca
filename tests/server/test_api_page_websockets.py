"""The examples that Kore's API page has for WebSockets, as they stand there.

One of them names a function that the other calls something else.
"""

from tests.helpers.build import get
from tests.helpers.fix_serve import Launcher
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


def test_a_name_that_nothing_has_is_told_with_what_is_meant(serve: Launcher) -> None:
    server = serve(APP)
    said = "NameError: onmsg callback 'onmsg' not found in the application (did you mean 'onmess"
    with server.expecting(said), server.connect() as client:
        assert client.ask(get("/", *ASKING)).status == 500


def test_the_example_works_when_both_say_the_same(serve: Launcher) -> None:
    server = serve(APP.replace('"onmsg"', '"onmessage"'))
    with Peer(server.address) as one, Peer(server.address) as two:
        one.text("hello")
        assert two.hears() == "hello"
        assert one.is_open()
    for what in ("connected", "disconnected"):
        server.log.search(rf"<kore.connection 127\.0\.0\.1 fd -?\d+>: {what}")
