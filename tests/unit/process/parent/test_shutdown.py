from collections.abc import Iterator

import pytest

from kore._conf.server_schema import Address, Server
from kore._conf.settings import Settings
from kore._process.ipc.channel import Channel, open_pair
from kore._process.ipc.messages import Message, Stop
from kore._process.parent.children import Children
from kore._process.parent.eventloop import ParentLoop
from kore._process.parent.generation import Child, Generation
from kore._process.parent.listeners import Listeners
from kore._process.parent.shutdown import GracefulShutdown
from kore._process.parent_config import ParentConfig
from kore._process.roles import WORKER

SERVER = Server("http", Address(ip="127.0.0.1"), tls=False)


class Nobody:
    """Owns children and does not care."""

    def on_message(self, child: Child, message: Message) -> None:
        """Take a message."""

    def on_exit(self, child: Child, status: int) -> None:
        """Take note of an end."""


class House:
    """Endings, and all they end."""

    def __init__(self) -> None:
        self.loop = ParentLoop()
        self.children = Children(self.loop, Nobody())
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

    def told(self) -> list[list[Message]]:
        return [other.receive() for other in self.others]

    def close(self) -> None:
        for child in self.children.all:
            child.channel.close()
        for other in self.others:
            other.close()
        self.listeners.close_all_except(())
        self.loop.close()


@pytest.fixture
def house() -> Iterator[House]:
    ours = House()
    yield ours
    for generation in {child.generation for child in ours.children.all}:
        generation.close()
    ours.close()


def test_who_has_no_heir_lets_in_who_waits_and_is_patient_all_the_same(house: House) -> None:
    old = house.generation(2)
    house.shutdown.retire(old, house.generation(1))

    heir, last, new = house.told()
    assert heir == [Stop(drain=True, patient=True, accept=False)]
    assert last == [Stop(drain=True, patient=True, accept=True)]
    assert new == []


def test_at_the_end_of_the_server_nobody_is_waited_for(house: House) -> None:
    house.shutdown.stopping = True
    only = house.generation(1)
    house.shutdown.retire(only, only)

    assert house.told() == [[Stop(drain=True, patient=False, accept=True)]]


def test_a_worker_for_which_there_is_no_time_ends_at_once(house: House) -> None:
    house.shutdown.immediate = True
    only = house.generation(1)
    house.shutdown.retire(only, only)

    assert house.told() == [[Stop(drain=False)]]


@pytest.mark.parametrize("ready", [False, True])
def test_a_worker_that_may_serve_by_now_drains_without_a_generation_that_serves(
    house: House, *, ready: bool
) -> None:
    """It may be ready, and the message that says so on its way."""
    only = house.generation(1, ready=ready)
    house.shutdown.retire(only, None)

    assert house.told() == [[Stop(drain=True, patient=True, accept=True)]]
