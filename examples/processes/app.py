"""Processes that a handler talks to: `kore examples/processes/app.py`."""

import os

import kore

kore.config.workers = 1
kore.server(ip="127.0.0.1", port=os.environ.get("PORT", "8888"), tls=False)
kore.domain("*")


@kore.route("/sort", methods=["post"])
async def sort(req):
    proc = kore.proc("sort", 2000, env=["LC_ALL=C"])
    try:
        await proc.send(req.body)
        proc.close_stdin()
        lines = b""
        while (data := await proc.recv(8192)) is not None:
            lines += data
        req.response(200 if await proc.reap() == 0 else 500, lines)
    except TimeoutError:
        proc.kill()
        req.response(504, b"sort took too long\n")


@kore.route("/slow", methods=["get"])
async def slow(req):
    proc = kore.proc("sleep 60", 50)
    try:
        await proc.reap()
    except TimeoutError as error:
        proc.kill()
        req.response(504, f"{error}, status {await proc.reap()}\n")
