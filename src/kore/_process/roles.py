"""The table of processes: what each runs, what its death means, what it may say to the parent."""

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Final

from kore._process.ipc.messages import (
    ConfigLoaded,
    Draining,
    Fatal,
    Forked,
    Hello,
    LogLine,
    Message,
    MessageKind,
    NotForked,
    Ready,
    RoutedMessage,
    Shutdown,
    StartTimeout,
)

# What a template is told that has to leave the terminal.
BACKGROUND: Final = "background"
# What one is told that runs under `kodev run`.
DEVELOPMENT: Final = "development"


@dataclass(frozen=True, slots=True)
class Role:
    """A kind of process. *main* is `module:function`: the parent must not import what it names."""

    name: str
    label: str
    main: str
    sends: frozenset[type[Message]]
    essential: bool = False
    # The names of the roles it may send parcels to, by their kinds.
    parcels: Mapping[int, frozenset[str]] = field(default_factory=dict, hash=False)

    def who(self, number: int) -> str:
        """Return the name for log lines and titles."""
        return f"[{self.label} {number}]" if number else f"[{self.label}]"

    def title(self, server: str, number: int = 0) -> str:
        """Return what ps shows."""
        return f"{server} {self.who(number)}"


TEMPLATE: Final = Role(
    name="template",
    label="template",
    main="kore._process.template.template:main",
    sends=frozenset({Hello, StartTimeout, ConfigLoaded, Forked, NotForked, LogLine, Fatal}),
)
WORKER: Final = Role(
    name="worker",
    label="wrk",
    main="kore._process.worker.worker:main",
    sends=frozenset({Ready, Draining, Shutdown, LogLine, Fatal, RoutedMessage}),
    parcels={
        MessageKind.OBJECT: frozenset({"worker"}),
        MessageKind.BROADCAST: frozenset({"worker"}),
    },
)


class Verdict(enum.Enum):
    """What follows the death of a child."""

    RESTART = "restart"
    SHUT_DOWN = "shut down"


def verdict(role: Role, policy: str) -> Verdict:
    """Say what the death of a child means. Pure, so that no test has to kill anything.

    The exit status does not matter: while the server is up a worker that left with 0 is missing
    as much as one that crashed. The template serves nobody, so the policy is not about it.
    """
    if role.essential or (role.name == "worker" and policy == "terminate"):
        return Verdict.SHUT_DOWN
    return Verdict.RESTART


def entry(main: str) -> Callable[..., Any]:
    """Import what a role runs."""
    module, _, function = main.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), function)
    return found
