"""WebSockets whose clients say what the application is to do."""

import asyncio
import threading
from urllib.parse import unquote

import kore

domain = kore.domain("*", attach="http")
known = {}  # connections by the name that their client gave them
notes = []


def note(*words: object) -> None:
    """Write a line that a test waits for."""
    # One text: a line of the log might come between several words of print().
    print(" ".join(map(str, ("note:", *words))), flush=True)


# ---- callbacks that are found by name


def onconnect(conn):
    conn.websocket_send(1, "welcome")


def onmsg(conn, op, data):
    conn.websocket_send(op, data)


def ondisconnect(conn):
    note("left", conn.close_code, conn.close_reason)


class Chat:
    def onmsg(self, conn, op, data):
        conn.websocket_send(op, "chat: " + data)


chat = Chat()


async def slowly(conn, op, data):
    await asyncio.sleep(0)
    conn.websocket_send(op, data)


CALLBACKS = {
    "names": ("onconnect", "onmsg", "ondisconnect"),
    "functions": (onconnect, onmsg, ondisconnect),
    "module": ("app.onconnect", "app.onmsg", "app.ondisconnect"),
    "object": (None, "chat.onmsg", None),
    "method": (None, chat.onmsg, None),
    "lambda": (None, lambda conn, op, data: conn.websocket_send(op, data), None),
    "async": (None, slowly, None),
    "nobody": (None, None, None),
    "wrong": ("onconect", None, None),
    "wrong-module": (None, "nowhere.onmsg", None),
    "no-function": (None, "notes", None),
    "number": (None, 7, None),
    "other-word": ("onconnect", "on_message", "ondisconnect"),
}


@kore.route("^/by/(.*)$", methods=["get"])
def by(req, name):
    try:
        note(name, req.websocket_handshake(*CALLBACKS[name]))
    except Exception as error:  # noqa: BLE001 - a test reads it
        note(name, type(error).__name__, error)
        req.response(500, str(error))


@kore.route("/terms", methods=["get"])
def terms(req):
    name, _, value = unquote(req.query_string).partition("=")
    try:
        req.websocket_handshake("onconnect", "onmsg", None, **{name: eval(value)})
    except Exception as error:  # noqa: BLE001 - a test reads it
        req.response(500, f"{type(error).__name__}: {error}")


# ---- a connection does what its client says


def commanded(conn, op, data):
    """Evaluate what the client says; *c* is the connection, *others* are named ones."""
    found = eval(data, globals(), {"c": conn, "others": known})
    if found is not None:
        conn.websocket_send(1, str(found))


async def awaited(conn, op, data):
    found = eval(data, globals(), {"c": conn, "others": known})
    found = await found if hasattr(found, "__await__") else found
    if found is not None:
        conn.websocket_send(1, str(found))


def call(function, *args):
    """Return the error of a call as text, or its result."""
    try:
        return function(*args)
    except BaseException as error:  # noqa: BLE001 - a test reads it
        return f"{type(error).__name__}: {error}"


def in_a_thread(function, *args):
    found = []
    thread = threading.Thread(target=lambda: found.append(call(function, *args)))
    thread.start()
    thread.join()
    return found[0]


def fails(error):
    raise error


def named(conn):
    conn.seen = getattr(conn, "seen", 0) + 1
    return conn.seen


def parted(conn):
    note(
        "parted",
        getattr(conn, "name", None),
        conn.close_code,
        conn.close_reason,
        conn.websocket_send(1, "farewell"),
        getattr(conn, "seen", None),
    )


@kore.route("/do", methods=["get"], websocket={"buffer_max": 300_000})
def do(req):
    req.websocket_handshake(None, commanded, parted)


@kore.route("/await", methods=["get"])
def wait(req):
    req.websocket_handshake(None, awaited, parted)


# ---- order


running = []


async def counted(conn, op, data):
    running.append(data)
    assert running == [data], "one at a time"
    await asyncio.sleep(0.001 if int(data) % 3 else 0)
    running.clear()
    conn.websocket_send(op, data)


@kore.route("/counted", methods=["get"])
def count(req):
    req.websocket_handshake(None, counted, None)


gates = {}


async def gated(conn, op, data):
    """Wait until /open; what came meanwhile is then echoed in order."""
    note("holds", data)
    await gates.setdefault("gate", asyncio.Event()).wait()
    conn.websocket_send(op, data[:10])


@kore.route("/gated", methods=["get"])
def hold(req):
    req.websocket_handshake(None, gated, parted)


@kore.route("/open", methods=["get"])
def let_go(req):
    gates.pop("gate").set()
    req.response(200)


# ---- handshakes in odd places


@kore.route("/async", methods=["get"])
async def from_a_coroutine(req):
    await asyncio.sleep(0.01)
    req.websocket_handshake("onconnect", "onmsg", "ondisconnect")
    await asyncio.sleep(0.01)
    note("goes on")


@kore.route("/streamed", methods=["get"], stream=True)
async def streamed(req):
    req.websocket_handshake(None, "onmsg", None)


@kore.route("/twice", methods=["get"])
def twice(req):
    note("first", req.websocket_handshake(None, onmsg, None))
    note("second", call(req.websocket_handshake, None, onmsg, None))
    note("response", call(req.response, 200, b"no"))


@kore.route("/late", methods=["get"])
def late(req):
    req.response(200, b"first")
    note("late", call(req.websocket_handshake, None, onmsg, None))


@kore.route("/fields", methods=["get"])
def fields(req):
    for name, value in (
        ("x-own", "1"),
        ("connection", "close"),
        ("content-length", "5"),
        ("upgrade", "h2c"),
        ("server", "mine"),
        ("sec-websocket-accept", "wrong"),
    ):
        req.response_header(name, value)
    req.websocket_handshake(None, onmsg, None)


@kore.route("/spoils", methods=["get"])
def spoils(req):
    req.websocket_handshake(None, onmsg, None)
    raise ValueError("after the handshake")


@kore.route("^/onconnect/(.*)$", methods=["get"])
def at_once(req, what):
    def opening(conn):
        eval(what.replace("+", " "), globals(), {"c": conn})

    note("opened", req.websocket_handshake(opening, onmsg, parted))


@kore.route("/parting", methods=["get"])
def parting(req):
    def leaving(conn):
        raise ValueError("in ondisconnect")

    req.websocket_handshake(None, commanded, leaving)


async def lingering(conn):
    try:
        await asyncio.sleep(3600)
    finally:
        note("cancelled at the end")


@kore.route("/slow-parting", methods=["get"])
def slow_parting(req):
    req.websocket_handshake(None, onmsg, lingering)


@kore.route("/hello", methods=["get"])
def hello(req):
    req.response(200, b"hello world")


@kore.route("/http", methods=["get"])
def http(req):
    conn = req.connection
    note("http", call(conn.websocket_send, 1, "x"), call(conn.join, "a"), conn.proto, conn.rooms)
    req.response(200, b"hello")


# ---- who takes others along

chained = []
errors = []


def chain_breaks(conn):
    """Each end brings about the next one, while it is under way itself."""
    try:
        for other in chained[:]:
            if other is not conn:
                other.disconnect(4005)
    except BaseException as error:  # noqa: BLE001 - a test reads it
        errors.append(error)


@kore.route("/chain", methods=["get"])
def chain(req):
    req.websocket_handshake(chained.append, lambda c, op, data: c.disconnect(4005), chain_breaks)


@kore.route("/chain-errors", methods=["get"])
def chain_errors(req):
    req.response(200, str(len(errors)))


woken = []


def wakes(conn):
    conn.leave("wake")
    kore.websocket_broadcast(conn, 1, f"{len(woken)} left", group="wake")
    woken.append(conn.fd)
    note("wake", len(woken))


@kore.route("/wake", methods=["get"])
def wake(req):
    req.websocket_handshake(
        lambda c: c.join("wake") and None,
        lambda c, op, data: kore.websocket_broadcast(c, op, data, group="wake") and None,
        wakes,
    )
