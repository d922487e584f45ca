"""What makes the first protocol of a connection; see first_protocol.pyx."""

from collections.abc import Callable
from typing import Any

from kore._core.accesslog import AccessLog
from kore._core.protocol import Protocol
from kore._core.request import Request

class FirstProtocol:
    """What a listener's connections speak, and what finds the routes of their requests."""

    def __init__(
        self,
        resolve: Callable[[Request], Any],
        access_log: AccessLog | None = None,
        make_other: Callable[[Any, AccessLog | None], Protocol] | None = None,
    ) -> None: ...
