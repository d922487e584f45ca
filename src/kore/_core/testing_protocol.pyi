"""A second protocol, for tests; see testing_protocol.pyx."""

from collections.abc import Callable
from typing import Any

from kore._core.accesslog import AccessLog
from kore._core.connection import Connection
from kore._core.exchange import HttpProtocol
from kore._core.protocol import Protocol

def resume_transport(connection: Connection) -> None: ...
def try_transition(before: str, after: str) -> None: ...
def choose_protocol(
    resolve: Callable[..., Any], access_log: AccessLog | None = None
) -> Protocol: ...

class ChoosingProtocol(Protocol):
    """Looks at the first byte, and gives the transport to what it stands for."""

class FramedProtocol(HttpProtocol):
    """Carries any number of exchanges at a time."""
