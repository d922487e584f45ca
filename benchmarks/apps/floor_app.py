"""The floor: a uvloop protocol that answers whatever arrives with the same bytes.

It parses nothing. For a pipelining client it counts the heads that end in what
was received, because each of them must be answered; no other work is done.
"""

import asyncio
import os
from email.utils import formatdate

import uvloop

ANSWER = (
    "HTTP/1.1 200 OK\r\n"
    "server: floor\r\n"
    f"date: {formatdate(usegmt=True)}\r\n"
    "content-length: 11\r\n"
    "\r\n"
    "hello world"
).encode()


class One(asyncio.Protocol):
    """One answer for every read."""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(ANSWER)


class Many(One):
    """As many answers as heads in a read."""

    def data_received(self, data):
        self.transport.write(ANSWER * data.count(b"\r\n\r\n"))


async def main():
    protocol = Many if os.environ.get("WORKLOAD") == "pipelined" else One
    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, "127.0.0.1", int(os.environ["PORT"]), backlog=4096)
    await server.serve_forever()


uvloop.run(main())
