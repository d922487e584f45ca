"""An application that both servers run: it says what it was given."""

import json
from collections.abc import Callable

import kore

domain = kore.domain("*", attach="http")


def report(req: kore.pyhttp_request, *captures: str) -> None:
    req.response(
        200,
        json.dumps(
            {
                "captures": captures,
                "path": req.path,
                "host": req.host,
                "method": req.method,
                "body": req.body.decode("latin-1"),
                "headers": req.headers(),
                "one": req.request_header("x-one"),
                "none": req.request_header("x-none"),
                "addr": req.connection.addr,
            }
        ).encode(),
    )


def say(text: object) -> Callable[..., None]:
    def handler(req: kore.pyhttp_request, *captures: str) -> None:
        req.response(200, text)

    return handler


def fields(req: kore.pyhttp_request) -> None:
    req.response_header("X-First", "1")
    req.response_header("x-second", "2")
    req.response_header("x-first", "3")
    req.response(201, b"fields")


def fails(req: kore.pyhttp_request) -> None:
    raise LookupError("on purpose")


async def later(req: kore.pyhttp_request) -> None:
    req.response(200, b"later")


def status(req: kore.pyhttp_request, number: str) -> None:
    req.response(int(number), None)


def arguments(req: kore.pyhttp_request) -> None:
    req.populate_get()
    req.populate_post()
    req.populate_cookies()
    names = ("id", "name", "other")
    found = {name: req.argument(name) for name in names}
    req.response(200, json.dumps(found | {"cookie": req.cookie("c")}).encode())


def secret(req: kore.pyhttp_request, value: str) -> bool:
    return value == "secret"


def pieces(req: kore.pyhttp_request) -> None:
    read = [req.body_read(3), req.body_read(1024), req.body_read(1024)]
    req.response(200, repr([read, req.body, req.body_read(1)]).encode())


RULES = {"id": "^[0-9]+$", "name": "^.+$"}
KEY = {"type": "header", "value": "x-key", "verify": secret}

domain.redirect("^/moved/(.*)$", 301, "https://h.test/$1?$qs")
domain.route("/arguments", arguments, methods=["get", "post"], get=RULES, post=RULES)
domain.route("/pieces", pieces, methods=["post"])
domain.route("/key", say(b"let in"), methods=["get"], auth=KEY)
domain.route("/login", say(b"let in"), methods=["get"], auth={**KEY, "redirect": "/to"})
domain.route("/", say(b"hello world"), methods=["get"])
domain.route("/report", report)
domain.route("^/user/([a-z]+)/([0-9]+)$", report, methods=["get"])
domain.route("^/maybe/(a)?(b)?/c$", report, methods=["get"])
domain.route("^/class/([[:alpha:]]+)$", report, methods=["get"])
domain.route("^/status/([0-9]+)$", status, methods=["get"])
domain.route("anywhere", say(b"unanchored"), methods=["get"])
domain.route("/both", say(b"both get"), methods=["get"])
domain.route("/both", say(b"both post"), methods=["post"])
domain.route("/order", say(b"literal"), methods=["get"])
domain.route("^/order", say(b"regex"), methods=["get"])
domain.route("/none", say(None), methods=["get"])
domain.route("/list", say(["one", "two", "three"]), methods=["get"])
domain.route("/fields", fields, methods=["get"])
domain.route("/fails", fails, methods=["get"])
domain.route("/later", later, methods=["get"])
