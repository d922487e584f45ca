"""Routes with hooks, and what these were told; the test serves it with settings in front."""

import asyncio
import hashlib
import json
from collections import Counter

import kore

domain = kore.domain("*", attach="http")
seen = []
freed = Counter()
gate = asyncio.Event()


@kore.route("/", methods=["get"])
def index(req):
    req.response(200, b"hello world")


@kore.route("/seen", methods=["get"])
def what_was_seen(req):
    req.response(200, json.dumps(seen))
    seen.clear()


@kore.route("^/freed/(.*)$", methods=["get"])
def what_was_freed(req, name):
    req.response(200, str(freed.pop(name, 0)))


# ---- on_headers


def judge(req):
    req.kind = req.request_header("x-kind")
    seen.append(["headers", req.kind, req.body.decode()])
    if req.kind == "answers":
        req.response(403, b"not you")
    elif req.kind == "false":
        return False
    elif req.kind == "error":
        return kore.RESULT_ERROR
    elif req.kind == "answers and false":
        req.response(402)
        return False
    elif req.kind == "true":
        return True
    elif req.kind == "ok":
        return kore.RESULT_OK
    elif req.kind == "raises":
        raise ValueError("judged")
    return None


def open_body(req, *piece):
    req.open_body(200)
    req.write_body(b"x")
    return True


@kore.route("/opens/headers", methods=["get", "post"], hooks={"on_headers": open_body})
@kore.route("/opens/chunk", methods=["post"], hooks={"on_body_chunk": open_body})
def opened(req):
    seen.append("a handler behind a hook that answered")


async def judge_later(req):
    await asyncio.sleep(0.01)
    return judge(req)


async def judge_at_once(req):
    return judge(req)


def told(req):
    assert req.kind == req.request_header("x-kind")
    seen.append(["handler", req.kind, req.body.decode()])
    req.response(200, req.body)


async def told_later(req):
    await asyncio.sleep(0)
    told(req)


async def streamed(req):
    req.response(200, b"".join([piece async for piece in req.chunks()]))


for name, hook in [("now", judge), ("later", judge_later), ("at-once", judge_at_once)]:
    domain.route(f"/{name}", told, hooks={"on_headers": hook})
    domain.route(f"/{name}/later", told_later, hooks={"on_headers": hook})
    domain.route(f"/{name}/stream", streamed, hooks={"on_headers": hook}, stream=True)


async def never(req):
    seen.append("begun")
    try:
        await gate.wait()
    except asyncio.CancelledError:
        seen.append("cancelled")
        raise


domain.route("/never", told, hooks={"on_headers": never})


@kore.prerequest
def second(req):
    if req.path == "/order":
        seen.append("prerequest")


def verify(req):
    seen.append("auth")
    return True


@kore.route(
    "/order",
    hooks={
        "on_headers": lambda req: seen.append("headers"),
        "on_body_chunk": lambda req, data: not seen.append("chunk"),
        "on_free": lambda req: seen.append("free"),
    },
    auth={"type": "request", "verify": verify},
)
def order(req):
    seen.append("handler")
    req.response(200)


# ---- on_body_chunk


def count(req, data):
    assert type(data) is bytes
    assert data
    req.sizes = [*getattr(req, "sizes", []), len(data)]
    req.digest = getattr(req, "digest", None) or hashlib.sha256()
    req.digest.update(data)
    return True


async def count_later(req, data):
    req.inside = getattr(req, "inside", 0) + 1
    assert req.inside == 1
    await asyncio.sleep(0.001)
    req.inside -= 1
    return count(req, data)


def counted(req):
    if not hasattr(req, "sizes"):
        req.response(200, b"nothing")
        return
    req.response(200, json.dumps([sum(req.sizes), max(req.sizes), req.digest.hexdigest()]))


domain.route("/chunks", counted, hooks={"on_body_chunk": count}, body_max="100m")
domain.route("/chunks/later", counted, hooks={"on_body_chunk": count_later}, body_max="100m")


def picky(req, data):
    word = data.decode().strip("x")
    if word == "raise":
        raise ValueError("picky")
    if word == "answer":
        req.response(422, b"no")
    return {"ok": True, "one": 1, "false": False, "none": None, "text": "yes"}.get(word)


async def picky_later(req, data):
    await asyncio.sleep(0)
    return picky(req, data)


domain.route("/picky", counted, hooks={"on_body_chunk": picky})
domain.route("/picky/later", counted, hooks={"on_body_chunk": picky_later})


@kore.route("/unkept", hooks={"on_body_chunk": count})
def unkept(req):
    try:
        req.response(200, req.body)
    except RuntimeError as error:
        req.response(200, str(error))


# ---- on_free


def free(req):
    freed[req.path[1:]] += 1


async def free_later(req):
    await asyncio.sleep(0.01)
    freed[req.path[1:]] += 1


def ends(path, hook=free, **more):
    return kore.route(path, hooks={"on_free": hook, **more.pop("hooks", {})}, **more)


@ends("/plain")
@ends("/async-free", free_later)
@ends("/let-go", free_later)
def plain(req):
    req.response(200, req.body)


@ends("/slow")
async def slow(req):
    seen.append("slow")
    await asyncio.sleep(30)


@ends("/goes-on")
async def goes_on(req):
    req.response(200)
    await asyncio.sleep(0.02)
    seen.append(freed["goes-on"])


@ends("/raises")
def raises(req):
    raise ValueError("raised")


@ends("/silent")
def silent(req):
    pass


@ends("/breaks")
def breaks(req):
    def pieces():
        yield b"a"
        raise ValueError("broken")

    req.response(200, pieces())


@ends("/stream", stream=True)
async def stream(req):
    req.response(200, b"".join([piece async for piece in req.chunks()]))


@ends("/refused", hooks={"on_headers": lambda req: req.response(403)})
def refused(req):
    req.response(200)


@ends("/tiny", body_max=3)
def tiny(req):
    req.response(200)


def broken(req):
    freed[req.path[1:]] += 1
    raise ValueError("in on_free")


async def broken_later(req):
    await asyncio.sleep(0)
    broken(req)


domain.route("/broken", plain, hooks={"on_free": broken})
domain.route("/broken-later", plain, hooks={"on_free": broken_later})
