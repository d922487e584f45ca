"""An application under attack: everybody gets in everybody's way, and it can be looked at."""

import asyncio
import gc
from pathlib import Path

import kore

domain = kore.domain("*", attach="http")
everybody = {}
ends = []


def onconnect(conn):
    everybody[conn] = None
    conn.join("room")
    conn.websocket_send(1, "welcome")
    conn.itself = conn  # a ring


def onmsg(conn, op, data):
    if data == "leave":
        conn.disconnect()
    elif data == "broadcast":
        kore.websocket_broadcast(conn, 1, "x" * 1000, kore.WEBSOCKET_BROADCAST_GLOBAL)
    elif data == "all":
        for other in list(everybody):
            other.disconnect(4000, "all")
    elif data == "fail":
        raise ValueError("on demand")
    else:
        conn.websocket_send(op, data)


async def waits(conn, op, data):
    await asyncio.sleep(0.01)
    onmsg(conn, op, data)


def ondisconnect(conn):
    ends.append(conn.close_code)
    everybody.pop(conn)
    kore.websocket_broadcast(conn, 1, "one has left", group="room")


@kore.route("/", methods=["get"], websocket={"compress": True})
def sync(req):
    req.websocket_handshake(onconnect, onmsg, ondisconnect)


@kore.route("/wait", methods=["get"], websocket={"compress": True})
async def wait(req):
    await asyncio.sleep(0)
    req.websocket_handshake(onconnect, waits, ondisconnect)


@kore.route("/alone", methods=["get"])
def alone(req):
    """One whose end is nobody's business."""
    req.websocket_handshake(lambda conn: setattr(conn, "itself", conn), onmsg, None)


@kore.route("/mark", methods=["get"])
def mark(req):
    kore.log(kore.LOG_INFO, "all that was logged before is there")
    req.response(200)


@kore.route("/state", methods=["get"])
def state(req):
    gc.collect()
    kinds = [type(thing).__name__ for thing in gc.get_objects()]
    left = sum(kind in ("Connection", "WebSocket", "MessageReader") for kind in kinds)
    files = len(list(Path("/proc/self/fd").iterdir()))
    req.response(200, f"{len(everybody)} {len(ends)} {left} {len(kinds)} {files}")
