"""An echo server beside HTTP, and a handler that asks it: `kore examples/echo/app.py`."""

import os
import socket

import kore

IDLE = int(os.environ.get("IDLE", "5000"))  # milliseconds
kore.config.workers = 1
kore.server(ip="127.0.0.1", port=os.environ.get("PORT", "8888"), tls=False)
kore.domain("*")
listening = socket.create_server(("127.0.0.1", int(os.environ.get("ECHO_PORT", "3332"))))


async def serve():
    server = kore.socket_wrap(listening)
    while True:
        kore.task_create(echo(await server.accept()))


async def echo(client):
    try:
        while (data := await client.recv(1024, IDLE)) is not None:
            await client.send(data)
    except TimeoutError:
        await client.send("too slow\n")
    client.close()


kore.task_create(serve())


@kore.route("^/echo/([a-z]+)$", methods=["get"])
async def ask(req, word):
    sock = socket.socket()
    ksock = kore.socket_wrap(sock)
    await ksock.connect("127.0.0.1", listening.getsockname()[1], 1000)
    await ksock.send(word)
    req.response(200, await ksock.recv(1024, 1000))
    sock.close()
