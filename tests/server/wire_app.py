"""What the raw cases talk to: a greeting, and an echo for the methods that carry a body."""

import kore

domain = kore.domain("*", attach="http")


@kore.route("/", methods=["get"])
def index(req: kore.pyhttp_request) -> None:
    req.response(200, b"hello world")


@kore.route("/echo", methods=["post", "put", "patch", "delete"])
def echo(req: kore.pyhttp_request) -> None:
    req.response(200, req.body)
