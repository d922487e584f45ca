"""Bytes between sockets and memory: whole, in order, no faster than they are read, never copied."""

import select
import socket
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kore._core.request import Request
from tests.helpers.core_client import get, post
from tests.helpers.fix_core import Pair
from tests.helpers.procs import PATIENCE

Make = Callable[..., Pair]
LARGE = bytes(range(256)) * 8192  # 2 MB: no socket buffer of these tests takes it whole


def slowly(house: Pair, step: int = 100_000, answers: int = 1) -> None:
    """Let the client read *step* bytes at a time, the core a turn after each."""
    while len(house.client.reader.final) < answers:
        both = [house.client.socket.fileno(), house.poller.fileno()]
        assert select.select(both, [], [], PATIENCE)[0], "nothing comes"
        house.step()
        house.client.read(step)


@pytest.mark.parametrize("tcp", [False, True])
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_a_large_body_waits_for_its_reader_and_arrives_whole(
    pair: Make, kind: Callable[[bytes], object], *, tcp: bool
) -> None:
    house = pair(lambda request: request.response(200, kind(LARGE)), tcp=tcp)
    house.client.send(get())
    house.turn()
    slowly(house)

    assert house.client.last.body == LARGE
    assert house.client.received - len(LARGE) < 300


def test_a_client_that_reads_nothing_costs_no_time(pair: Make) -> None:
    house = pair(lambda request: request.response(200, LARGE))
    house.client.send(get())
    house.turn()

    assert not house.ready(), "nothing happens until it reads"
    assert house.service.connections == 1


PIECES: list[Any] = [
    b"small",
    LARGE[:50_000],
    b"",
    b"s",
    memoryview(LARGE[:20_000]),
    "caf\xe9",
    LARGE[:16384],
]
PIECES += [LARGE[:16385], memoryview(b"m"), bytearray(b"b"), b"x" * 300_000, b"end"]


@pytest.mark.parametrize("minor", ["1.1", "1.0"])
def test_large_and_small_pieces_keep_their_order(pair: Make, minor: str) -> None:
    house = pair(lambda request: request.response(200, iter(PIECES)))
    house.client.send(get(version=minor))
    house.turn()
    slowly(house, 7001)

    assert house.client.last.body == b"".join(
        piece.encode() if isinstance(piece, str) else bytes(piece) for piece in PIECES
    )


@pytest.mark.parametrize("size", [0, 1, 16383, 16384, 16385, 32768, 65536, 65537])
def test_a_body_of_any_size_follows_its_head(pair: Make, size: int) -> None:
    house = pair(lambda request: request.response(200, LARGE[:size]))

    assert house.ask(get() * 3) == [200, 200, 200]
    assert [answer.body for answer in house.client.reader.answers] == [LARGE[:size]] * 3


def test_answers_of_all_sizes_come_in_the_order_of_their_questions(pair: Make) -> None:
    sizes = [3, 70_000, 0, 16384, 200_000, 1, 16385, 500_000, 5]
    house = pair(lambda request: request.response(200, LARGE[: int(request.path[1:])]))
    house.client.send(b"".join(get(f"/{size}") for size in sizes))
    house.turn()
    slowly(house, 9999, len(sizes))

    assert [len(answer.body) for answer in house.client.reader.answers] == sizes


def test_a_large_body_is_not_copied_on_its_way(pair: Make) -> None:
    bodies: dict[str, object] = {"/b": b"x" * (1 << 24), "/m": memoryview(b"y" * (1 << 24))}
    house = pair(lambda request: request.response(200, bodies[request.path]))
    tracemalloc.start()
    try:
        for path in bodies:
            house.client.send(get(path))
            house.turn()
            peak = tracemalloc.get_traced_memory()[1]
            assert peak < 1 << 20, path
            while house.client.socket.fileno() >= 0 and skim(house):
                pass
    finally:
        tracemalloc.stop()


def skim(house: Pair) -> int:
    """Let the client read and forget."""
    try:
        taken = len(house.client.socket.recv(1 << 16))
    except BlockingIOError:
        return 0
    house.turn()
    return taken


def test_a_body_is_given_back_when_it_is_sent(pair: Make) -> None:
    class Tracked(bytes):
        pass

    gone: list[bool] = []

    class Noticed(Tracked):
        def __del__(self) -> None:
            gone.append(True)

    house = pair(lambda request: request.response(200, Noticed(LARGE)))
    house.client.send(get())
    house.turn()
    before = list(gone)
    house.drink()

    assert (before, gone) == ([], [True])


def test_a_body_whose_end_closes_the_connection_is_sent_whole(pair: Make) -> None:
    """Its destructor runs between two writes, where nothing is finished."""
    closed: list[object] = []

    class Last(bytes):
        def __del__(self) -> None:
            closed.append(house.held[0].connection.disconnect())

    def run(request: Request) -> None:
        house.held.append(request)
        request.response(200, iter([Last(LARGE), b"more"]))

    house = pair(run)
    house.client.send(get())
    house.drink()

    assert closed
    assert (house.client.end, house.client.received > len(LARGE)) == ("closed", True)


def test_a_body_in_one_piece_is_asked_for_in_the_largest_pieces(pair: Make) -> None:
    """Received into the object that the handler gets: no more reads than there must be."""

    def keep(request: Request) -> None:
        bodies.append(request.body)
        request.response(200)

    bodies: list[bytes] = []
    house = pair(keep)
    data = LARGE[:1_000_000]
    house.pour(post(data))
    house.turn()

    assert bodies == [data]


@pytest.mark.parametrize("tcp", [False, True])
@pytest.mark.parametrize("moment", ["before it is read", "while it is written"])
def test_a_reset_in_the_middle_of_an_answer_ends_it(pair: Make, moment: str, *, tcp: bool) -> None:
    house = pair(lambda request: request.response(200, LARGE), tcp=tcp)
    house.client.send(get())
    house.turn()
    if moment == "while it is written":
        house.client.read(30_000)
        house.turn()
    house.client.close(reset=True)
    house.turn(lambda: not house.service.connections)

    assert (house.service.requests, len(house.poller)) == (0, 1)


def test_a_write_after_the_end_of_the_peer_is_its_end_and_no_signal(pair: Make) -> None:
    house = pair(None)
    house.ask(get())
    house.client.close()

    assert house.held[0].response(200, b"into the void") is True
    house.turn()
    assert house.service.connections == 0


def test_a_head_larger_than_a_block_grows_the_inbox(pair: Make) -> None:
    house = pair(http_header_max=65535, http_header_fields_max=1000)
    big = get("/", *[f"n{n}: {'v' * 200}" for n in range(300)])
    assert 16384 * 3 < len(big) < 65536
    for at in range(0, len(big), 5000):
        house.client.send(big[at : at + 5000])
        house.turn()

    assert house.ask(big + get() + big) == [200] * 4


@pytest.mark.parametrize("pending", [True, False])
def test_the_inbox_does_not_grow_without_end(pair: Make, *, pending: bool) -> None:
    """A client that sends on with a request pending, or an answer unread, fills the kernel."""
    house = pair(None if pending else lambda request: request.response(200, LARGE))
    house.client.send(get())
    house.turn()
    sent = 0
    while taken := house.client.send(get() * 1000):
        sent += taken
        house.turn()
        assert sent < 2_000_000, "nobody stops it"

    assert not house.ready()


def test_clients_share_what_idle_ones_do_not_need(pair: Make) -> None:
    """Blocks go from one to the next: no connection gets another's bytes."""
    house = pair(lambda request: request.response(200, request.path.encode()))
    clients = [house.connect() for _ in range(80)]
    for turn in range(3):
        for number, client in enumerate(clients):
            client.send(get(f"/{number}/{turn}")[:-2])
        house.turn()
        for client in reversed(clients):
            client.send(b"\r\n")
        house.turn()

    for number, client in enumerate(clients):
        client.read()
        bodies = [answer.body.decode() for answer in client.reader.answers]
        assert bodies == [f"/{number}/{turn}" for turn in range(3)]


@pytest.mark.parametrize("piece", [1, 16384, 100_000])
def test_a_fast_stream_lets_others_have_their_turn(pair: Make, piece: int) -> None:
    """However fast the reader: the pieces of one dispatch are counted."""

    def endless() -> Iterator[bytes]:
        while True:
            pulled.append(1)
            yield b"x" * piece

    pulled: list[int] = []
    house = pair(lambda r: r.response(200, endless() if r.path == "/endless" else b"hi"), tcp=True)
    house.client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
    house.client.send(get("/endless"))
    house.turn(lambda: bool(pulled))
    for _ in range(5):
        before = len(pulled)
        house.step()
        assert len(pulled) - before <= 64
        house.client.take(1 << 20)
    house.client.close(reset=True)
