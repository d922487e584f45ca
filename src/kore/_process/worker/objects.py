"""Objects that the application sends to other workers, and its hook for those that others send."""

from collections.abc import Callable, Mapping
from functools import cached_property
from importlib import import_module
from typing import Any, Final

from kore._conf.settings import Settings
from kore._process.ipc.messages import MessageKind
from kore._process.log.handlers import log
from kore._process.worker.bus import MessageBus
from kore.errors import KoreError

# Loaded by who has the hook, before workers are forked; by others when they send something.
CODEC: Final = "kore._process.worker.codec"
HOOK: Final = "onmsg"

Hook = Callable[[Any], Any]


class Objects:
    """What `kore.sendobj()` and `koreapp.onmsg()` are made of."""

    def __init__(self, relay: MessageBus, settings: Settings, hook: Hook | None) -> None:
        self.relay = relay
        self.settings = settings
        self.hook = hook
        self._silent = False
        relay.on(MessageKind.OBJECT, self.receive, "koreapp.onmsg")

    @cached_property
    def codec(self) -> Any:
        """The module that knows how objects travel."""
        return import_module(CODEC)

    def send(self, value: object, worker: int | None) -> None:
        """Send *value* to one worker, or to all of them and this one."""
        settings = self.settings
        data = self.codec.encode(
            value, settings.worker_message_max, any_class=settings.worker_message_pickle
        )
        self.relay.send(MessageKind.OBJECT, data, worker, echo=True)

    async def drained(self, worker: int | None) -> None:
        """Wait until what was sent has been handled, or is lost with whom it was for."""
        await self.relay.drained(MessageKind.OBJECT, worker)

    def receive(self, sender: int, data: bytes) -> Any:
        """Hand an object to the application; what its hook returns, to be awaited perhaps."""
        if self.hook is None:
            self._say_that_nobody_takes_it(sender)
            return None
        try:
            value = self.codec.decode(data, any_class=self.settings.worker_message_pickle)
        except KoreError as error:
            log.error("an object of worker %d is left out: %s", sender, error)
            return None
        return self.hook(value)

    def _say_that_nobody_takes_it(self, sender: int) -> None:
        if not self._silent:
            self._silent = True
            log.warning(
                "worker %d sends objects, but the application has no koreapp.onmsg: left out",
                sender,
            )


def prepare(hooks: Mapping[str, Hook]) -> None:
    """Load what workers with these hooks need, once for all of them."""
    if HOOK in hooks:
        import_module(CODEC)
