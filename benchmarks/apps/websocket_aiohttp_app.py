"""WebSockets on aiohttp, over uvloop: echo, and messages to all clients."""

import asyncio
import os

import uvloop
from aiohttp import web

clients = {}


async def opened(request):
    socket = web.WebSocketResponse(compress=False)
    await socket.prepare(request)
    return socket


async def echo(request):
    socket = await opened(request)
    async for message in socket:
        await socket.send_bytes(message.data)
    return socket


async def broadcast(request):
    socket = await opened(request)
    clients[socket] = None
    try:
        async for message in socket:
            for member in list(clients):
                await member.send_bytes(message.data)
    finally:
        del clients[socket]
    return socket


async def main():
    app = web.Application()
    app.router.add_get("/echo", echo)
    app.router.add_get("/broadcast", broadcast)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(os.environ["PORT"]), backlog=4096).start()
    await asyncio.Event().wait()


uvloop.run(main())
