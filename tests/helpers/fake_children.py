"""A parent whose children are objects of the test: their channels are real, their pids are not.

The pids are beyond those that the kernel gives, so a signal to one of them reaches no process.
"""

import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

from kore._conf.schema import Config
from kore._conf.settings import VERSION, Settings
from kore._process.ipc.channel import Channel, close_descriptors
from kore._process.ipc.descriptors import CHANNEL
from kore._process.ipc.messages import ConfigLoaded, Fork, Forked, Hello, Message, Ready, Stop
from kore._process.parent import children
from kore._process.parent.generation import Child
from kore._process.parent.launcher import LaunchOptions
from kore._process.parent.parent import Parent
from kore._process.parent.singletons import Singleton
from kore._process.roles import TEMPLATE

FIRST_PID = 1 << 23  # pid_max is 1 << 22 at most
M = TypeVar("M", bound=Message)


def status_of(*, code: int = 0, killed_by: int = 0) -> int:
    """Return what wait() says of an end."""
    return killed_by or code << 8


@dataclass(eq=False)
class FakeChild:
    """The other end of a child's channel, and what it has received."""

    family: "FakeFamily"
    channel: Channel
    pid: int
    number: int = 0

    def __post_init__(self) -> None:
        self.received: list[Message] = []

    def send(self, *messages: Message) -> None:
        """Send to the parent, and let it work."""
        for message in messages:
            self.channel.send(message)
        self.family.work()

    def receive(self, kind: type[M]) -> list[M]:
        """Return the messages of one kind received since the last call; keep the others."""
        self.received += self.channel.receive()
        found = [message for message in self.received if isinstance(message, kind)]
        self.received = [message for message in self.received if not isinstance(message, kind)]
        return found

    @property
    def stops(self) -> list[Stop]:
        return self.receive(Stop)

    @property
    def child(self) -> Child:
        """The parent's object for it."""
        (found,) = [c for c in self.family.parent.children.all if c.pid == self.pid]
        return found

    def close(self) -> None:
        """Close the channel, and the descriptors that came with orders the test ignores."""
        if self.channel.fileno() >= 0:
            for order in self.receive(Fork):
                close_descriptors(order.descriptors)
            self.channel.close()

    def exit(self, *, code: int = 0, killed_by: int = 0) -> None:
        """Let the parent find out that it has ended."""
        child = self.child
        self.close()
        self.family.parent.children._handle_exit(child, status_of(code=code, killed_by=killed_by))
        self.family.work()


class FakeFamily:
    """A parent, the templates it has started and the workers they have forked."""

    def __init__(self, stack: ExitStack, options: LaunchOptions) -> None:
        self.stack = stack
        self.pids = iter(range(FIRST_PID, FIRST_PID + 1000))
        self.templates: list[FakeChild] = []
        self.singletons: list[FakeChild] = []
        self.commands: list[tuple[str, list[str]]] = []
        self.parent = Parent(options)
        # The fake's processes are its own objects, which mypy does not take for real ones.
        self.parent.launcher.spawn = self.spawn  # type: ignore[assignment]
        # What the loop is to do later, by the seconds until then.
        self.later: list[tuple[float, Callable[[], object]]] = []
        # mypy allows no assignment to a method.
        self.parent.loop.after = lambda *entry: self.later.append(entry)  # type: ignore[method-assign]
        self.spawn_error: OSError | None = None

    def spawn(
        self, main: str, arguments: list[str], *, descriptors: Mapping[str, int], mark: str = ""
    ) -> int:
        """Stand in for a new interpreter."""
        if self.spawn_error:
            raise self.spawn_error
        self.commands.append((main, arguments))
        child = self.child(os.dup(descriptors[CHANNEL]))
        (self.templates if main == TEMPLATE.main else self.singletons).append(child)
        return child.pid

    def child(self, descriptor: int, number: int = 0) -> FakeChild:
        """Return the child at the other end of a channel."""
        end = socket.socket(fileno=descriptor)
        child = FakeChild(self, Channel(end, takes_descriptors=True), next(self.pids), number)
        self.stack.callback(child.close)
        return child

    def close(self) -> None:
        """Give everything back."""
        parent = self.parent
        parent.finish()
        known = {
            parent.active,
            parent.pending,
            *(c.generation for c in parent.children.all if not isinstance(c.owner, Singleton)),
        }
        for child in parent.children.all:
            child.channel.close()
        for generation in known - {None}:
            generation.close()

    def work(self) -> None:
        """Let the parent handle all that is there."""
        loop = self.parent.loop
        while loop._poll.poll(0) or loop._signals:
            loop.turn()

    def elapse(self, seconds: float) -> None:
        """Let time pass: call what is due by then."""
        due = [call for delay, call in self.later if delay <= seconds]
        self.later = [(d - seconds, call) for d, call in self.later if d > seconds]
        for call in due:
            call()
        self.work()

    # ---- steps that most tests begin with

    @property
    def template(self) -> FakeChild:
        return self.templates[-1]

    def load(self, **settings: Any) -> FakeChild:
        """Load an application: the template has said what it wants."""
        self.parent.load()
        self.configure(**settings)
        return self.template

    def configure(self, template: FakeChild | None = None, **settings: Any) -> None:
        """Let a template send its configuration."""
        plain = Config(Settings(**{"workers": 2, **settings}), (), ()).plain()
        (template or self.template).send(Hello(VERSION), ConfigLoaded(plain))

    def fork(self, template: FakeChild | None = None) -> list[FakeChild]:
        """Let a template fork the workers it was asked for."""
        template = template or self.template
        workers = []
        for order in template.receive(Fork):
            end, *others = order.descriptors
            close_descriptors(tuple(others))
            workers.append(self.child(end, order.number))
            template.send(Forked(order.number, workers[-1].pid))
        return workers

    def serve(self, **settings: Any) -> list[FakeChild]:
        """Load an application and have all its workers ready."""
        self.load(**settings)
        workers = self.fork()
        for worker in workers:
            worker.send(Ready())
        return workers


def sent_stop(child: FakeChild) -> bool:
    """Return whether a child has been told to stop since this was last asked."""
    return bool(child.stops)


@contextmanager
def fake_family(monkeypatch: pytest.MonkeyPatch, **options: Any) -> Iterator[FakeFamily]:
    """Make a parent that starts fake children."""
    monkeypatch.setattr(children, "is_child", lambda pid: pid >= FIRST_PID)
    with ExitStack() as stack:
        family = FakeFamily(stack, LaunchOptions(app="app.py", **options))
        try:
            yield family
        finally:
            family.close()
