"""A request's body from an async iterator: read when libcurl has sent what there is."""

import asyncio
from asyncio import CancelledError, Future, Task
from collections import deque
from collections.abc import AsyncIterable
from typing import Any, Final

import pycurl

from kore._httpclient.transfers import Curl, Outcome, Transfers

# So much waits for libcurl before the iterator is asked for more.
ENOUGH: Final = 128 * 1024


class Upload:
    """The way from an iterator to libcurl; it never holds more than one item beyond enough."""

    def __init__(self, body: Any, curl: Curl, transfers: Transfers) -> None:
        self._body: AsyncIterable[bytes] = body
        self._curl = curl
        self._transfers = transfers
        self._items: deque[memoryview] = deque()
        self._size = 0
        self._room = asyncio.Event()
        self._over = False
        self._starved = False
        self._task: Task[None] | None = None

    def begin(self, future: "Future[Outcome]") -> None:
        """Read the iterator; what it raises is the outcome of the request."""
        self._task = asyncio.get_running_loop().create_task(self._feed(future))

    def end(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()

    def read(self, most: int) -> bytes | int:
        """Return the next bytes for libcurl, none at the end."""
        if not self._items:
            self._starved = not self._over
            return pycurl.READFUNC_PAUSE if self._starved else b""
        item = self._items.popleft()
        if len(item) > most:
            self._items.appendleft(item[most:])
        data = bytes(item[:most])
        self._size -= len(data)
        if self._size < ENOUGH:
            self._room.set()
        return data

    async def _feed(self, future: "Future[Outcome]") -> None:
        try:
            async for item in self._body:
                # What is not bytes may be something else when its turn comes.
                view = memoryview(item if type(item) is bytes else bytes(memoryview(item)))
                if view:
                    self._items.append(view)
                    self._size += len(view)
                    self._wake()
                if self._size >= ENOUGH:
                    self._room.clear()
                    await self._room.wait()
            self._over = True
            self._wake()
        except CancelledError:
            future.cancel()
            raise
        except BaseException as error:  # noqa: BLE001 - who waits for the answer gets it
            if not future.done():
                future.set_exception(error)
        finally:
            if hasattr(self._body, "aclose"):
                await self._body.aclose()

    def _wake(self) -> None:
        if self._starved:
            self._starved = False
            self._transfers.go_on(self._curl, pycurl.PAUSE_CONT)
