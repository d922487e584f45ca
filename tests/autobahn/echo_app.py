"""What the Autobahn|Testsuite talks to: an echo, with compression and without."""

import kore

domain = kore.domain("*", attach="http")
TERMS = {"maxframe": 1 << 25, "maxmessage": 1 << 25, "buffer_max": 1 << 26}


def onmsg(conn: kore.pyconnection, op: int, data: str | bytes) -> None:
    conn.websocket_send(op, data)


def echo(req: kore.pyhttp_request) -> None:
    req.websocket_handshake(None, onmsg, None)


domain.route("/plain", echo, methods=["get"], websocket=TERMS)
domain.route("/compressed", echo, methods=["get"], websocket={**TERMS, "compress": True})
