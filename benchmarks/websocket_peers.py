"""The servers that speak WebSocket, and what they are asked: two tables."""

from peers import Peer
from websocket_load import Work

# Binary messages, so that nobody has to look into them. Compressed by nobody.
ECHO = "echo-125"
ECHO_LARGE = "echo-16k"
BROADCAST = "broadcast"
BROADCAST_TWO = "broadcast-2"
IDLE = "idle"

WORKS = {
    each.name: each
    for each in (
        Work(ECHO, "125 B echoed, 64 connections", "echo", 64, 125),
        Work(ECHO_LARGE, "16 KiB echoed, 64 connections", "echo", 64, 16384),
        Work(BROADCAST, "125 B to 1,000 clients", "broadcast", 1000, 125, "/broadcast"),
        Work(
            BROADCAST_TWO, "125 B to 1,000 clients of two workers",
            "broadcast", 1000, 125, "/broadcast", workers=2,
        ),
        Work(IDLE, "10,000 silent WebSockets", "idle", 10_000, 125),
    )
}  # fmt: skip
ALONE = (ECHO, ECHO_LARGE, BROADCAST, IDLE)

PROBE = (
    b"GET /echo HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
SWITCHES = b"HTTP/1.1 101"

GRANIAN = (
    "{bin}/granian --host 127.0.0.1 --port {port} --workers 1 --runtime-threads 1 "
    "--runtime-mode st --loop uvloop --http 1 --ws --backlog 4096 --backpressure 20000 "
    "--log-level warning --no-access-log"
)
UVICORN = (
    "{bin}/uvicorn --host 127.0.0.1 --port {port} --loop uvloop --http httptools "
    "--ws-per-message-deflate false --ws-ping-interval 3600 --lifespan off --no-access-log "
    "--log-level error --backlog 4096 websocket_asgi_app:app --ws"
)


def speaking(
    name: str,
    title: str,
    command: str,
    needs: tuple[str, ...] = (),
    serves: tuple[str, ...] = ALONE,
) -> Peer:
    """Make a peer that is ready when it answers a handshake."""
    ours = name in {"kore", "floor"}
    return Peer(name, title, command, needs, serves, ours=ours, probe=PROBE, welcome=SWITCHES)


def uvicorn(kind: str, *needs: str) -> Peer:
    """Make a peer of one of uvicorn's three implementations."""
    every = ("uvicorn", "uvloop", "httptools", *needs)
    return speaking(f"uvicorn-{kind}", f"uvicorn ({kind})", f"{UVICORN} {kind}", every)


PEERS = {
    each.name: each
    for each in (
        speaking("floor", "floor: bare uvloop", "{bin}/python websocket_floor_app.py"),
        speaking(
            "kore", "kore", "{bin}/kore -q websocket_kore_app.py", serves=(*ALONE, BROADCAST_TWO)
        ),
        speaking(
            "picows", "picows", "{bin}/python websocket_picows_app.py", ("picows", "uvloop")
        ),
        speaking(
            "socketify", "socketify", "{bin}/python websocket_socketify_app.py", ("socketify",)
        ),
        speaking(
            "websockets", "websockets", "{bin}/python websocket_websockets_app.py",
            ("websockets", "uvloop"),
        ),
        speaking(
            "aiohttp", "aiohttp", "{bin}/python websocket_aiohttp_app.py", ("aiohttp", "uvloop")
        ),
        speaking(
            "granian-rsgi", "granian (RSGI)",
            f"{GRANIAN} --interface rsgi websocket_rsgi_app:app", ("granian", "uvloop"),
        ),
        speaking(
            "granian-asgi", "granian (ASGI)",
            f"{GRANIAN} --interface asginl websocket_asgi_app:app", ("granian", "uvloop"),
        ),
        uvicorn("websockets", "websockets"),
        uvicorn("websockets-sansio", "websockets"),
        uvicorn("wsproto", "wsproto"),
    )
}  # fmt: skip
