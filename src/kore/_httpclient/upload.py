"""Upload of a request body from an async iterator, read no faster than libcurl sends it."""

import asyncio
import os
from asyncio import CancelledError, Future, Task
from collections import deque
from typing import Any, Final

import pycurl

from kore._httpclient.prepared import PreparedRequest
from kore._httpclient.transfers import Curl, Outcome, Transfers
from kore.errors import ClientError

# Bytes that wait for libcurl before the iterator is asked for more.
UNSENT_SIZE_MAX: Final = 128 * 1024
# Bytes kept after they were sent: libcurl sends a body again if the server had closed an idle
# connection, or redirects the request.
REPLAY_SIZE_MAX: Final = 1024 * 1024


class Upload:
    """Reads an iterator for libcurl; holds at most one item beyond `UNSENT_SIZE_MAX`.

    *size* is the announced length, if any. The last bytes of it are sent only when the iterator
    has ended: a body that is longer than announced must not look complete to the server.
    """

    def __init__(
        self, request: PreparedRequest, size: int | None, curl: Curl, transfers: Transfers
    ) -> None:
        self._request = request
        self._body: Any = request.body
        self._announced = size
        self._curl = curl
        self._transfers = transfers
        self._items: deque[memoryview] = deque()
        self._size = 0
        # What libcurl has taken; None: it was more than `REPLAY_SIZE_MAX`.
        self._sent: list[memoryview] | None = []
        self._sent_size = 0
        self._has_room = asyncio.Event()
        # The iterator has ended; libcurl is paused because there was no data.
        self._is_over = False
        self._is_starved = False
        self._task: Task[None] | None = None

    def start(self, outcome: "Future[Outcome]") -> None:
        """Start to read the iterator; an error that it raises fails the request."""
        self._task = asyncio.get_running_loop().create_task(self._feed(outcome))

    def stop(self) -> None:
        """Stop reading the iterator."""
        if self._task is not None:
            self._task.cancel()

    # ---- callbacks of libcurl

    def read(self, size_max: int) -> bytes | int:
        """Return the next bytes, none at the end; READFUNC_PAUSE if there are none yet."""
        if not self._items:
            self._is_starved = not self._is_over
            return pycurl.READFUNC_PAUSE if self._is_starved else b""
        item = self._items.popleft()
        if len(item) > size_max:
            self._items.appendleft(item[size_max:])
            item = item[:size_max]
        self._size -= len(item)
        self._keep(item)
        if self._size < UNSENT_SIZE_MAX:
            self._has_room.set()
        return bytes(item)

    def seek(self, offset: int, origin: int) -> int:
        """Rewind to the beginning of the body, if all that was sent has been kept."""
        if self._sent is None or offset != 0 or origin != os.SEEK_SET:
            return int(pycurl.SEEKFUNC_CANTSEEK)
        self._items.extendleft(reversed(self._sent))
        self._size += self._sent_size
        self._sent.clear()
        self._sent_size = 0
        # libcurl may still be paused because of an earlier read.
        self._is_starved = True
        self._transfers.loop.call_soon(self._wake)
        return int(pycurl.SEEKFUNC_OK)

    def _keep(self, item: memoryview) -> None:
        if self._sent is not None:
            self._sent_size += len(item)
            if self._sent_size > REPLAY_SIZE_MAX:
                self._sent = None
            else:
                self._sent.append(item)

    # ---- the iterator

    async def _feed(self, outcome: "Future[Outcome]") -> None:
        try:
            await self._read_all()
        except CancelledError:
            outcome.cancel()
            raise
        except BaseException as error:  # noqa: BLE001 - raised where the response is awaited
            if not outcome.done():
                outcome.set_exception(error)
        finally:
            if hasattr(self._body, "aclose"):
                await self._body.aclose()

    async def _read_all(self) -> None:
        total = 0
        held = memoryview(b"")
        async for item in self._body:
            # Copied now: a buffer other than bytes may change before it is sent.
            view = memoryview(item if type(item) is bytes else bytes(memoryview(item)))
            total += len(view)
            if self._announced is not None and self._announced >= 0 and view:
                if total > self._announced:
                    text = f"the body is longer than its content-length, {self._announced} bytes"
                    raise ClientError(f"{self._request.error_prefix}: {text}", pycurl.E_READ_ERROR)
                if total == self._announced:
                    held = view
                    continue
            self._append(view)
            if self._size >= UNSENT_SIZE_MAX:
                self._has_room.clear()
                await self._has_room.wait()
        self._is_over = True
        self._append(held)
        self._wake()

    def _append(self, view: memoryview) -> None:
        if view:
            self._items.append(view)
            self._size += len(view)
            self._wake()

    def _wake(self) -> None:
        if self._is_starved:
            self._is_starved = False
            self._transfers.resume(self._curl, pycurl.PAUSE_CONT)
