"""What the raw cases of WebSockets talk to: echoes of several kinds."""

import kore

domain = kore.domain("*", attach="http")
seen = []


def onconnect(conn: kore.pyconnection) -> None:
    seen.append(conn.fd)


def onmsg(conn: kore.pyconnection, op: int, data: str | bytes) -> None:
    assert isinstance(data, str if op == kore.WEBSOCKET_OP_TEXT else bytes)
    conn.websocket_send(op, data)


def ondisconnect(conn: kore.pyconnection) -> None:
    print(f"left {conn.close_code} [{conn.close_reason}]", flush=True)


@kore.route("/hello", methods=["get"])
def hello(req: kore.pyhttp_request) -> None:
    req.response(200, f"{len(seen)} have connected")


def echo(req: kore.pyhttp_request) -> None:
    req.websocket_handshake(onconnect, onmsg, ondisconnect)


SMALL = {"maxframe": 1000, "maxmessage": 2000}
LARGE = {"maxframe": 1 << 20, "maxmessage": 1 << 20}
domain.route("/", echo, methods=["get", "post", "head"])
domain.route("/small", echo, methods=["get"], websocket=SMALL)
domain.route("/large", echo, methods=["get"], websocket=LARGE)
domain.route("/packed", echo, methods=["get"], websocket={**SMALL, "compress": True})
domain.route("/packed-large", echo, methods=["get"], websocket={**LARGE, "compress": True})
PAGES = {"origins": ["https://*.example.com", "same"]}
domain.route("/page", echo, methods=["get"], websocket=PAGES)
domain.route("/spoken", echo, methods=["get"], websocket={"protocols": ["chat.v2", "chat.v1"]})


def goodbye(conn: kore.pyconnection, op: int, data: str) -> None:
    conn.disconnect(4000, data)


@kore.route("/goodbye", methods=["get"])
def bye(req: kore.pyhttp_request) -> None:
    req.websocket_handshake(None, goodbye, ondisconnect)
