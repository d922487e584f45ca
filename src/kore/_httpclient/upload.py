"""A request's body from an async iterator: read when libcurl has sent what there is."""

import asyncio
import os
from asyncio import CancelledError, Future, Task
from collections import deque
from typing import Any, Final

import pycurl

from kore._httpclient.prepared import PreparedRequest
from kore._httpclient.transfers import Curl, Outcome, Transfers
from kore.errors import ClientError

# So much waits for libcurl before the iterator is asked for more.
ENOUGH: Final = 128 * 1024
# So much of what was sent is kept. libcurl sends it again when the peer had closed an idle
# connection, or redirects the request.
REPLAY_MAX: Final = 1024 * 1024


class Upload:
    """The way from an iterator to libcurl; it never holds more than one item beyond enough.

    *size* is how many bytes were announced. The last of them are sent when the iterator has ended:
    one that yields more than it announced must not look complete to the peer.
    """

    def __init__(
        self, plan: PreparedRequest, size: int | None, curl: Curl, transfers: Transfers
    ) -> None:
        self._plan = plan
        self._body: Any = plan.body
        self._announced = size
        self._curl = curl
        self._transfers = transfers
        self._items: deque[memoryview] = deque()
        self._size = 0
        # What libcurl has taken, for as long as it is little enough to be kept.
        self._sent: list[memoryview] | None = []
        self._sent_size = 0
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

    # ---- what libcurl asks for

    def read(self, most: int) -> bytes | int:
        """Return the next bytes for libcurl, none at the end."""
        if not self._items:
            self._starved = not self._over
            return pycurl.READFUNC_PAUSE if self._starved else b""
        item = self._items.popleft()
        if len(item) > most:
            self._items.appendleft(item[most:])
            item = item[:most]
        self._size -= len(item)
        self._keep(item)
        if self._size < ENOUGH:
            self._room.set()
        return bytes(item)

    def seek(self, offset: int, origin: int) -> int:
        """Go back to the beginning of the body, if all that was sent has been kept."""
        if self._sent is None or offset != 0 or origin != os.SEEK_SET:
            return int(pycurl.SEEKFUNC_CANTSEEK)
        self._items.extendleft(reversed(self._sent))
        self._size += self._sent_size
        self._sent.clear()
        self._sent_size = 0
        # libcurl may still be paused because of what it asked for before.
        self._starved = True
        self._transfers.loop.call_soon(self._wake)
        return int(pycurl.SEEKFUNC_OK)

    def _keep(self, item: memoryview) -> None:
        if self._sent is not None:
            self._sent_size += len(item)
            if self._sent_size > REPLAY_MAX:
                self._sent = None
            else:
                self._sent.append(item)

    # ---- what the iterator yields

    async def _feed(self, future: "Future[Outcome]") -> None:
        try:
            await self._read_all()
        except CancelledError:
            future.cancel()
            raise
        except BaseException as error:  # noqa: BLE001 - who waits for the answer gets it
            if not future.done():
                future.set_exception(error)
        finally:
            if hasattr(self._body, "aclose"):
                await self._body.aclose()

    async def _read_all(self) -> None:
        total = 0
        held = memoryview(b"")
        async for item in self._body:
            # What is not bytes may be something else when its turn comes.
            view = memoryview(item if type(item) is bytes else bytes(memoryview(item)))
            total += len(view)
            if self._announced is not None and self._announced >= 0 and view:
                if total > self._announced:
                    text = f"the body is longer than its content-length, {self._announced} bytes"
                    raise ClientError(f"{self._plan.place}: {text}", pycurl.E_READ_ERROR)
                if total == self._announced:
                    held = view
                    continue
            self._append(view)
            if self._size >= ENOUGH:
                self._room.clear()
                await self._room.wait()
        self._over = True
        self._append(held)
        self._wake()

    def _append(self, view: memoryview) -> None:
        if view:
            self._items.append(view)
            self._size += len(view)
            self._wake()

    def _wake(self) -> None:
        if self._starved:
            self._starved = False
            self._transfers.go_on(self._curl, pycurl.PAUSE_CONT)
