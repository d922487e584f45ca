"""WebSockets as a bare RSGI application, for granian: echo, and messages to all clients."""

CLOSE = 0
clients = {}


async def echo(socket):
    while (message := await socket.receive()).kind != CLOSE:
        await socket.send_bytes(message.data)


async def broadcast(socket):
    clients[socket] = None
    try:
        while (message := await socket.receive()).kind != CLOSE:
            for member in list(clients):
                await member.send_bytes(message.data)
    finally:
        del clients[socket]


async def app(scope, protocol):
    if scope.proto != "ws":
        protocol.response_empty(404, [])
        return
    socket = await protocol.accept()
    await (echo if scope.path == "/echo" else broadcast)(socket)
    protocol.close()
