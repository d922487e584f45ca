"""Handlers that read a body as it comes; the test serves it with settings in front."""

import asyncio
import hashlib
import json

import kore

domain = kore.domain("*", attach="http")
seen = []
gate = asyncio.Event()


def stream(path, **keywords):
    return kore.route(path, methods=["post", "get"], stream=True, **{"body_max": "2g", **keywords})


@kore.route("/", methods=["get"])
def index(req):
    req.response(200, b"hello world")


@kore.route("/seen", methods=["get"])
def what_was_seen(req):
    req.response(200, json.dumps(seen))
    seen.clear()


@stream("/echo")
async def echo(req):
    req.response(200, b"".join([piece async for piece in req.chunks()]))


@stream("/mirror")
def mirror(req):
    req.response(200, req.chunks())


@stream("/digest")
async def digest(req):
    found = hashlib.sha256()
    async for piece in req.chunks():
        found.update(piece)
    req.response(200, found.hexdigest())


@stream("/sizes")
async def sizes(req):
    sizes = [len(piece) async for piece in req.chunks()]
    req.response(200, json.dumps([sum(sizes), max(sizes, default=0)]))


@stream("/watched", body_max=100_000)
async def watched(req):
    try:
        async for piece in req.chunks():
            seen.append(len(piece))  # noqa: PERF401 - each when it comes
        seen.append("whole")
    except asyncio.CancelledError:
        seen.append("cancelled")
        raise
    req.response(200)


@stream("/wait")
async def wait(req):
    seen.append("waiting")
    gate.clear()
    await gate.wait()
    seen.append(sum([len(piece) async for piece in req.chunks()]))
    req.response(200)


@kore.route("/open", methods=["get"])
def open_the_gate(req):
    gate.set()
    req.response(200)


@stream("/early")
async def early(req):
    req.response(403, b"no")


@stream("/late-no")
async def late_no(req):
    async for _piece in req.chunks():
        req.response(403, b"no")
        break


@stream("/first")
async def first(req):
    req.response(200, await anext(req.chunks()))


@stream("/fails")
async def fails(req):
    async for _piece in req.chunks():
        raise ValueError("boom")


@stream("/nothing")
async def nothing(req):
    pass


@stream("/after")
async def after(req):
    req.response(200)
    try:
        async for _piece in req.chunks():
            pass
        seen.append("whole")
    except RuntimeError as error:
        seen.append(str(error))


@stream("/twice")
async def twice(req):
    async def read():
        return [piece async for piece in req.chunks()]

    both = asyncio.gather(read(), read(), return_exceptions=True)
    asyncio.get_running_loop().call_soon(seen.append, "both have begun")
    said = [str(one) for one in await both if isinstance(one, Exception)]
    req.response(200, json.dumps(said))


@stream("/whole")
async def whole(req):
    said = []
    for ask in (
        lambda: req.body,
        lambda: req.body_read(10),
        lambda: req.body_path,
        lambda: req.body_digest,
        lambda: req.populate_multi(),
    ):
        try:
            ask()
        except RuntimeError as error:
            said.append(str(error))
    req.response(200, json.dumps(said))


@kore.route("/not-one", methods=["post"])
async def not_one(req):
    req.chunks()
