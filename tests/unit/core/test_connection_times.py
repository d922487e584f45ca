"""Time and ends: what is late is ended, what works is not, and a drain loses no answer."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kore._core.request import Request
from tests.helpers.core_client import get, post
from tests.helpers.fix_core import Pair

Make = Callable[..., Pair]
LARGE = b"x" * 3_000_000
SOON = 50
LATER = 60
# What clients have for a request after a drain has begun: another one, and the first.
LAST_REQUEST = 0.25
FIRST_REQUEST = 1.0


def large(request: Request) -> None:
    request.response(200, LARGE)


# ---- timeouts


def test_a_client_that_says_nothing_is_ended_without_a_word(pair: Make) -> None:
    house = pair(http_header_timeout=SOON)
    house.sweep(0)
    before = house.client.read(), house.client.end
    house.sweep(LATER)
    house.client.read()

    assert before == (b"", "")
    assert (house.client.end, house.client.received) == ("closed", 0)


@pytest.mark.parametrize("data", [b"G", b"\r\n", get()[:-1], get() + b"G"])
def test_a_head_that_takes_too_long_is_a_408(pair: Make, data: bytes) -> None:
    house = pair(http_header_timeout=SOON)
    house.ask(data)
    house.sweep(LATER)
    house.client.read()

    assert (house.client.statuses[-1], house.client.end) == (408, "closed")
    assert house.client.last.get("connection") == "close"


def test_dripping_a_head_does_not_earn_time(pair: Make) -> None:
    house = pair(http_header_timeout=SOON)
    for byte in get("/", "x: " + "y" * 50):
        house.client.send(bytes([byte]))
        house.turn()
        house.sweep(1)
    house.client.read()

    assert (house.client.statuses, house.seen) == ([408], [])


def test_between_requests_a_client_has_the_keep_alive_time(pair: Make) -> None:
    house = pair(http_keepalive_time=SOON, http_header_timeout=10)
    house.ask(get())
    house.sweep(20)
    second = house.ask(get())
    house.sweep(LATER)
    house.client.read()

    assert (second, house.client.statuses, house.client.end) == ([200], [200, 200], "closed")


def test_a_handler_has_all_the_time_it_wants(pair: Make) -> None:
    house = pair(None, http_header_timeout=0, http_body_timeout=0, http_keepalive_time=1)
    house.client.send(get() + get())
    house.turn()
    house.sweep(LATER)
    house.sweep(LATER)
    house.held[0].response(200, b"at last")
    house.client.read()

    assert house.client.last.body == b"at last"


@pytest.mark.parametrize(
    "data",
    [
        post(b"abc")[:-1],
        get("/", "Transfer-Encoding: chunked", method="POST") + b"3\r\nab",
        post(b"abc", "/", "Expect: 100-continue")[:-3],
    ],
)
def test_a_body_that_takes_too_long_is_a_408(pair: Make, data: bytes) -> None:
    house = pair(http_body_timeout=SOON)
    house.ask(data)
    house.sweep(LATER)
    house.client.read()

    assert (house.client.statuses[-1], house.client.end) == (408, "closed")
    assert house.seen == ["/"]


def test_a_body_earns_time_by_coming_fast_enough(pair: Make) -> None:
    house = pair(http_body_timeout=2, http_body_rate_min=50)
    house.ask(post(b"a" * 5000)[:-1])
    for _ in range(3):
        house.sweep(20)

    assert house.ask(b"a") == [200]


def test_a_client_that_stops_reading_is_ended(pair: Make) -> None:
    house = pair(large, http_write_timeout=SOON)
    house.client.send(get())
    house.turn()
    house.sweep(LATER)
    house.drink()

    assert (house.client.statuses, house.client.end) == ([], "closed")


def test_a_client_that_has_read_has_all_the_time_again(pair: Make) -> None:
    house = pair(large, http_write_timeout=SOON)
    house.client.send(get())
    house.turn()
    house.client.read(100_000)
    house.sweep(LATER)
    house.sweep(1)
    alive = house.service.connections
    house.sweep(LATER)

    assert (alive, house.service.connections) == (1, 0)


@pytest.mark.parametrize("tcp", [False, True])
def test_a_client_that_reads_slowly_is_not_one_that_stopped(pair: Make, *, tcp: bool) -> None:
    house = pair(large, http_write_timeout=SOON, tcp=tcp)
    house.client.send(get())
    house.turn()
    for _ in range(8):
        house.client.read(200_000)
        house.sweep(20)
    house.turn(lambda: house.client.read() == b"" and bool(house.client.statuses))

    assert house.client.statuses == [200]


def test_a_refused_client_has_two_seconds_to_go_whatever_it_does(pair: Make) -> None:
    house = pair()
    busy = house.connect()
    house.ask(b"nonsense\r\n\r\n")
    house.ask(b"nonsense\r\n\r\n", busy)
    house.sweep(0.1)
    before = house.service.connections
    for _ in range(20):
        busy.send(b"more")
        house.sweep(0.1)

    assert (before, house.service.connections) == (2, 0)


# ---- draining


def drained(pair: Make, data: bytes, run: Any = None, *, patient: bool = False) -> Pair:
    """Return a pair that got *data* before it was drained."""
    house = pair(run)
    house.client.send(data)
    house.turn()
    house.drain(patient=patient)
    house.client.read()
    return house


@pytest.mark.parametrize("data", [b"", get()])
def test_a_drain_ends_who_is_idle_unless_it_is_patient(pair: Make, data: bytes) -> None:
    house = drained(pair, data, echo)
    assert house.client.end == "", "a request may be on its way"
    house.sweep(LAST_REQUEST if data else FIRST_REQUEST)
    house.client.read()
    assert house.client.end == "closed"
    assert drained(pair, data, echo, patient=True).client.end == ""


@pytest.mark.parametrize("passed", [0, LAST_REQUEST - 0.05])
@pytest.mark.parametrize("before", [b"", get(), get() + get()])
def test_an_idle_client_may_send_one_more_request_after_a_drain_began(
    pair: Make, before: bytes, passed: float
) -> None:
    house = drained(pair, before, echo)
    house.sweep(passed)
    house.drain()  # asked again, it waits no longer
    house.client.statuses.clear()

    assert house.ask(get() + get()) == [200]
    assert (house.client.last.get("connection"), house.client.end) == ("close", "closed")


def test_a_client_that_connected_long_ago_may_still_send_its_first_request(pair: Make) -> None:
    house = pair(echo)
    house.sweep(FIRST_REQUEST)
    house.drain()
    house.sweep(LAST_REQUEST - 0.05)

    assert house.ask(get()) == [200]
    assert house.client.end == "closed"


@pytest.mark.parametrize("again", [False, True])
def test_draining_again_gives_idle_clients_no_more_time(pair: Make, *, again: bool) -> None:
    house = drained(pair, get(), echo)
    for _ in range(5):
        house.sweep(LAST_REQUEST / 5 + 0.01)
        if again:
            house.drain()
    house.client.read()

    assert house.client.end == "closed"


def test_the_last_answer_survives_what_its_client_sent_meanwhile(pair: Make) -> None:
    """Closing before all is read would be a reset, and destroy it."""
    house = drained(pair, get(), echo)
    house.client.send(get())
    house.turn()
    house.client.send(get())
    house.turn()
    house.client.read()

    assert house.client.statuses == [200, 200]
    assert (house.client.last.get("connection"), house.client.end) == ("close", "closed")


def echo(request: Request) -> None:
    request.response(200, request.body)


@pytest.mark.parametrize("patient", [False, True])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (get()[:5], get()[5:]),
        (post(b"abc")[:-2], b"bc"),
        (get("/", "Transfer-Encoding: chunked", method="POST"), b"3\r\nabc\r\n0\r\n\r\n"),
    ],
)
def test_a_request_that_had_begun_is_answered_with_the_end(
    pair: Make, before: bytes, after: bytes, *, patient: bool
) -> None:
    house = drained(pair, before, echo, patient=patient)

    assert house.ask(after) == [200]
    assert (house.client.last.get("connection"), house.client.end) == ("close", "closed")


def test_with_patience_the_next_answer_is_the_last(pair: Make) -> None:
    house = drained(pair, get(), echo, patient=True)

    assert house.ask(get() + get()) == [200]
    assert (house.client.last.get("connection"), house.client.end) == ("close", "closed")


@pytest.mark.parametrize("patient", [False, True])
def test_a_handler_that_waits_answers_with_the_end(pair: Make, *, patient: bool) -> None:
    house = drained(pair, get() + get(), patient=patient)
    house.held[0].response(200, b"done")
    house.turn()
    house.client.read()

    assert (house.client.last.body, house.client.end) == (b"done", "closed")
    assert house.client.last.get("connection") == "close"
    assert len(house.held) == 1


@pytest.mark.parametrize("patient", [False, True])
def test_a_client_that_pipelines_and_reads_slowly_comes_to_an_end(
    pair: Make, *, patient: bool
) -> None:
    house = drained(pair, get() * 4, large, patient=patient)
    house.drink()

    assert house.client.statuses in ([200], [200, 200])
    assert (house.client.last.get("connection"), house.client.end) == ("close", "closed")


def test_a_client_that_is_slow_to_read_its_last_answer_is_ended_then(pair: Make) -> None:
    house = drained(pair, get(), large)
    house.drink()

    assert (house.client.statuses, house.client.end) == ([200], "closed")


@pytest.mark.parametrize("kind", ["iterator", "stream"])
def test_a_body_that_had_begun_ends_with_its_connection(pair: Make, kind: str) -> None:
    def items() -> Iterator[bytes]:
        for _ in range(300):
            yield b"x" * 10_000

    def run(request: Request) -> object:
        if kind == "iterator":
            return request.response(200, items())
        request.open_body(200)
        return house.hold(request)

    house = pair(run)
    house.client.send(get())
    house.turn()
    house.drain()
    for request in house.held:
        request.end_body()
    house.drink()

    assert (house.client.statuses, house.client.end) == ([200], "closed")


def test_a_request_that_nobody_has_read_is_answered(pair: Make) -> None:
    house = pair()
    house.client.send(get())
    house.drain()
    house.client.read()

    assert (house.client.statuses, house.client.end) == ([200], "closed")


@pytest.mark.parametrize("data", [b"", get(), get()[:-1]])
def test_who_waits_at_the_door_is_let_in_and_served(pair: Make, data: bytes) -> None:
    house = pair()
    waiting = [house.knock() for _ in range(5)]
    for client in waiting:
        client.send(data)
    house.drain()
    for client in waiting:
        client.send(get()[-1:] if data == get()[:-1] else b"")
    house.turn()
    house.sweep(1)
    for client in waiting:
        client.read()

    assert [client.statuses for client in waiting] == [[200] if data else []] * 5
    assert [client.end for client in waiting] == ["closed"] * 5


def test_with_patience_who_waits_at_the_door_is_left_to_others(pair: Make) -> None:
    house = pair()
    client = house.knock()
    client.send(get())
    house.drain(patient=True)
    other, _ = house.socket.accept()
    with other:
        assert other.recv(100) == get()


def test_a_body_that_nobody_wants_does_not_hold_up_a_drain(pair: Make) -> None:
    house = pair(resolve=lambda request: request.refuse(404))
    house.ask(post(b"abc")[:-1])
    house.drain()
    house.client.read()

    assert (house.client.statuses, house.client.end) == ([404], "closed")


def test_draining_twice_is_draining(pair: Make) -> None:
    house = drained(pair, get())
    house.drain()
    house.held[0].response(200)
    house.drain()
    house.client.read()
    house.client.close()
    house.turn()

    assert (house.client.statuses, house.client.end) == ([200], "closed")
    assert len(house.poller) == 0
