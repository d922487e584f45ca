"""Objects sent to other workers by `kore.sendobj()` and received by `koreapp.onmsg()`."""

from collections.abc import Callable, Mapping
from functools import cached_property
from importlib import import_module
from typing import Any, Final

from kore._conf.settings import Settings
from kore._process.ipc.messages import MessageKind
from kore._process.log.handlers import log
from kore._process.worker.bus import MessageBus
from kore.errors import KoreError

# Imported before the fork if the application has the hook, else when a worker first sends.
CODEC: Final = "kore._process.worker.codec"
HOOK: Final = "onmsg"

Hook = Callable[[Any], Any]


class Objects:
    """Sends objects of the application, and passes received ones to its hook."""

    def __init__(self, bus: MessageBus, settings: Settings, hook: Hook | None) -> None:
        self.bus = bus
        self.settings = settings
        self.hook = hook
        # The missing hook was logged.
        self._is_warned = False
        bus.set_receiver(MessageKind.OBJECT, self.receive, "koreapp.onmsg")

    @cached_property
    def codec(self) -> Any:
        """The module that encodes and decodes objects."""
        return import_module(CODEC)

    def send(self, value: object, worker: int | None) -> None:
        """Send *value* to one worker, or to all of them and this one."""
        settings = self.settings
        data = self.codec.encode(
            value, settings.worker_message_max, any_class=settings.worker_message_pickle
        )
        self.bus.send(MessageKind.OBJECT, data, worker, echo=True)

    async def drain(self, worker: int | None) -> None:
        """Wait until the objects sent so far are handled, or lost with their receivers."""
        await self.bus.drain(MessageKind.OBJECT, worker)

    def receive(self, sender: int, data: bytes) -> Any:
        """Pass an object to the application's hook; return what that returns."""
        if self.hook is None:
            self._warn_without_hook(sender)
            return None
        try:
            value = self.codec.decode(data, any_class=self.settings.worker_message_pickle)
        except KoreError as error:
            log.error("discarding object from worker %d: %s", sender, error)
            return None
        return self.hook(value)

    def _warn_without_hook(self, sender: int) -> None:
        if not self._is_warned:
            self._is_warned = True
            log.warning(
                "worker %d sends objects, but the application has no koreapp.onmsg: discarded",
                sender,
            )


def import_codec(hooks: Mapping[str, Hook]) -> None:
    """Import the codec once for all workers, if they have the hook that needs it."""
    if HOOK in hooks:
        import_module(CODEC)
