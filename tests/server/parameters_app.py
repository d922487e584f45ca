"""Routes that declare parameters, and say what they were given."""

import asyncio
import json

import kore

domain = kore.domain("*", attach="http")
waiting: set[str] = set()


def positive(req: kore.pyhttp_request, value: str) -> bool:
    req.asked = [*getattr(req, "asked", []), value]
    return value.isdecimal() and int(value) > 0


async def known(req: kore.pyhttp_request, value: str) -> bool:
    waiting.add(value)
    try:
        await asyncio.sleep(0.02 if value != "forever" else 60)
    finally:
        waiting.discard(value)
    return value == "ada"


def fails(req: kore.pyhttp_request, value: str) -> bool:
    raise LookupError(value)


def populated(req: kore.pyhttp_request) -> None:
    req.populate_get()
    req.populate_post()
    req.populate_multi()


def arguments(req: kore.pyhttp_request) -> None:
    populated(req)
    first = {name: req.argument(name) for name in req.arguments()}
    req.response(200, json.dumps({"first": first, "all": req.arguments()}))


async def arguments_later(req: kore.pyhttp_request) -> None:
    await asyncio.sleep(0)
    arguments(req)


@kore.route("/", methods=["get"])
def index(req: kore.pyhttp_request) -> None:
    req.response(200, b"hello world")


@kore.route("/head", methods=["get"], get={"id": "^[0-9]+$"})
def head(req: kore.pyhttp_request) -> None:
    req.populate_get()
    req.response_header("x-id", req.argument("id") or "none")
    req.response(200, b"body")


@kore.route("/query", methods=["get"])
def query(req: kore.pyhttp_request) -> None:
    before = req.argument("a"), req.arguments(), req.populate_get()
    req.response(200, json.dumps([req.query_string, req.query, before]))


@kore.route("/waiting", methods=["get"])
def who_waits(req: kore.pyhttp_request) -> None:
    req.response(200, json.dumps(sorted(waiting)))


@kore.route("/asked", methods=["get"], get={"n": positive})
def asked(req: kore.pyhttp_request) -> None:
    req.response(200, json.dumps(req.asked))


NUMBER = "^[[:digit:]]+$"
EVERYTHING = ""
EACH = {"methods": ["get", "post", "put", "delete"], "post": {"v": EVERYTHING, "n": positive}}

domain.route("/sync", arguments, methods=["get"], get={"id": NUMBER, "v": EVERYTHING})
domain.route("/async", arguments_later, methods=["get"], get={"id": NUMBER, "v": EVERYTHING})
domain.route("/form", arguments, put={"v": EVERYTHING}, delete={"v": EVERYTHING}, **EACH)
domain.route("/both", arguments, methods=["post"], qs={"v": NUMBER}, post={"v": EVERYTHING})
domain.route("/user", arguments, methods=["get"], get={"name": known, "id": NUMBER})
domain.route("/user-later", arguments_later, methods=["get"], get={"name": known})
domain.route("/fails", arguments, methods=["get"], get={"v": fails})
domain.route("/needs", arguments, methods=["get"], get={"id": NUMBER}, required=["id"])
domain.route(
    "/strict",
    arguments,
    methods=["get", "post"],
    qs={"id": NUMBER},
    post={"name": known},
    required=["id", "name"],
    strict=True,
)
