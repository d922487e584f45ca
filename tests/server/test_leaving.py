"""Handlers and streams whose client has left end within a moment."""

import contextlib
import itertools

import pytest

from tests.helpers.build import get, request
from tests.helpers.fix_serve import Launcher, Server
from tests.helpers.procs import until
from tests.helpers.raw_client import Mark

APP = """
    import asyncio
    kore.domain("*", attach="http")
    open_ = set()

    async def quiet(name):
        open_.add(name)
        try:
            yield b"first"
            await asyncio.Event().wait()
        finally:
            open_.discard(name)

    async def empty(name):
        open_.add(name)
        try:
            while True:
                yield b""
                await asyncio.sleep(0.01)
        finally:
            open_.discard(name)

    @kore.route("^/quiet/(.)$", methods=["get"])
    def stream(req, name):
        req.response(200, quiet(name))

    @kore.route("^/empty/(.)$", methods=["get"])
    def nothing(req, name):
        req.response(200, empty(name))

    @kore.route("^/handler/(.)$", methods=["get"])
    async def handler(req, name):
        open_.add(name)
        try:
            await asyncio.Event().wait()
        finally:
            open_.discard(name)

    @kore.route("/open", methods=["get"])
    def still(req):
        req.response(200, " ".join(sorted(open_)))

    @kore.route("/later", methods=["get"])
    async def later(req):
        await asyncio.sleep(1.8)
        req.response(200, b"later")
"""


@pytest.fixture(scope="module")
def app(serve_module: Launcher, loop: str) -> Server:
    settings = {"http_half_closed_timeout": 1, "worker_max_connections": 8}
    return serve_module(APP, loop=loop, settings=settings)


def open_names(app: Server) -> list[str]:
    """Return for whom something is running."""
    with app.connect() as client:
        return client.ask(get("/open")).body.decode().split()


def test_handlers_of_disconnected_clients_are_cancelled_and_others_answered(
    app: Server,
) -> None:
    kinds = itertools.product(["/quiet/", "/empty/", "/handler/"], ["1.0", "1.1"])
    asked = {str(n): kind for n, kind in enumerate(kinds)}
    clients = [app.connect() for _ in asked]
    for client, (name, (path, version)) in zip(clients, asked.items(), strict=True):
        client.send(request("GET", path + name, version=f"HTTP/{version}"))
    until(lambda: open_names(app) == sorted(asked), what="all of them")
    with app.connect() as patient:
        patient.send(get("/later"), Mark.HALF_CLOSE)
        for client in clients:
            client.socket.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.socket.recv(4096)  # or closing were a reset
            client.close()

        assert patient.answer().body == b"later"
    until(lambda: open_names(app) == [], what="the end of all of them")
