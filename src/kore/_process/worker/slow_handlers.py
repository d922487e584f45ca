"""Under `kodev run`: log handlers that block the event loop for too long."""

from collections.abc import Callable, Coroutine
from time import monotonic
from types import CoroutineType
from typing import Any, Final

from kore._aio.tracing import run_steps
from kore._conf.schema import Handler
from kore._process.log.handlers import log
from kore._process.worker.heartbeat import Heartbeat

# A page that takes longer seems slow to its reader.
SLOW_SECONDS: Final = 0.1


class SlowHandlers:
    """Measures each step of a handler, from one turn of the event loop to the next."""

    def __init__(self, heartbeat: Heartbeat) -> None:
        self.heartbeat = heartbeat

    def wrap(self, path: str, handler: Handler, run: Handler) -> Handler:
        """Return *run*, which calls *handler* for *path*, with its steps measured."""
        code = getattr(handler, "__code__", None)
        place = f" ({code.co_filename}:{code.co_firstlineno})" if code else ""
        label = f"route '{path}'{place}"

        def call(*arguments: Any) -> Any:
            pending = self.measure(label, lambda: run(*arguments))
            if isinstance(pending, CoroutineType):
                return self.await_handler(pending, label)
            return pending

        return call

    async def await_handler(self, pending: Coroutine[Any, Any, Any], label: str) -> Any:
        """Await a handler, measuring each of its steps."""
        return await run_steps(pending, lambda step: self.measure(label, step))

    def measure(self, label: str, step: Callable[[], Any]) -> Any:
        """Run one step, and log it if it was slow and not in a `kore.blocking()` block."""
        start = monotonic()
        try:
            return step()
        finally:
            seconds = monotonic() - start
            if seconds > SLOW_SECONDS and self.heartbeat.blocked_at < start:
                log.warning(
                    "%s has held the event loop for %d ms: all other clients had to wait; await "
                    "what waits, or have asyncio.to_thread() do it",
                    label, seconds * 1000,
                )  # fmt: skip
