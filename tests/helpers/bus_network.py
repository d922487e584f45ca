"""Message buses of three workers without processes, and a router in place of the parent."""

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
ReceivedMessage = tuple[int, int, bytes]


class BusNetwork:
    """Three message buses, connected as the parent's router does."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.buses: dict[int, MessageBus] = {}
        # Receiver, sender and payload of each message.
        self.received: list[ReceivedMessage] = []
        self.flags: list[int] = []
        self.acks: list[bytes] = []
        self.failed: list[tuple[str, BaseException]] = []
        # Kept, as a worker keeps them: the loop itself has weak references only.
        self.tasks: set[asyncio.Task[None]] = set()
        for number in (1, 2, 3):
            self.start(number)

    def start(self, number: int) -> MessageBus:
        """Start the bus of a worker, which may replace an earlier one."""
        bus = MessageBus(
            number,
            SETTINGS,
            self.loop,
            lambda message: self.route(number, bus, message),
            lambda where, error: self.failed.append((where, error)),
        )
        bus.set_receiver(
            MessageKind.OBJECT,
            lambda sender, payload: self.received.append((number, sender, payload)),
        )
        self.buses[number] = bus
        bus.open(self.run_after_request)
        return bus

    def end(self, number: int) -> None:
        """End a worker."""
        del self.buses[number]
        for bus in self.buses.values():
            bus.forget_worker(WorkerExited(number))

    def route(self, sender: int, bus: MessageBus, message: RoutedMessage) -> None:
        if self.buses.get(sender) is not bus:
            return
        self.flags.append(message.flags)
        if message.flags & ACK:
            self.acks.append(bytes(message.content))
        for number, receiver in self.buses.items():
            mine = number != sender or message.flags & ECHO
            if message.address == number or (message.address == ALL_WORKERS and mine):
                passed = RoutedMessage(sender, message.flags, message.payload())
                self.loop.call_soon(receiver.receive, passed)

    def run_after_request(
        self, hook: Awaitable[object], _: str, done: Callable[[], None]
    ) -> asyncio.Task[None]:
        async def last() -> None:
            await hook

        task = asyncio.create_task(last())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        task.add_done_callback(lambda _: close_if_not_started(hook))
        task.add_done_callback(lambda _: done())
        return task

    def send(self, payload: bytes, worker: int | None = 2, *, echo: bool = False) -> None:
        self.buses[1].send(MessageKind.OBJECT, payload, worker, echo=echo)

    def count_flag(self, flag: int) -> int:
        """Return how many messages with a flag were sent."""
        return sum(bool(flags & flag) for flags in self.flags)

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110 - any condition
                await asyncio.sleep(0.001)

    async def drain(self, worker: int | None = None) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.buses[1].drain(MessageKind.OBJECT, worker)


Check = Callable[[BusNetwork], Coroutine[Any, Any, None]]


def checked(check: Check) -> Callable[[], None]:
    """Return a test that runs *check* on a loop, with a network."""

    def test() -> None:
        async def main() -> None:
            await check(BusNetwork())

        run(main)

    return test
