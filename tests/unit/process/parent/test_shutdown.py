from collections.abc import Iterator

import pytest

from kore._conf.server_schema import Address, Server
from kore._conf.settings import Settings
from kore._process.eventloop import CallbackLoop
from kore._process.ipc.channel import Channel, open_pair
from kore._process.ipc.messages import Message, Stop
from kore._process.parent.children import Children
from kore._process.parent.generation import Child, Generation
from kore._process.parent.listeners import Listeners
from kore._process.parent.shutdown import GracefulShutdown
from kore._process.parent_config import ParentConfig
from kore._process.roles import WORKER

SERVER = Server("http", Address(ip="127.0.0.1"), tls=False)


class NoEvents:
    """Ignores what happens to children."""

    def on_message(self, child: Child, message: Message) -> None:
        """Take a message."""

    def on_exit(self, child: Child, status: int) -> None:
        """Take note of an end."""


class Generations:
    """A graceful shutdown, and generations whose workers are channels."""

    def __init__(self) -> None:
        self.loop = CallbackLoop()
        self.children = Children(self.loop, NoEvents())
        self.shutdown = GracefulShutdown(self.children)
        self.listeners = Listeners()
        self.others: list[Channel] = []

    def generation(self, workers: int, *, ready: bool = True) -> Generation:
        """Return a generation whose workers hear what they are told in `others`."""
        generation = Generation()
        plan = ParentConfig("kore", Settings(workers=workers), (SERVER,))
        generation.prepare(plan, self.listeners.open_missing(plan.servers, plan.numbers, 16))
        for number, seat in generation.slots.items():
            ours, theirs = open_pair()
            self.others.append(Channel(theirs))
            seat.child = Child(WORKER, number, Channel(ours), generation, ready=ready)
            self.children.add(seat.child)
        return generation

    def received(self) -> list[list[Message]]:
        return [other.receive() for other in self.others]

    def close(self) -> None:
        for child in self.children.all:
            child.channel.close()
        for other in self.others:
            other.close()
        self.listeners.close_all_except(())
        self.loop.close()


@pytest.fixture
def generations() -> Iterator[Generations]:
    ours = Generations()
    yield ours
    for generation in {child.generation for child in ours.children.all}:
        generation.close()
    ours.close()


def test_worker_accepts_its_queue_unless_another_has_its_sockets(generations: Generations) -> None:
    old = generations.generation(2)
    generations.shutdown.retire(old, generations.generation(1))

    heir, last, new = generations.received()
    assert heir == [Stop(drain=True, patient=True, accept=False)]
    assert last == [Stop(drain=True, patient=True, accept=True)]
    assert new == []


def test_shutdown_of_the_server_is_not_patient(generations: Generations) -> None:
    generations.shutdown.stopping = True
    only = generations.generation(1)
    generations.shutdown.retire(only, only)

    assert generations.received() == [[Stop(drain=True, patient=False, accept=True)]]


def test_immediate_shutdown_terminates_workers(generations: Generations) -> None:
    generations.shutdown.immediate = True
    only = generations.generation(1)
    generations.shutdown.retire(only, only)

    assert generations.received() == [[Stop(drain=False)]]


@pytest.mark.parametrize("ready", [False, True])
def test_worker_of_a_pending_generation_drains(generations: Generations, *, ready: bool) -> None:
    """It may be ready, and the message that says so on its way."""
    only = generations.generation(1, ready=ready)
    generations.shutdown.retire(only, None)

    assert generations.received() == [[Stop(drain=True, patient=True, accept=True)]]
