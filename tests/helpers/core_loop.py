"""The core on an event loop, with the real tasks and streams of a worker."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from kore._http.streaming import stream_body
from kore._process.worker.tasks import RequestTasks
from tests.helpers.core_reader_loop import Loop
from tests.helpers.fix_core import Pair, make_hooks
from tests.helpers.procs import PATIENCE


class Served(Pair):
    """A pair for use within `asyncio.run`: `until` turns loop and poller together."""

    def make_hooks(self) -> Any:
        loop = asyncio.get_running_loop()
        self.real = RequestTasks(loop, lambda _, error: self.failures.append(error))
        return make_hooks(
            start_task=self.real.spawn,
            send_stream=lambda request, status, items: self.real.spawn(
                stream_body(request, status, items), request
            ),
            report_failure=lambda _, error, *result: self.failures.append(error),
            call_soon=loop.call_soon,
            call_later=loop.call_later,
            create_future=loop.create_future,
            make_request_data=lambda request, route: None,
        )

    def make_loop(self) -> Any:
        return Loop(asyncio.get_running_loop().call_soon)

    async def until(self, happened: Callable[[], object]) -> None:
        """Let loop and poller work until something has *happened*."""
        async with asyncio.timeout(PATIENCE):
            while not happened():
                self.poller.dispatch()
                await asyncio.sleep(0)

    async def answered(self, data: bytes, answers: int = 1) -> list[int]:
        """Send *data* and return the statuses, when there are as many *answers*."""
        self.client.send(data)
        await self.until(lambda: self.client.read() == b"" and self.complete(answers))
        return self.client.statuses

    def complete(self, answers: int) -> bool:
        return bool(self.client.end) or len(self.client.reader.final) >= answers


@asynccontextmanager
async def serving(*arguments: Any, **options: Any) -> AsyncIterator[Served]:
    """Make a pair on this loop, and see to it that nothing is left of it."""
    house = Served(*arguments, **options)
    try:
        yield house
        house.close()
    finally:
        house.close_sockets()
        await house.real.cancel_everything(1)


def run(check: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run *check* on a loop of its own, where a mistake in a callback is one of the test."""
    mistakes: list[dict[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, what: mistakes.append(what))
        await check()

    asyncio.run(main(), debug=False)
    assert mistakes == []
