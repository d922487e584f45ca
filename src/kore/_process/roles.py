"""Roles: the kinds of processes, what each runs, may send to the parent, and is handed.

A new kind of process is a new `Role`. A template and its workers belong to a generation, which is
one load of the application. A singleton runs once for the server, beside all generations.
"""

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Final

from kore._process.ipc import descriptors
from kore._process.ipc.messages import (
    ConfigLoaded,
    Draining,
    FatalError,
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
from kore._process.ipc.tls_messages import (
    DomainLoaded,
    DomainRefused,
    DomainUnchanged,
    TicketKeys,
    TlsServed,
)

# Mode of a template that detaches from the terminal.
BACKGROUND: Final = "background"
# Mode of a template under `kodev run`.
DEVELOPMENT: Final = "development"


class RoleKind(enum.Enum):
    """How processes of a role are started, and what they belong to."""

    # Spawned; one for each generation.
    TEMPLATE = "template"
    # Forked by the template; several for each generation, told apart by their numbers.
    WORKER = "worker"
    # Spawned; one for the server, restarted with a back-off of its own (`parent/singletons.py`).
    SINGLETON = "singleton"


@dataclass(frozen=True, slots=True)
class Role:
    """A kind of process. *main* is `module:function`: the parent must not import it."""

    name: str
    # Name in log lines and process titles.
    label: str
    kind: RoleKind
    main: str
    # Messages that the parent accepts from it.
    sends: frozenset[type[Message]]
    # Whether descriptors are accepted with its messages.
    sends_descriptors: bool = False
    # Names of the descriptors it is always handed.
    descriptors: tuple[str, ...] = (descriptors.CHANNEL,)
    # Roles it may send routed messages to, by message kind.
    message_targets: Mapping[int, frozenset[str]] = field(default_factory=dict, hash=False)

    def format_name(self, number: int) -> str:
        """Return the name for log lines and titles."""
        return f"[{self.label} {number}]" if number else f"[{self.label}]"

    def format_title(self, server: str, number: int = 0) -> str:
        """Return the title for ps."""
        return f"{server} {self.format_name(number)}"


TEMPLATE: Final = Role(
    name="template",
    label="template",
    kind=RoleKind.TEMPLATE,
    main="kore._process.template.template:main",
    sends=frozenset({Hello, StartTimeout, ConfigLoaded, Forked, NotForked, LogLine, FatalError}),
)
WORKER: Final = Role(
    name="worker",
    label="wrk",
    kind=RoleKind.WORKER,
    main="kore._process.worker.worker:main",
    sends=frozenset({Ready, Draining, Shutdown, LogLine, FatalError, RoutedMessage, TlsServed}),
    descriptors=(descriptors.CHANNEL, descriptors.SCOREBOARD, descriptors.PARENT_DEATH),
    message_targets={
        MessageKind.OBJECT: frozenset({"worker"}),
        MessageKind.BROADCAST: frozenset({"worker"}),
    },
)
KEYMGR: Final = Role(
    name="key process",
    label="keymgr",
    kind=RoleKind.SINGLETON,
    main="kore._process.keymgr.keymgr:main",
    sends=frozenset(
        {Ready, LogLine, FatalError, DomainLoaded, DomainUnchanged, DomainRefused, TicketKeys}
    ),
    sends_descriptors=True,
)


def import_main(main: str) -> Callable[..., Any]:
    """Import the main function of a role."""
    module, _, name = main.partition(":")
    function: Callable[..., Any] = getattr(import_module(module), name)
    return function
