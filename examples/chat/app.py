"""A chat: rooms are groups, and what is said in one reaches all who joined it, in every worker.

`kore examples/chat/app.py`, then http://127.0.0.1:8888 in two windows.
"""

import asyncio
import contextlib
import json
import os
import re
import secrets
from pathlib import Path

from store import create_tables, folded, recall, release_name, remember, take_name

import kore

PUBLIC = Path(__file__).resolve().parent / "public"
NAME_TAKEN = 4009  # the code that a connection is closed with
# Whose pages may connect: our own. Without a list any site could speak through the browsers of its
# visitors.
ORIGINS = ["same"]


class Chat:
    def configure(self, args):
        kore.config.workers = 2
        kore.server("chat", ip="127.0.0.1", port=os.environ.get("PORT", "8888"), tls=False)
        site = kore.domain("*", attach="chat")
        site.route(
            "^/rooms/(lounge|kitchen|garden)$",
            self.enter,
            methods=["get"],
            get={"name": proper, "after": "^[0-9]{1,15}$"},
            required=["name"],
            websocket={"origins": ORIGINS, "maxmessage": 4096, "ping": 30},
        )
        site.filemaps({"/": PUBLIC})
        create_tables()

    def enter(self, req, room):
        req.populate_get()
        conn = req.connection  # the same object in all callbacks, and it takes attributes
        conn.room, conn.name = room, req.argument("name")
        # The page makes this cookie at random: it shows that a name is still the same person's. A
        # client without one has its name for this connection only.
        visitor = req.cookie("visitor") or ""
        conn.keeps_name = re.fullmatch("[0-9a-f]{32}", visitor) is not None
        conn.visitor = visitor if conn.keeps_name else secrets.token_hex(16)
        conn.entered = False
        conn.after = req.argument("after")  # a page that comes back has heard all up to this one
        req.websocket_handshake(self.onconnect, self.onmsg, self.ondisconnect)

    async def onconnect(self, conn):
        if not await claim_name(conn):
            conn.disconnect(NAME_TAKEN, "this name is taken here, choose another")
            return
        conn.entered = True
        # Before reading: a message is then heard, or read, or both, and the page looks at ids.
        conn.join(conn.room)
        past = await asyncio.to_thread(recall, conn.room, int(conn.after or 0))
        welcome = {"worker": kore.worker(), "said": past}
        conn.websocket_send(kore.WEBSOCKET_OP_TEXT, json.dumps(welcome))
        await tell(conn.room, {"event": f"{conn.name} {'is back' if conn.after else 'joined'}"})

    async def onmsg(self, conn, op, data):
        # The next message of this client waits until this is done: nobody can flood a room.
        if op != kore.WEBSOCKET_OP_TEXT:
            conn.disconnect(1003, "this chat is about text")
        elif data and conn.entered:
            said = await asyncio.to_thread(remember, conn.room, conn.name, data)
            await tell(conn.room, {"said": [said]})

    async def ondisconnect(self, conn):
        if not conn.entered:
            return
        if not conn.keeps_name:
            await asyncio.to_thread(release_name, conn.room, conn.name, conn.visitor)
        await tell(conn.room, {"event": f"{conn.name} left"})


async def tell(room, what):
    """Send to everybody in a room; a worker that is busy is waited for."""
    while True:
        with contextlib.suppress(kore.errors.BusyError):  # then nobody was sent anything
            return kore.websocket_broadcast(
                None,
                kore.WEBSOCKET_OP_TEXT,
                json.dumps(what),
                kore.WEBSOCKET_BROADCAST_GLOBAL,
                group=room,
            )
        await kore.suspend(20)


def proper(req, name):
    return name == name.strip() and name.isprintable() and len(name) <= 24 and folded(name) != ""


async def claim_name(conn):
    """Return whether a client may speak under its name."""
    pid = None if conn.keeps_name else os.getpid()
    for _ in range(1 if conn.keeps_name else 10):
        if await asyncio.to_thread(take_name, conn.room, conn.name, conn.visitor, pid):
            return True
        await kore.suspend(100)  # the end of its own last connection may not be noted yet
    return False


koreapp = Chat()
