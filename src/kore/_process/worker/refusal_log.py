"""Notices of requests that were refused: who sent them, and which rule they broke."""

from collections.abc import Callable
from typing import Final

from kore._core.connection import Connection
from kore._core.refusals import RULES
from kore._process.log.handlers import NOTICE, log

# Between two lines: anyone can send what is refused, as often as they like.
INTERVAL: Final = 1.0


class RefusalLog:
    """Logs refusals, at most one in a second; the next one says how many were left out."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.next = clock()
        self.left_out = 0

    def __call__(self, connection: Connection, reason: int) -> None:
        """Log that a request of a connection was refused, and why."""
        now = self.clock()
        if now < self.next:
            self.left_out += 1
            return
        self.next = now + INTERVAL
        rule = RULES[reason]
        more = f"; {self.left_out} more since the last such line" if self.left_out else ""
        self.left_out = 0
        log.info(
            "request of %s refused with %d: %s (%s)%s", connection.addr,
            rule.status, rule.text, rule.section, more, extra={"priority": NOTICE},
        )  # fmt: skip
