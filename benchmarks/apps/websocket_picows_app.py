"""WebSockets on picows, its core API, over uvloop: echo, and messages to all clients."""

import os

import uvloop
from picows import WSListener, WSMsgType, ws_create_server

clients = {}


class Echo(WSListener):
    def on_ws_frame(self, transport, frame):
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()
        else:
            transport.send(frame.msg_type, frame.get_payload_as_memoryview())


class Broadcast(WSListener):
    def on_ws_connected(self, transport):
        clients[transport] = None

    def on_ws_disconnected(self, transport):
        clients.pop(transport, None)

    def on_ws_frame(self, transport, frame):
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()
            return
        kind, data = frame.msg_type, frame.get_payload_as_bytes()
        for member in clients:
            member.send(kind, data)


def listener(request):
    return Echo() if request.path == b"/echo" else Broadcast()


async def main():
    server = await ws_create_server(listener, "127.0.0.1", int(os.environ["PORT"]), backlog=4096)
    await server.serve_forever()


uvloop.run(main())
