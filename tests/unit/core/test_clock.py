"""Deadlines and dates set after a handler that blocked count from its end, not from its start."""

import email.utils
import time
from collections.abc import Callable
from typing import Any

from kore._core.request import Request
from tests.helpers.core_client import get, post
from tests.helpers.fix_core import Pair

Make = Callable[..., Pair]
SOON = 50
BLOCKED = 60_000  # milliseconds
COARSE = 5  # CLOCK_REALTIME_COARSE of Linux: what time(2) reads


def blocking(pair: Make, **options: Any) -> Pair:
    """Return a pair whose handler of /block takes a minute, by the clock of the poller."""

    def run(request: Request) -> None:
        if request.path == "/block":
            house.poller.advance_clock(BLOCKED)
        request.response(200, b"done")

    house: Pair = pair(run, **options)
    return house


def test_a_connection_is_kept_after_an_answer_that_took_longer_than_that(pair: Make) -> None:
    house = blocking(pair, http_keepalive_time=SOON)
    house.ask(get("/block"))
    house.sweep(SOON / 2)

    assert house.ask(get()) == [200]


def test_a_client_that_connects_while_a_handler_blocks_has_its_whole_time(pair: Make) -> None:
    house = blocking(pair, http_header_timeout=SOON)
    house.client.send(get("/block"))
    late = house.knock()
    house.turn()
    house.sweep(SOON / 2)

    assert house.ask(get(), late) == [200]


def test_a_client_in_the_same_batch_has_its_whole_time_for_its_head(pair: Make) -> None:
    house = blocking(pair, http_header_timeout=SOON)
    other = house.connect()
    house.client.send(get("/block"))
    other.send(get()[:-1])
    house.turn()
    house.sweep(SOON / 2)

    assert house.ask(get()[-1:], other) == [200]


def test_a_body_behind_a_handler_that_blocks_has_its_whole_time(pair: Make) -> None:
    house = blocking(pair, http_body_timeout=SOON)
    other = house.connect()
    house.client.send(get("/block"))
    other.send(post(b"abc")[:-1])
    house.turn()
    house.sweep(SOON / 2)

    assert house.ask(b"c", other) == [200]


def test_a_refusal_behind_a_handler_that_blocks_reads_on_for_a_while(pair: Make) -> None:
    house = blocking(pair, tcp=True, http_body_max=10)
    other = house.connect()
    house.client.send(get("/block"))
    other.send(get("/", "Content-Length: 1000000", method="POST"))
    house.turn(lambda: other.read() or other.statuses)
    house.sweep(1)
    house.pour(b"x" * 100_000, other)
    house.turn()
    other.take()

    assert (other.statuses, other.end) == ([413], "closed")


def test_a_date_is_that_of_the_answer(pair: Make) -> None:
    def run(request: Request) -> None:
        began = second()
        while second() == began:
            time.sleep(0.01)
        request.response(200)

    house = pair(run)
    before = second()
    house.ask(get())
    date = email.utils.parsedate_to_datetime(house.client.last.get("date") or "")

    assert date.timestamp() > before


def second() -> int:
    return int(time.clock_gettime(COARSE))
