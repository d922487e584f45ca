"""The workload as a bare RSGI application: granian."""

import json

DOCUMENT = {"message": "hello world", "number": 42, "flag": True, "items": [1, 2, 3]}
TEXT = [("content-type", "text/plain")]
JSON = [("content-type", "application/json")]


async def plaintext(protocol):
    protocol.response_bytes(200, TEXT, b"hello world")


async def document(protocol):
    protocol.response_bytes(200, JSON, json.dumps(DOCUMENT).encode())


async def echo(protocol):
    protocol.response_bytes(200, TEXT, await protocol())


async def missing(protocol):
    protocol.response_empty(404, [])


ROUTES = {"/": plaintext, "/async": plaintext, "/json": document, "/echo": echo}


async def app(scope, protocol):
    await ROUTES.get(scope.path, missing)(protocol)
