"""Notices of refused requests: the client, the rule, and the bytes that break it."""

from collections.abc import Callable
from typing import Final

from kore._core.connection import Connection
from kore._core.refusals import RULES
from kore._process.log.handlers import NOTICE, log

# Seconds between two lines, because a client can send as many malformed requests as it likes.
INTERVAL: Final = 1.0


class RefusalLog:
    """Logs refusals, at most one in INTERVAL; the next line says how many were left out."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.next = clock()
        self.left_out = 0

    def __call__(self, connection: Connection, reason: int, quote: bytes = b"") -> None:
        """Log that a request of a connection was refused, and why.

        *quote* are the bytes that break the rule, cut by the core; they are escaped here.
        """
        now = self.clock()
        if now < self.next:
            self.left_out += 1
            return
        self.next = now + INTERVAL
        rule = RULES[reason]
        where = f", in {quote!r}".replace(", in b", ", in ", 1) if quote else ""
        more = f"; {self.left_out} more since the last such line" if self.left_out else ""
        self.left_out = 0
        log.info(
            "request of %s refused with %d: %s (%s)%s%s", connection.addr,
            rule.status, rule.text, rule.section, where, more, extra={"priority": NOTICE},
        )  # fmt: skip
