"""The workload on blacksheep; granian serves it."""

import json

from blacksheep import Application, Content, Request, Response, get, post

DOCUMENT = {"message": "hello world", "number": 42, "flag": True, "items": [1, 2, 3]}

app = Application()


@get("/")
def plaintext() -> Response:
    return Response(200, content=Content(b"text/plain", b"hello world"))


@get("/async")
async def asynchronous() -> Response:
    return Response(200, content=Content(b"text/plain", b"hello world"))


@get("/json")
def document() -> Response:
    return Response(200, content=Content(b"application/json", json.dumps(DOCUMENT).encode()))


@post("/echo")
async def echo(request: Request) -> Response:
    return Response(200, content=Content(b"text/plain", await request.read()))
