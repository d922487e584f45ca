"""Workers' relays without workers, and between them what the parent does."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from kore._aio.task_utils import close_if_not_started
from kore._conf.settings import Settings
from kore._process.ipc.fragments import FRAGMENT_SIZE
from kore._process.ipc.messages import (
    ACK,
    ALL_WORKERS,
    ECHO,
    MessageKind,
    RoutedMessage,
    WorkerExited,
)
from kore._process.worker.bus import MessageBus
from tests.helpers.core_loop import run
from tests.helpers.procs import PATIENCE

SETTINGS = Settings(
    workers=3, worker_message_max=8 * FRAGMENT_SIZE, worker_message_window=8 * FRAGMENT_SIZE
)
Said = tuple[int, int, bytes]


class BusNetwork:
    """Three relays, and between them what the parent does."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.relays: dict[int, MessageBus] = {}
        # Who got what from whom.
        self.said: list[Said] = []
        self.flags: list[int] = []
        self.receipts: list[bytes] = []
        self.failed: list[tuple[str, BaseException]] = []
        for number in (1, 2, 3):
            self.start(number)

    def start(self, number: int) -> MessageBus:
        """Start a worker, perhaps in the place of another one."""
        relay = MessageBus(
            number,
            SETTINGS,
            self.loop,
            lambda parcel: self.carry(number, relay, parcel),
            lambda where, error: self.failed.append((where, error)),
        )
        relay.set_receiver(
            MessageKind.OBJECT, lambda sender, payload: self.said.append((number, sender, payload))
        )
        self.relays[number] = relay
        relay.open(self.run_after_request)
        return relay

    def end(self, number: int) -> None:
        """Let a worker end."""
        del self.relays[number]
        for relay in self.relays.values():
            relay.forget_worker(WorkerExited(number))

    def carry(self, sender: int, relay: MessageBus, parcel: RoutedMessage) -> None:
        if self.relays.get(sender) is not relay:
            return
        self.flags.append(parcel.flags)
        if parcel.flags & ACK:
            self.receipts.append(bytes(parcel.content))
        for number, receiver in self.relays.items():
            mine = number != sender or parcel.flags & ECHO
            if parcel.address == number or (parcel.address == ALL_WORKERS and mine):
                passed = RoutedMessage(sender, parcel.flags, parcel.payload())
                self.loop.call_soon(receiver.receive, passed)

    def run_after_request(
        self, hook: Awaitable[object], _: str, done: Callable[[], None]
    ) -> asyncio.Task[None]:
        async def last() -> None:
            await hook

        task = asyncio.create_task(last())
        task.add_done_callback(lambda _: close_if_not_started(hook))
        task.add_done_callback(lambda _: done())
        return task

    def send(self, payload: bytes, worker: int | None = 2, *, echo: bool = False) -> None:
        self.relays[1].send(MessageKind.OBJECT, payload, worker, echo=echo)

    def posted(self, flag: int) -> int:
        """Return how many parcels with a flag there were."""
        return sum(bool(flags & flag) for flags in self.flags)

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110 - any condition
                await asyncio.sleep(0.001)

    async def drained(self, worker: int | None = None) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.relays[1].drain(MessageKind.OBJECT, worker)


Check = Callable[[BusNetwork], Coroutine[Any, Any, None]]


def checked(check: Check) -> Callable[[], None]:
    """Run a test on a loop, with a star."""

    def test() -> None:
        async def main() -> None:
            await check(BusNetwork())

        run(main)

    return test
