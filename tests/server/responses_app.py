"""One route for each kind of answer an application can give."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator

import kore

domain = kore.domain("*", attach="http")
seen = {"pulled": 0, "closed": 0}


def items(*values: object) -> Iterator[object]:
    yield from values


async def later(*values: object) -> AsyncIterator[object]:
    for value in values:
        await asyncio.sleep(0.001)
        yield value


def failing(*values: object) -> Iterator[object]:
    yield from values
    raise LookupError("no more items")


async def failing_later(*values: object) -> AsyncIterator[object]:
    for value in values:
        await asyncio.sleep(0)
        yield value
    raise LookupError("no more items")


BODIES: dict[str, Callable[[], object]] = {
    "bytes": lambda: b"some bytes",
    "bytearray": lambda: bytearray(b"some bytes"),
    "memoryview": lambda: memoryview(b"<some bytes>")[1:-1],
    "str": lambda: "h\xe9llo",
    "none": lambda: None,
    "empty-bytes": lambda: b"",
    "empty-str": lambda: "",
    "list": lambda: ["a", b"bc", "\xe9"],
    "tuple": lambda: (b"a", b"bc", "\xe9"),
    "generator": lambda: items("a", b"bc", "\xe9"),
    "buffers": lambda: items(bytearray(b"a"), memoryview(b"bc"), "\xe9"),
    "async-generator": lambda: later("a", b"bc", "\xe9"),
    "empty-items": lambda: items("", "a", b"", b"bc", bytearray(), "\xe9", ""),
    "async-empty-items": lambda: later("", "a", b"", b"bc", bytearray(), "\xe9", ""),
    "empty-list": list,
    "empty-generator": lambda: items(),
    "empty-async-generator": lambda: later(),
    "only-empty": lambda: ["", b""],
    "large": lambda: bytes(range(256)) * 80_000,
    "large-view": lambda: memoryview(bytes(range(256)) * 80_000),
    "large-items": lambda: (bytes(range(256)) * 1000 for _ in range(80)),
    "number": lambda: 42,
    "bad-item": lambda: items("a", 42),
    "bad-first-item": lambda: items(42),
    "bad-first-item-async": lambda: later(42),
    "bad-first-text-async": lambda: later("\udc80"),
    "fails-first": lambda: failing(),
    "fails-later": lambda: failing("a", "b"),
    "fails-first-async": lambda: failing_later(),
    "fails-later-async": lambda: failing_later("a", "b"),
}


@kore.route("^/body/([a-z-]+)$", methods=["get"])
def body(req: kore.pyhttp_request, name: str) -> None:
    req.response(200, BODIES[name]())


@kore.route("^/async-body/([a-z-]+)$", methods=["get"])
async def async_body(req: kore.pyhttp_request, name: str) -> None:
    await asyncio.sleep(0)
    req.response(200, BODIES[name]())


@kore.route("^/status/(-?[0-9]+)/([a-z-]+)$", methods=["get"])
def status(req: kore.pyhttp_request, code: str, name: str) -> None:
    req.response(int(code), BODIES[name]())


@kore.route("/twice", methods=["get"])
def twice(req: kore.pyhttp_request) -> None:
    req.response(200, b"first")
    req.response(200, b"second")


@kore.route("/twice-async", methods=["get"])
async def twice_async(req: kore.pyhttp_request) -> None:
    await asyncio.sleep(0)
    req.response(200, b"first")
    await asyncio.sleep(0)
    req.response(200, b"second")


@kore.route("/fails-after", methods=["get"])
def fails_after(req: kore.pyhttp_request) -> None:
    req.response(200, b"first")
    raise LookupError("too late")


@kore.route("/silent", methods=["get"])
def silent(req: kore.pyhttp_request) -> None:
    pass


@kore.route("/silent-async", methods=["get"])
async def silent_async(req: kore.pyhttp_request) -> None:
    await asyncio.sleep(0)


@kore.route("/fields", methods=["post"])
def fields(req: kore.pyhttp_request) -> None:
    for name, value in json.loads(req.body):
        req.response_header(name, value)
    req.response(200, b"fields")


@kore.route("/changed-later", methods=["get"])
def changed_later(req: kore.pyhttp_request) -> None:
    data = bytearray(b"before" * 1_000_000)
    req.response(200, data)
    data[:] = b"after!" * 1_000_000


@kore.route("/hints", methods=["get"])
async def hints(req: kore.pyhttp_request) -> None:
    req.response_header("link", "</style.css>; rel=preload")
    req.response(103)
    await asyncio.sleep(0.01)
    req.response_header("x-final", "yes")
    req.response(200, b"final")


@kore.route("/attributes", methods=["get"])
async def attributes(req: kore.pyhttp_request) -> None:
    req.user = "joe"
    await asyncio.sleep(0)
    try:
        found = req.other
    except AttributeError:
        found = "nothing"
    req.response(200, f"{req.user} {found}")


def endless() -> Iterator[bytes]:
    try:
        while True:
            seen["pulled"] += 1
            yield bytes(16384)
    finally:
        seen["closed"] += 1


async def endless_later() -> AsyncIterator[bytes]:
    for piece in endless():
        await asyncio.sleep(0)
        yield piece


@kore.route("/endless", methods=["get"])
def serve_endless(req: kore.pyhttp_request) -> None:
    req.response(200, endless())


@kore.route("/endless-async", methods=["get"])
def serve_endless_later(req: kore.pyhttp_request) -> None:
    req.response(200, endless_later())


@kore.route("/state", methods=["get"])
def state(req: kore.pyhttp_request) -> None:
    req.response(200, json.dumps(seen))
