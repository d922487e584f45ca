"""A chat: rooms are groups, and what is said in one reaches all who joined it, in every worker.

`kore examples/chat/app.py`, then http://127.0.0.1:8888 in two windows.
"""

import asyncio
import contextlib
import json
import os
import sqlite3
import time
from pathlib import Path

import kore

PUBLIC = Path(__file__).resolve().parent / "public"
# Workers share no memory: what newcomers are shown is in a file, of each room so many messages.
HISTORY, KEPT = "chat.db", 50
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
        with history() as db:
            db.execute(
                "CREATE TABLE IF NOT EXISTS said"
                "(id INTEGER PRIMARY KEY AUTOINCREMENT, room TEXT, name TEXT, text TEXT, at REAL)"
            )

    def enter(self, req, room):
        req.populate_get()
        conn = req.connection  # the same object in all callbacks, and it takes attributes
        conn.room, conn.name = room, req.argument("name")
        conn.after = req.argument("after")  # a page that comes back has heard all up to this one
        req.websocket_handshake(self.onconnect, self.onmsg, self.ondisconnect)

    async def onconnect(self, conn):
        # First of all: a message is then heard, or read below, or both, and the page looks at ids.
        conn.join(conn.room)
        past = await asyncio.to_thread(recall, conn.room, int(conn.after or 0))
        welcome = {"worker": kore.worker(), "said": past}
        conn.websocket_send(kore.WEBSOCKET_OP_TEXT, json.dumps(welcome))
        await tell(conn.room, {"event": f"{conn.name} {'is back' if conn.after else 'joined'}"})

    async def onmsg(self, conn, op, data):
        # The next message of this client waits until this is done: nobody can flood a room.
        if op != kore.WEBSOCKET_OP_TEXT:
            conn.disconnect(1003, "this chat is about text")
        elif data:
            said = await asyncio.to_thread(remember, conn.room, conn.name, data)
            await tell(conn.room, {"said": [said]})

    async def ondisconnect(self, conn):
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
    return name == name.strip() and name.isprintable() and 0 < len(name) <= 24


@contextlib.contextmanager
def history():
    with contextlib.closing(sqlite3.connect(HISTORY)) as db, db:
        db.row_factory = sqlite3.Row
        yield db


def remember(room, name, text):
    said = {"name": name, "text": text, "at": time.time()}
    with history() as db:
        added = db.execute(
            "INSERT INTO said (room, name, text, at) VALUES (:room, :name, :text, :at)",
            {"room": room, **said},
        )
        db.execute(
            "DELETE FROM said WHERE room = ?1 AND id NOT IN"
            " (SELECT id FROM said WHERE room = ?1 ORDER BY id DESC LIMIT ?2)",
            (room, KEPT),
        )
    return {"id": added.lastrowid, **said}


def recall(room, after):
    with history() as db:
        rows = db.execute(
            "SELECT id, name, text, at FROM said WHERE room = ? AND id > ? ORDER BY id",
            (room, after),
        )
        return [dict(row) for row in rows]


koreapp = Chat()
