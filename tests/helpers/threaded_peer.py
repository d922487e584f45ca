"""A peer on an event loop of its own, in a thread: for servers that are processes."""

import asyncio
import ssl
import threading
from typing import Self

from tests.helpers.http_peer import Answer, Peer


class ThreadedPeer:
    """Serves for the time of a `with`."""

    def __init__(
        self, reply: Answer, *, read: bool = True, context: ssl.SSLContext | None = None
    ) -> None:
        self.peer = Peer(reply, context, read=read)
        self.ready = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self.live()), daemon=True)

    async def live(self) -> None:
        async with self.peer:
            self.over = asyncio.Event()
            self.loop = asyncio.get_running_loop()
            self.ready.set()
            await self.over.wait()

    def __enter__(self) -> Self:
        self.thread.start()
        self.ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self.over.set)
        self.thread.join()
