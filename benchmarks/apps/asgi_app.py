"""The workload as a bare ASGI application: granian, uvicorn, fastpysgi."""

import json

DOCUMENT = {"message": "hello world", "number": 42, "flag": True, "items": [1, 2, 3]}
NOTHING = [(b"content-length", b"0")]
TEXT = [(b"content-type", b"text/plain"), (b"content-length", b"11")]
HELLO = {"type": "http.response.body", "body": b"hello world"}


async def plaintext(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": TEXT})
    await send(HELLO)


async def answer(send, body, media):
    headers = [(b"content-type", media), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def document(scope, receive, send):
    await answer(send, json.dumps(DOCUMENT).encode(), b"application/json")


async def echo(scope, receive, send):
    message = await receive()
    # A memoryview from fastpysgi, which cannot send it back; of bytes this is no copy.
    body = bytes(message.get("body", b""))
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    await answer(send, body, b"text/plain")


async def missing(scope, receive, send):
    await send({"type": "http.response.start", "status": 404, "headers": NOTHING})
    await send({"type": "http.response.body", "body": b""})


ROUTES = {"/": plaintext, "/async": plaintext, "/json": document, "/echo": echo}


async def app(scope, receive, send):
    if scope["type"] == "http":
        await ROUTES.get(scope["path"], missing)(scope, receive, send)
