"""The workload on sanic, over uvloop."""

import json
import os
import re

from sanic import Sanic
from sanic.response import raw

DOCUMENT = {"message": "hello world", "number": 42, "flag": True, "items": [1, 2, 3]}
RULES = {"id": re.compile("[0-9]+"), "name": re.compile("[a-z]+"), "flag": re.compile("yes|no")}

app = Sanic("bench")
app.config.REQUEST_MAX_SIZE = 16 << 20
app.static("/static", os.environ["STATIC"])


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


@app.get("/parameters")
def parameters(request):
    given = request.args
    if not all(rule.fullmatch(given.get(name, "")) for name, rule in RULES.items()):
        return raw(b"", status=400)
    text = f"{given.get('id')} {given.get('name')} {given.get('flag')}"
    return raw(text.encode(), content_type="text/plain")


@app.post("/upload")
def upload(request):
    return raw(str(len(request.files["file"][0].body)).encode(), content_type="text/plain")


if __name__ == "__main__":
    app.run(
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        single_process=True,
        access_log=False,
        motd=False,
    )
