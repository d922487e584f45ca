"""Refusals in the log: one line a second, and how many it leaves out."""

import logging

import pytest

from kore._core.refusals import REFUSALS
from kore._process.worker.refusal_log import INTERVAL, RefusalLog


class Clock:
    """A clock that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Client:
    """A connection, as far as this goes."""

    addr = "192.0.2.7"


def test_one_line_in_a_second_that_counts_the_others(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "kore")
    clock = Clock()
    refused = RefusalLog(clock)
    number = REFUSALS["HOST_MISSING"].number

    for step in (0, 0.1, INTERVAL / 2, INTERVAL / 2, 0, INTERVAL):
        clock.now += step
        refused(Client(), number)  # type: ignore[arg-type]

    line = "request of 192.0.2.7 refused with 400: there is no Host field (RFC 9112 3.2)"
    more = "more since the last such line"
    assert caplog.messages == [line, f"{line}; 2 {more}", f"{line}; 1 {more}"]
