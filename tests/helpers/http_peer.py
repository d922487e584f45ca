"""A peer for clients, on the test's own event loop: it does exactly what a test says."""

import asyncio
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Self

Answer = Callable[["ReceivedRequest"], Awaitable[Any]]


@dataclass
class ReceivedRequest:
    """A request that came, and the connection it came on."""

    method: str
    target: str
    fields: list[tuple[str, str]]
    reader: StreamReader
    writer: StreamWriter
    body: bytes = b""
    # Whether the connection ends with this answer.
    last: bool = False

    def get(self, name: str) -> str | None:
        """Return the only value of a field."""
        found = [value for key, value in self.fields if key == name]
        assert len(found) <= 1, found
        return found[0] if found else None

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    def answer(self, body: bytes = b"", status: int = 200, *fields: str) -> None:
        """Answer as it should be."""
        head = [f"HTTP/1.1 {status} Whatever", *fields, f"content-length: {len(body)}", "", ""]
        self.send("\r\n".join(head).encode() + (b"" if self.method == "HEAD" else body))

    async def read_body(self) -> None:
        """Read what was announced."""
        if self.get("expect"):
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self.get("transfer-encoding") == "chunked":
            while size := int(await self.reader.readline(), 16):
                self.body += (await self.reader.readexactly(size + 2))[:-2]
            await self.reader.readline()
        else:
            self.body = await self.reader.readexactly(int(self.get("content-length") or 0))


async def hello(asked: ReceivedRequest) -> None:
    asked.answer(b"hello")


@dataclass
class Peer:
    """Serves for the time of an `async with`. `read=False`: bodies are left to the answer."""

    reply: Answer = hello
    context: ssl.SSLContext | None = None
    path: str = ""
    read: bool = True
    asked: list[ReceivedRequest] = field(default_factory=list)
    connections: int = 0
    gone: int = 0

    async def __aenter__(self) -> Self:
        self.tasks: set[asyncio.Task[None]] = set()
        if self.path:
            name = "\0" + self.path[1:] if self.path[0] == "@" else self.path
            self.server = await asyncio.start_unix_server(self.serve, name)
            self.url = "http://peer/"
        else:
            self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=self.context)
            self.port = self.server.sockets[0].getsockname()[1]
            self.url = f"http{'s' if self.context else ''}://127.0.0.1:{self.port}/"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await asyncio.sleep(0)

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        self.connections += 1
        try:
            while True:
                asked = await read_head(reader, writer)
                if self.read:
                    await asked.read_body()
                self.asked.append(asked)
                await self.reply(asked)
                await writer.drain()
                if asked.last:
                    break
        except (OSError, EOFError, ValueError):
            pass
        except asyncio.CancelledError:
            pass  # 3.11 takes it for an error that nobody caught
        finally:
            self.gone += 1
            self.tasks.discard(task)
            if writer.transport.get_extra_info("sslcontext"):
                writer.transport.abort()
            else:
                writer.close()


async def read_head(reader: StreamReader, writer: StreamWriter) -> ReceivedRequest:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
    method, target, _ = lines[0].split(" ")
    pairs = [line.split(":", 1) for line in lines[1:]]
    fields = [(name.lower(), value.strip()) for name, value in pairs]
    return ReceivedRequest(method, target, fields, reader, writer)
