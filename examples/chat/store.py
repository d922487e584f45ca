"""What the workers of the chat share: messages and names, in a file, for they share no memory."""

import contextlib
import os
import re
import sqlite3
import time
import unicodedata

HISTORY, KEPT = "chat.db", 50  # messages of each room that newcomers are shown
# Characters that are no blanks, and show nothing: Unicode's Default_Ignorable_Code_Point.
INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff]"
)
NAME_KEPT = 30 * 24 * 3600  # seconds for which a browser that has left keeps its name


@contextlib.contextmanager
def history():
    with contextlib.closing(sqlite3.connect(HISTORY)) as db, db:
        db.row_factory = sqlite3.Row
        yield db


def create_tables():
    with history() as db:
        db.execute(
            "CREATE TABLE IF NOT EXISTS said"
            "(id INTEGER PRIMARY KEY AUTOINCREMENT, room TEXT, name TEXT, text TEXT, at REAL)"
        )
        db.execute(
            "CREATE TABLE IF NOT EXISTS names"
            "(room TEXT, name TEXT, visitor TEXT, pid INTEGER, seen REAL, PRIMARY KEY (room, name))"
        )


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


def take_name(room, name, visitor, pid):
    """Return whether a name is free, or this visitor's; from then on it is."""
    key, now = folded(name), time.time()
    with history() as db:
        db.execute("BEGIN IMMEDIATE")
        db.execute("DELETE FROM names WHERE pid IS NULL AND seen < ?", (now - NAME_KEPT,))
        row = db.execute("SELECT * FROM names WHERE room = ? AND name = ?", (room, key)).fetchone()
        if row and row["visitor"] != visitor and (row["pid"] is None or is_alive(row["pid"])):
            return False
        db.execute("REPLACE INTO names VALUES (?, ?, ?, ?, ?)", (room, key, visitor, pid, now))
        return True


def release_name(room, name, visitor):
    with history() as db:
        db.execute(
            "DELETE FROM names WHERE room = ? AND name = ? AND visitor = ?",
            (room, folded(name), visitor),
        )


def folded(name):
    """Return a name as it is compared: what looks the same is the same."""
    for _ in range(2):  # the lower case of a letter may have another form
        name = unicodedata.normalize("NFKC", name).casefold()
    return " ".join(INVISIBLE.sub("", name).split())


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:  # a worker that died could not release the names of its clients
        return False
    except PermissionError:
        return True
    return True
