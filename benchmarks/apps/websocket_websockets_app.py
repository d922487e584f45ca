"""WebSockets on websockets' own server, over uvloop: echo, and messages to all clients."""

import os

import uvloop
from websockets.asyncio.server import broadcast, serve

clients = set()


async def talk(socket):
    if socket.request.path == "/echo":
        async for message in socket:
            await socket.send(message)
        return
    clients.add(socket)
    try:
        async for message in socket:
            broadcast(clients, message)
    finally:
        clients.discard(socket)


async def main():
    server = await serve(
        talk, "127.0.0.1", int(os.environ["PORT"]), compression=None, ping_interval=None,
        backlog=4096,
    )  # fmt: skip
    await server.serve_forever()


uvloop.run(main())
