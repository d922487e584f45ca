"""Under `kodev run`: a handler that holds the event loop for too long is in the log."""

from collections.abc import Callable, Coroutine
from time import monotonic
from types import CoroutineType
from typing import Any, Final

from kore._aio.tracing import run_steps
from kore._conf.schema import Handler
from kore._process.log.handlers import log
from kore._process.worker.heartbeat import Heartbeat

# In seconds: a page that takes longer seems slow to its reader.
SLOW_AFTER: Final = 0.1


class SlowHandlers:
    """Times the steps of handlers between two turns of the event loop."""

    def __init__(self, heartbeat: Heartbeat) -> None:
        self.heartbeat = heartbeat

    def watch(self, path: str, handler: Handler, run: Handler) -> Handler:
        """Return *run*, which calls *handler* for *path*, such that its steps are timed."""
        code = getattr(handler, "__code__", None)
        place = f" ({code.co_filename}:{code.co_firstlineno})" if code else ""
        where = f"route '{path}'{place}"

        def call(*arguments: Any) -> Any:
            pending = self.call(where, lambda: run(*arguments))
            if isinstance(pending, CoroutineType):
                return self.drive(pending, where)
            return pending

        return call

    async def drive(self, pending: Coroutine[Any, Any, Any], where: str) -> Any:
        """Await a handler, each of its steps timed."""
        return await run_steps(pending, lambda step: self.call(where, step))

    def call(self, where: str, step: Callable[[], Any]) -> Any:
        """Take one step, and report it if it was slow."""
        begun = monotonic()
        try:
            return step()
        finally:
            seconds = monotonic() - begun
            if seconds > SLOW_AFTER and self.heartbeat.blocked_at < begun:
                log.warning(
                    "%s has held the event loop for %d ms: all other clients had to wait; await "
                    "what waits, or have asyncio.to_thread() do it",
                    where, seconds * 1000,
                )  # fmt: skip
