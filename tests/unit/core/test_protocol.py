"""A protocol that is not HTTP/1, chosen by the first byte: the seam of a transport."""

import struct
from collections.abc import Callable, Iterator

import pytest

from kore._core.first_protocol import FirstProtocol
from kore._core.listener import Listener
from kore._core.request import Request
from kore._core.testing_protocol import choose_protocol
from tests.helpers.core_client import Client, get, post
from tests.helpers.fix_core import Pair, listening

Make = Callable[..., Pair]
CHOICE = b"\0"


def frame(number: int, data: bytes) -> bytes:
    """Return a request as the second protocol has it."""
    return struct.pack(">BI", number, len(data)) + data


def frames(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Return the number and the content of each frame."""
    while data:
        number, size = struct.unpack_from(">BI", data)
        yield number, data[5 : 5 + size]
        data = data[5 + size :]


def bodies(data: bytes) -> dict[int, bytes]:
    """Return the bodies of the responses that have ended, by number."""
    found: dict[int, bytes] = {}
    ended = set()
    for number, content in frames(data):
        if content[:1] == b"D":
            found[number] = found.get(number, b"") + content[1:]
        elif content == b"E":
            ended.add(number)
    return {number: found.get(number, b"") for number in ended}


class Choice:
    """A listener whose connections choose their protocol, and a client of it."""

    def __init__(self, pair: Make, run: Callable[..., object] | None = None) -> None:
        self.house = pair(run)
        self.socket = listening(tcp=False)
        self.listener = Listener(
            self.house.poller,
            self.house.service,
            self.socket,
            FirstProtocol(self.house.find, None, choose_protocol),
        )
        self.house.listeners = 2
        self.client = self.connect()

    def connect(self) -> Client:
        before, self.house.socket = self.house.socket, self.socket
        try:
            return self.house.connect()
        finally:
            self.house.socket = before

    def exchange(self, data: bytes) -> bytes:
        """Send *data* and return what comes."""
        self.client.send(data)
        self.house.turn()
        return self.client.take()

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def choose(pair: Make) -> Iterator[Callable[..., Choice]]:
    """Make such a listener and its client."""
    made: list[Choice] = []

    def make(run: Callable[..., object] | None = None) -> Choice:
        made.append(Choice(pair, run))
        return made[-1]

    yield make
    for choice in made:
        choice.close()


def echo(request: Request) -> None:
    request.response(200, request.body[::-1])


def test_the_first_byte_chooses(choose: Callable[..., Choice]) -> None:
    choice = choose(echo)
    first = choice.exchange(CHOICE + frame(7, post(b"abc")))
    second = choice.connect()
    choice.client = second
    plain = choice.exchange(post(b"abc"))

    assert bodies(first) == {7: b"cba"}
    assert plain.startswith(b"HTTP/1.1 200 OK\r\n")
    assert plain.endswith(b"\r\n\r\ncba")


def test_two_exchanges_are_under_way_at_once_and_end_in_any_order(
    choose: Callable[..., Choice],
) -> None:
    choice = choose()
    nothing = choice.exchange(CHOICE + frame(1, get("/1")) + frame(2, get("/2")))
    first, second = choice.house.held
    second.response(200, b"two")
    early = choice.client.take()
    first.response(200, b"one")
    late = choice.client.take()

    assert nothing == b""
    assert (bodies(early), bodies(late)) == ({2: b"two"}, {1: b"one"})
    assert choice.house.service.requests == 0


def test_pieces_of_two_exchanges_alternate(choose: Callable[..., Choice]) -> None:
    choice = choose()
    choice.exchange(CHOICE + frame(1, get("/1")) + frame(2, get("/2")))
    first, second = choice.house.held
    for request in (first, second):
        request.open_body(200)
    for piece in (b"a", b"b"):
        first.write_body(piece)
        second.write_body(piece.upper())
    second.end_body()
    first.end_body()

    data = choice.client.take()
    assert [number for number, content in frames(data) if content[:1] == b"D"] == [1, 2, 1, 2]
    assert bodies(data) == {1: b"ab", 2: b"AB"}


def test_an_iterator_is_a_body_there_as_well(choose: Callable[..., Choice]) -> None:
    choice = choose(lambda request: request.response(200, iter([b"x", b"y", b"z" * 50_000])))
    data = choice.exchange(CHOICE + frame(1, get()))
    while len(data) < 50_000:
        choice.house.turn()
        data += choice.client.take()

    assert bodies(data) == {1: b"xy" + b"z" * 50_000}


def test_frames_may_come_byte_by_byte(choose: Callable[..., Choice]) -> None:
    choice = choose(echo)
    data = b""
    for byte in CHOICE + frame(3, post(b"slow")):
        data += choice.exchange(bytes([byte]))

    assert bodies(data) == {3: b"wols"}


def test_an_error_ends_one_exchange_and_not_the_other(choose: Callable[..., Choice]) -> None:
    def run(request: Request) -> object:
        if request.path == "/bad":
            raise LookupError
        return choice.house.hold(request)

    choice = choose(run)
    data = choice.exchange(CHOICE + frame(1, get("/good")) + frame(2, get("/bad")))
    choice.house.held[0].response(200, b"fine")

    assert set(bodies(data)) == {2}
    assert b"H500" in dict(frames(data[: 5 + data[4]]))[2]
    assert bodies(choice.client.take()) == {1: b"fine"}
    assert choice.house.failed() == [LookupError]


def test_a_client_that_leaves_ends_all_of_its_exchanges(choose: Callable[..., Choice]) -> None:
    choice = choose()
    choice.exchange(CHOICE + frame(1, get("/1")) + frame(2, get("/2")))
    choice.client.close(reset=True)
    choice.house.turn(lambda: choice.house.service.connections == 1)

    assert [task.cancelled for task in choice.house.tasks] == [1, 1]
    assert choice.house.service.requests == 0
    for request in choice.house.held:
        assert request.response(200, b"late")
