"""Bodies on their way to somewhere else than memory, and routes that ask for more than that."""

from collections.abc import Callable
from typing import Any

import pytest

from kore._conf.schema import BodyOptions
from kore._core.request import Request
from tests.helpers.core_client import get, post
from tests.helpers.core_sink import Sink
from tests.helpers.fix_core import Pair, Pending

Make = Callable[..., Pair]
EXPECT = "Expect: 100-continue"


def hook(*_: object) -> None:
    """Stand for a hook: who calls it is the service's business."""


STREAM = BodyOptions(stream=True)
CHUNKS = BodyOptions(on_body_chunk=hook)


def echo(request: Request) -> None:
    request.response(200, request.body)


def chunked(data: bytes) -> bytes:
    head = get("/", "Transfer-Encoding: chunked", method="POST")
    return head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data)


def house(pair: Make, run: Any, extras: BodyOptions | None, **limits: Any) -> Pair:
    made: Pair = pair(run, **limits)
    made.route.extras = extras
    return made


def whole(sink: Sink) -> bytes:
    return b"".join(sink.pieces)


# ---- bodies that are larger than memory may be


@pytest.mark.parametrize("make", [post, chunked])
@pytest.mark.parametrize("size", [11, 70_000, 300_000])
def test_a_body_over_the_offload_goes_elsewhere(
    pair: Make, make: Callable[[bytes], bytes], size: int
) -> None:
    made = house(pair, echo, None, http_body_disk_offload=10)
    data = bytes(n % 251 for n in range(size))
    made.pour(make(data) + make(b"0123456789") + get())
    made.drink()

    (sink,) = made.sinks
    assert (whole(sink), sink.said) == (data, ["end"])
    assert [answer.body for answer in made.client.reader.answers] == [data, b"0123456789", b""]
    assert [found for _, found in made.freed] == [sink]


def test_few_bytes_are_not_worth_a_call(pair: Make) -> None:
    made = house(pair, echo, None, http_body_disk_offload=10)
    made.least = 100_000
    data = bytes(n % 251 for n in range(250_000))
    request = post(data)
    for at in range(0, len(request), 10_000):
        made.ask(request[at : at + 10_000])

    (sink,) = made.sinks
    assert whole(sink) == data
    assert [len(piece) >= 100_000 for piece in sink.pieces] == [True, True, False]


@pytest.mark.parametrize("extras", [None, CHUNKS, STREAM], ids=["file", "hook", "stream"])
@pytest.mark.parametrize("make", [post, chunked])
def test_nothing_is_read_while_there_is_no_room(
    pair: Make, make: Callable[[bytes], bytes], extras: BodyOptions | None
) -> None:
    made = house(pair, None, extras, http_body_disk_offload=10)
    made.room = 1
    request = make(bytes(5000))
    made.ask(request[:150])
    (sink,) = made.sinks
    made.ask(request[150:])
    assert len(sink.pieces) == 1

    for _ in range(5):
        made.requests[-1].resume_body()
        made.turn()
    assert (len(whole(sink)), sink.said) == (5000, ["end"])


def test_a_client_is_not_late_while_there_is_no_room(pair: Make) -> None:
    made = house(pair, None, CHUNKS, http_body_rate_min=1 << 40)
    made.room = 1
    made.ask(post(b"abc")[:-1])
    made.sweep(61)
    assert made.client.statuses == []
    made.requests[-1].resume_body()
    made.sweep(61)
    made.client.read()

    assert made.client.statuses == [408]
    assert made.sinks[0].said == ["stop"]


# ---- handlers that read


def test_a_handler_runs_before_its_body_is_there(pair: Make) -> None:
    made = house(pair, None, STREAM)
    made.ask(post(b"abc")[:-3])
    assert len(made.held) == 1
    made.ask(b"ab")
    made.ask(b"c" + get())
    made.held[0].response(200, made.held[0].body)
    made.turn()
    made.client.read()

    assert (made.sinks[0].pieces, made.sinks[0].said) == ([b"ab", b"c"], ["end"])
    assert made.client.reader.answers[0].body == b"abc"


def test_a_stream_without_a_body_has_an_end(pair: Make) -> None:
    made = house(pair, echo, STREAM)

    assert made.ask(get() + post(b"")) == [200, 200]
    assert [sink.said for sink in made.sinks] == [["end"], ["end"]]


@pytest.mark.parametrize("make", [post, chunked])
@pytest.mark.parametrize("cut", [60, 100, 3000])
def test_the_rest_of_a_body_is_skipped_after_an_early_answer(
    pair: Make, make: Callable[[bytes], bytes], cut: int
) -> None:
    made = house(pair, None, STREAM)
    request = make(bytes(5000))
    made.ask(request[: cut + 80])
    made.held[0].response(200, b"")
    made.ask(request[cut + 80 :])
    made.ask(get("/next"))

    assert made.seen == ["/", "/next"]
    assert made.sinks[0].said == ["stop"]


@pytest.mark.parametrize("make", [post, chunked])
def test_the_rest_of_a_large_body_ends_the_connection(
    pair: Make, make: Callable[[bytes], bytes]
) -> None:
    made = house(pair, None, STREAM)
    request = make(bytes(500_000))
    made.ask(request[:300])
    made.held[0].response(200, b"")
    made.pour(request[300:])
    made.drink()

    assert made.client.end == "closed"
    assert made.client.statuses == [200]


@pytest.mark.parametrize("extras", [STREAM, CHUNKS, None], ids=["stream", "hook", "file"])
def test_a_client_that_leaves_is_the_end_of_its_body_once(
    pair: Make, extras: BodyOptions | None
) -> None:
    made = house(pair, None, extras, http_body_disk_offload=10)
    made.ask(post(bytes(5000))[:-10])
    made.client.close(reset=True)
    made.turn()

    assert made.sinks[0].said == ["stop"]
    assert [sink for _, sink in made.freed] == made.sinks
    assert [task.cancelled for task in made.tasks] == [1] * len(made.held)


@pytest.mark.parametrize("status", [400, 507])
@pytest.mark.parametrize("extras", [STREAM, CHUNKS, None], ids=["stream", "hook", "file"])
def test_a_body_may_be_spoiled(pair: Make, extras: BodyOptions | None, status: int) -> None:
    made = house(pair, None, extras, http_body_disk_offload=10)
    made.ask(post(bytes(5000))[:-10])
    made.requests[-1].fail_and_cancel_tasks(status)
    made.turn()
    made.client.read()

    assert made.client.statuses == [status]
    assert made.sinks[0].said == ["stop"]
    assert [task.cancelled for task in made.tasks] == [1] * len(made.held)
    made.requests[-1].fail_and_cancel_tasks(status)
    made.requests[-1].resume_body()
    made.requests[-1].send_continue()
    made.requests[-1].resume()


def test_what_a_sink_raises_is_a_500(pair: Make) -> None:
    made = house(pair, echo, CHUNKS)

    def broken(request: Request, extras: object) -> Sink:
        sink = Sink(1, 1)
        sink.feed = lambda piece: 1 // 0  # type: ignore[method-assign, assignment]
        return sink

    made.sink_of = broken
    assert made.ask(post(b"abc") + get()) == [500]
    assert made.failed() == [ZeroDivisionError]
    assert made.client.end == "closed"


def test_a_stream_that_expects_it_is_told_when_its_body_is_wanted(pair: Make) -> None:
    made = house(pair, None, STREAM, http_body_rate_min=1 << 40)
    assert made.ask(post(b"abc", "/", EXPECT)[:-3]) == []
    made.sweep(61)
    made.held[0].send_continue()
    made.held[0].send_continue()
    made.turn()
    made.client.read()
    assert made.client.statuses == [100]
    assert made.ask(b"abc") == []
    made.held[0].response(200, b"")
    made.turn()
    made.client.read()

    assert made.client.statuses == [100, 200]


# ---- limits and hooks of a route


def test_a_route_may_have_a_limit_of_its_own(pair: Make) -> None:
    made = house(pair, echo, BodyOptions(body_max=5), http_body_max=3)

    assert made.ask(post(b"12345") + chunked(b"12345") + post(b"123456")) == [200, 200, 413]
    small = house(pair, echo, BodyOptions(body_max=0), http_body_max=3)
    assert small.ask(post(b"") + chunked(b"1")) == [200, 413]


@pytest.mark.parametrize("data", [b"", b"abc"])
def test_a_request_goes_on_when_it_is_let_in(pair: Make, data: bytes) -> None:
    made = house(pair, echo, BodyOptions(on_headers=hook))

    assert made.ask(post(data)) == [200]
    made.welcome = False
    assert made.ask(post(data)) == []
    made.greeted[-1].resume()
    made.turn()
    made.client.read()
    assert made.client.statuses == [200, 200]
    assert [len(made.greeted), made.client.last.body] == [2, data]


def test_a_request_that_was_answered_does_not_go_on(pair: Make) -> None:
    made = house(pair, echo, BodyOptions(on_headers=hook))
    made.welcome = False
    made.ask(post(b"abc") + get())
    made.greeted[0].response(403)
    made.greeted[0].resume()
    made.turn()
    made.client.read()
    made.greeted[1].resume()
    made.turn()
    made.client.read()

    assert made.client.statuses == [403, 200]


def test_a_body_too_large_is_refused_before_anybody_is_asked(pair: Make) -> None:
    made = house(pair, echo, BodyOptions(on_headers=hook, on_free=hook), http_body_max=2)

    assert made.ask(post(b"abc")) == [413]
    assert made.greeted == []
    assert len(made.freed) == 1


def test_the_end_is_told_for_routes_that_ask_for_it_and_for_no_others(pair: Make) -> None:
    made = house(pair, echo, BodyOptions(on_free=hook))
    assert made.ask(get() + post(b"abc")) == [200, 200]
    assert len(made.freed) == 2
    made.route.extras = None
    made.ask(get())

    assert len(made.freed) == 2


class Unstoppable(Sink):
    """Where a body goes that cannot be told that no more comes."""

    def stop(self) -> None:
        super().stop()
        raise ValueError("stop")


@pytest.mark.parametrize("rest", [5, 200_000])
def test_a_sink_whose_stop_raises_harms_nothing_else(pair: Make, rest: int) -> None:
    made = house(pair, lambda request: request.response(200, b"early"), STREAM)
    made.sink_of = lambda request, extras: made.sinks.append(Unstoppable(1, 9)) or made.sinks[-1]
    head = get("/", f"Content-Length: {rest}", method="POST")

    assert made.ask(head) == [200]
    assert made.failed() == [ValueError]
    made.pour(b"b" * rest + get())
    made.drink()
    kept = made.client.statuses[1:]

    assert kept == ([200] if rest == 5 else [])
    assert [sink.said for sink in made.sinks[:1]] == [["stop"]]
    assert made.ask(get(), made.connect()) == [200]
    made.failed()


def test_a_sink_whose_stop_raises_when_its_client_leaves(pair: Make) -> None:
    made = house(pair, lambda request: Pending(), STREAM)
    made.sink_of = lambda request, extras: made.sinks.append(Unstoppable(1, 9)) or made.sinks[-1]
    client = made.connect()
    client.send(post(b"b" * 100)[:-1])
    made.turn()
    client.close(reset=True)
    made.turn()

    assert (made.failed(), made.sinks[0].said) == ([ValueError], ["stop"])
    assert (made.service.requests, made.service.connections) == (0, 1)
