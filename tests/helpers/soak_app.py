"""What the crowd visits."""

import asyncio
from collections.abc import AsyncIterator

import kore

domain = kore.domain("*", attach="http")


@kore.route("/", methods=["get"])
def index(req: kore.pyhttp_request) -> None:
    req.response(200, b"hello world")


@kore.route("/echo", methods=["post"])
def echo(req: kore.pyhttp_request) -> None:
    req.response(200, req.body)


@kore.route("/slow", methods=["get"])
async def slow(req: kore.pyhttp_request) -> None:
    await asyncio.sleep(0.01)
    req.response(200, b"slow")


@kore.route("/large", methods=["get"])
def large(req: kore.pyhttp_request) -> None:
    req.response(200, bytes(1 << 20))


@kore.route("/pieces", methods=["get"])
def pieces(req: kore.pyhttp_request) -> None:
    req.response(200, ("piece" for _ in range(20)))


@kore.route("/endless", methods=["get"])
def endless(req: kore.pyhttp_request) -> None:
    req.response(200, iter(lambda: bytes(10_000), None))


async def forever() -> AsyncIterator[bytes]:
    while True:
        await asyncio.sleep(0.001)
        yield bytes(10_000)


@kore.route("/endless-async", methods=["get"])
def endless_later(req: kore.pyhttp_request) -> None:
    req.response(200, forever())


@kore.route("/never", methods=["get"])
async def never(req: kore.pyhttp_request) -> None:
    await asyncio.sleep(3600)
