"""The database workload on aiohttp, over uvloop."""

import asyncio
import os

import uvloop
from aiohttp import web
from database_common import JSON
from database_driver import driver, ready


async def hello(request):
    return web.Response(body=b"hello world")


async def single(request):
    return web.Response(body=await driver.single(), content_type=JSON)


async def sequence(request):
    given = request.query.get("queries", "")
    return web.Response(body=await driver.sequence(given), content_type=JSON)


async def queries(request):
    given = request.query.get("queries", "")
    return web.Response(body=await driver.queries(given), content_type=JSON)


async def fortunes(request):
    body = await driver.fortunes()
    return web.Response(body=body, content_type="text/html", charset="utf-8")


async def updates(request):
    given = request.query.get("queries", "")
    return web.Response(body=await driver.updates(given), content_type=JSON)


async def main():
    await ready()
    app = web.Application()
    for path, handler in [
        ("/", hello), ("/db", single), ("/sequence", sequence), ("/queries", queries),
        ("/fortunes", fortunes), ("/updates", updates),
    ]:  # fmt: skip
        app.router.add_get(path, handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(os.environ["PORT"]), backlog=4096).start()
    await asyncio.Event().wait()


uvloop.run(main())
