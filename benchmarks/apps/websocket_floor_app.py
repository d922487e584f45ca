"""The floor: a uvloop protocol that answers so many bytes with a frame made before.

It parses nothing: where a message ends is known from its size alone.
"""

import asyncio
import os

import uvloop

SIZE = int(os.environ.get("BYTES", "125"))
HEAD = bytes([0x82, SIZE]) if SIZE < 126 else bytes([0x82, 126, *SIZE.to_bytes(2, "big")])
ANSWER = HEAD + bytes(ord("a") + i % 26 for i in range(SIZE))
ARRIVES = len(ANSWER) + 4
SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
    b"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)
clients = {}


class Floor(asyncio.BufferedProtocol):
    def connection_made(self, transport):
        self.transport = transport
        self.space = bytearray(65536)
        self.tell = None

    def connection_lost(self, error):
        clients.pop(self.transport, None)

    def get_buffer(self, hint):
        return self.space

    def buffer_updated(self, size):
        if self.tell is not None:
            self.got += size
            while self.got >= ARRIVES:
                self.got -= ARRIVES
                self.tell(ANSWER)
            return
        self.got = 0
        self.tell = self.transport.write
        if self.space.startswith(b"GET /broadcast"):
            clients[self.transport] = None
            self.tell = self.write_to_all
        self.transport.write(SWITCH)

    def write_to_all(self, data):
        for member in clients:
            member.write(data)


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Floor, "127.0.0.1", int(os.environ["PORT"]), backlog=4096)
    await server.serve_forever()


uvloop.run(main())
