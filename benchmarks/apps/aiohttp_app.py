"""The workload on aiohttp, over uvloop."""

import asyncio
import json
import os
import re

import uvloop
from aiohttp import web

DOCUMENT = {"message": "hello world", "number": 42, "flag": True, "items": [1, 2, 3]}
RULES = {"id": re.compile("[0-9]+"), "name": re.compile("[a-z]+"), "flag": re.compile("yes|no")}


async def plaintext(request):
    return web.Response(body=b"hello world")


async def document(request):
    return web.Response(body=json.dumps(DOCUMENT).encode(), content_type="application/json")


async def echo(request):
    return web.Response(body=await request.read())


async def parameters(request):
    given = request.query
    if not all(rule.fullmatch(given.get(name, "")) for name, rule in RULES.items()):
        return web.Response(status=400)
    return web.Response(body=f"{given['id']} {given['name']} {given['flag']}".encode())


async def upload(request):
    form = await request.post()
    return web.Response(body=str(len(form["file"].file.read())).encode())


async def main():
    app = web.Application(client_max_size=16 << 20)
    app.router.add_get("/", plaintext)
    app.router.add_get("/async", plaintext)
    app.router.add_get("/json", document)
    app.router.add_post("/echo", echo)
    app.router.add_get("/parameters", parameters)
    app.router.add_post("/upload", upload)
    app.router.add_static("/static", os.environ["STATIC"])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(os.environ["PORT"]), backlog=4096).start()
    await asyncio.Event().wait()


uvloop.run(main())
