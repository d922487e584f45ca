"""The workload on socketify."""

import json
import os

from socketify import App, AppListenOptions

DOCUMENT = {"message": "hello world", "number": 42, "flag": True, "items": [1, 2, 3]}


def plaintext(res, req):
    res.end(b"hello world")


async def asynchronous(res, req):
    res.end(b"hello world")


def document(res, req):
    res.write_header("content-type", "application/json")
    res.end(json.dumps(DOCUMENT).encode())


def echo(res, req):
    parts = []

    def more(res, chunk, is_end):
        parts.append(chunk)
        if is_end:
            res.end(b"".join(parts))

    res.on_data(more)


app = App()
app.get("/", plaintext)
app.get("/async", asynchronous)
app.get("/json", document)
app.post("/echo", echo)
app.listen(AppListenOptions(port=int(os.environ["PORT"]), host="127.0.0.1"))
app.run()
