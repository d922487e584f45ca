"""WebSockets as a bare ASGI application, for granian and uvicorn: echo, messages to all clients."""

clients = {}


async def echo(receive, send):
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "bytes": event["bytes"]})


async def broadcast(receive, send):
    clients[send] = None
    try:
        while (event := await receive())["type"] == "websocket.receive":
            message = {"type": "websocket.send", "bytes": event["bytes"]}
            for tell in list(clients):
                await tell(message)
    finally:
        del clients[send]


async def app(scope, receive, send):
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})
    await (echo if scope["path"] == "/echo" else broadcast)(receive, send)
