"""The servers of a run: a table, and what a command line adds to it."""

import shlex
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
APPS = HERE / "apps"
LOADS = ("plaintext", "pipelined", "async", "json", "echo")
EVERYTHING = (*LOADS, "idle", "start")
# What servers do that are frameworks, too.
FORMS = ("parameters", "upload")
FILES = ("static4k", "static10m")

GRANIAN = (
    "{bin}/granian --host 127.0.0.1 --port {port} --workers 1 --runtime-threads 1 "
    "--runtime-mode st --loop uvloop --http 1 --no-ws --backlog 4096 --backpressure 20000 "
    "--log-level warning --static-path-mount ../.static --static-path-route /static"
)
UVICORN = (
    "{bin}/uvicorn --host 127.0.0.1 --port {port} --loop uvloop --http httptools --ws none "
    "--lifespan off --no-access-log --log-level warning --timeout-keep-alive 75 --backlog 4096"
)


@dataclass(frozen=True, slots=True)
class Peer:
    """A server: what it needs, how it starts, what it can be asked."""

    name: str
    title: str
    command: str  # {port}, and {bin}: the directory of the interpreter's programs
    needs: tuple[str, ...] = ()  # of requirements.txt
    serves: tuple[str, ...] = EVERYTHING
    directory: Path = APPS
    ours: bool = False  # runs in the environment kore is installed in
    scheme: str = "http"
    # How to know that it serves: what to ask, and how the answer begins.
    probe: bytes = b"GET / HTTP/1.1\r\nhost: bench\r\n\r\n"
    welcome: bytes = b"HTTP/1.1 200"


KORE = Peer(
    "kore",
    "kore",
    "{bin}/kore -q kore_app.py",
    serves=(*EVERYTHING, *FORMS, *FILES, "accesslog", "worker", "reload"),
    ours=True,
)
# The floor answers everything with the same bytes: no other answer would be right.
FLOOR = Peer(
    "floor",
    "floor: bare uvloop",
    "{bin}/python floor_app.py",
    serves=("plaintext", "pipelined", "async", "idle", "start"),
    ours=True,
)
# WSGI knows no async handler.
WITHOUT_ASYNC = tuple(name for name in EVERYTHING if name != "async")

PEERS = {
    each.name: each
    for each in (
        FLOOR,
        KORE,
        Peer(
            "granian-rsgi",
            "granian (RSGI)",
            f"{GRANIAN} --interface rsgi rsgi_app:app",
            ("granian", "uvloop"),
            (*EVERYTHING, *FILES),
        ),
        Peer(
            "granian-asgi",
            "granian (ASGI)",
            f"{GRANIAN} --interface asginl asgi_app:app",
            ("granian", "uvloop"),
        ),
        Peer(
            "uvicorn",
            "uvicorn (uvloop, httptools)",
            f"{UVICORN} asgi_app:app",
            ("uvicorn", "uvloop", "httptools"),
        ),
        Peer(
            "fastpysgi-wsgi",
            "fastpysgi (WSGI)",
            "{bin}/python fastpysgi_app.py wsgi",
            ("fastpysgi",),
            WITHOUT_ASYNC,
        ),
        Peer(
            "fastpysgi-asgi",
            "fastpysgi (ASGI)",
            "{bin}/python fastpysgi_app.py asgi",
            ("fastpysgi",),
        ),
        Peer("socketify", "socketify", "{bin}/python socketify_app.py", ("socketify",)),
        Peer(
            "blacksheep",
            "blacksheep on granian",
            f"{GRANIAN} --interface asgi blacksheep_app:app",
            ("blacksheep", "granian", "uvloop"),
        ),
        Peer(
            "starlette",
            "starlette on uvicorn",
            f"{UVICORN} starlette_app:app",
            ("starlette", "python-multipart", "uvicorn", "uvloop", "httptools"),
            (*EVERYTHING, *FORMS, *FILES),
        ),
        Peer(
            "aiohttp",
            "aiohttp (uvloop)",
            "{bin}/python aiohttp_app.py",
            ("aiohttp", "uvloop"),
            (*EVERYTHING, *FORMS, *FILES),
        ),
        Peer(
            "sanic",
            "sanic (uvloop)",
            "{bin}/python sanic_app.py",
            ("sanic", "uvloop"),
            (*EVERYTHING, *FORMS, *FILES),
        ),
        Peer("nginx", "nginx", "{bin}/python nginx_app.py", serves=FILES),
        Peer(
            "nginx-cached",
            "nginx, open_file_cache",
            "{bin}/python nginx_app.py cached",
            serves=FILES,
        ),
        Peer(
            "nginx-nopush",
            "nginx, tcp_nopush",
            "{bin}/python nginx_app.py nopush",
            serves=FILES,
        ),
    )
}


def named_by(option: str) -> Peer:
    """Make a peer of `NAME=command with {port}`; PORT is in its environment too."""
    name, found, command = option.partition("=")
    if not found or not name or not command:
        raise ValueError(f"--peer {option!r}: expected NAME='command with {{port}}'")
    return Peer(name, name, command, directory=Path.cwd())


def argv(peer: Peer, port: int, bin_directory: Path) -> list[str]:
    """Return the command of *peer*, word by word."""
    return shlex.split(peer.command.format(port=port, bin=shlex.quote(str(bin_directory))))
