"""Refusals in the log: one line a second, with the number of those left out."""

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
    """A connection with the attribute that is needed."""

    addr = "192.0.2.7"


def test_refusals_are_logged_once_a_second_with_a_count(caplog: pytest.LogCaptureFixture) -> None:
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


@pytest.mark.parametrize(
    ("quote", "text"),
    [(b"", ""), (b"a b: c", ", in 'a b: c'"), (b"\x16\xff'\n", ', in "' + r"\x16\xff'\n" + '"')],
)
def test_offending_bytes_are_escaped(
    caplog: pytest.LogCaptureFixture, quote: bytes, text: str
) -> None:
    caplog.set_level(logging.DEBUG, "kore")
    number = REFUSALS["FIELD_NAME"].number
    RefusalLog(Clock())(Client(), number, quote)  # type: ignore[arg-type]

    assert caplog.messages[0].endswith(f"a colon (RFC 9112 5.1){text}")
