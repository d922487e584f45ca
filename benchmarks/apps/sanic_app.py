"""The workload on sanic, over uvloop."""

import json
import os

from sanic import Sanic
from sanic.response import raw

DOCUMENT = {"message": "hello world", "number": 42, "flag": True, "items": [1, 2, 3]}

app = Sanic("bench")


@app.get("/")
def plaintext(request):
    return raw(b"hello world", content_type="text/plain")


@app.get("/async")
async def asynchronous(request):
    return raw(b"hello world", content_type="text/plain")


@app.get("/json")
def document(request):
    return raw(json.dumps(DOCUMENT).encode(), content_type="application/json")


@app.post("/echo")
def echo(request):
    return raw(request.body, content_type="text/plain")


if __name__ == "__main__":
    app.run(
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        single_process=True,
        access_log=False,
        motd=False,
    )
