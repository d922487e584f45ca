"""The workload on aiohttp, over uvloop."""

import asyncio
import json
import os

import uvloop
from aiohttp import web

DOCUMENT = {"message": "hello world", "number": 42, "flag": True, "items": [1, 2, 3]}


async def plaintext(request):
    return web.Response(body=b"hello world")


async def document(request):
    return web.Response(body=json.dumps(DOCUMENT).encode(), content_type="application/json")


async def echo(request):
    return web.Response(body=await request.read())


async def main():
    app = web.Application()
    app.router.add_get("/", plaintext)
    app.router.add_get("/async", plaintext)
    app.router.add_get("/json", document)
    app.router.add_post("/echo", echo)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(os.environ["PORT"]), backlog=4096).start()
    await asyncio.Event().wait()


uvloop.run(main())
