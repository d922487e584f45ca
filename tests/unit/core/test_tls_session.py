"""Records in both directions: whole, in order, in any pieces, and nothing waits for ever."""

import os
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kore._core.file import open_file
from kore._core.request import Request
from tests.helpers.core_client import get, post
from tests.helpers.core_tls_client import TlsCoreClient, local_server, trusting_context
from tests.helpers.fix_core import Pair

Make = Callable[..., Pair]
LARGE = bytes(range(256)) * 8192  # 2 MB: no socket buffer of these tests takes it whole


@pytest.fixture
def secure(pair: Make) -> Make:
    """Make pairs whose clients speak TLS."""

    def make(*arguments: object, version: str = "1.3", **options: object) -> Pair:
        context = trusting_context(version)
        return pair(*arguments, tls=local_server(), context=context, tcp=True, **options)

    return make


def client_of(house: Pair) -> TlsCoreClient:
    assert isinstance(house.client, TlsCoreClient)
    return house.client


def await_responses(house: Pair, count: int) -> None:
    """Let the client read until it has so many responses, or the end."""
    client = house.client
    house.turn(lambda: (client.read() and len(client.reader.final) >= count) or client.end)


def echo(request: Request) -> None:
    request.response(200, request.body or b"none")


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_requests_are_answered(secure: Make, version: str) -> None:
    house = secure(version=version)

    assert house.ask(get()) == [200]
    assert house.ask(get() + get()) == [200, 200]
    assert client_of(house).tls.version() == f"TLSv{version}"


def test_large_response_arrives_whole(secure: Make) -> None:
    house = secure(lambda request: request.response(200, LARGE))
    house.client.send(get())
    await_responses(house, 1)

    assert house.client.last.body == LARGE


def test_file_is_encrypted(secure: Make, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(LARGE)

    def run(request: Request) -> None:
        start, size = map(int, request.path[1:].split("-"))
        piece = open_file(tmp_path / "file").get_range(start, size)
        request.respond_with_parts(200, (), (piece,))

    house = secure(run)
    house.client.send(get(f"/0-{len(LARGE)}") + get("/100001-500000"))
    await_responses(house, 2)

    assert [answer.body for answer in house.client.reader.answers] == [
        LARGE, LARGE[100_001:600_001],
    ]  # fmt: skip


def test_truncated_file_ends_the_connection(secure: Make, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(LARGE)

    def run(request: Request) -> None:
        file = open_file(tmp_path / "file")
        os.truncate(tmp_path / "file", 100_000)
        request.respond_with_parts(200, (), (file.get_range(0, file.size),))

    house = secure(run)
    house.client.send(get())
    await_responses(house, 1)

    assert house.client.end == "truncated"
    assert "a file ended 1997152 bytes early" in house.logged()[0]


def test_records_of_one_byte_are_a_request(secure: Make) -> None:
    house = secure(echo)
    client = client_of(house)

    for byte in client.seal(post(b"body"), record_size=1):
        client.send_raw(bytes([byte]))
        house.turn()
    client.read()

    assert client.last.body == b"body"


def test_record_that_ends_within_a_head(secure: Make) -> None:
    house = secure()
    client = client_of(house)
    raw = get("/" + "a" * 100)

    client.send_raw(client.seal(raw[:50]))
    house.turn()
    assert house.seen == []
    client.send_raw(client.seal(raw[50:]))
    house.turn()

    assert house.seen == ["/" + "a" * 100]


def test_two_records_in_one_segment_are_read_without_an_event(secure: Make) -> None:
    house = secure()
    client = client_of(house)

    client.send_raw(client.seal(get()) + client.seal(get()) + client.seal(get()))
    house.turn()
    client.read()

    assert client.statuses == [200] * 3


def test_record_behind_a_running_handler_is_read_when_it_is_done(secure: Make) -> None:
    house = secure(None)
    client = client_of(house)
    client.send_raw(client.seal(get("/first") + b"GET /second HTTP/1.1\r\nHost: h\r\n"))
    house.turn()
    rest = b"x: " + b"y" * 10_000 + b"\r\n\r\n"
    client.send_raw(client.seal(rest) + client.seal(get("/third")))
    house.turn()
    assert not house.ready(), "nothing happens until the handler is done"

    for number in range(3):
        house.held[number].response(200, b"")
        house.turn()

    assert house.seen == ["/first", "/second", "/third"]


def test_body_in_full_records_arrives_while_a_handler_waits(secure: Make) -> None:
    house = secure(echo)
    client = client_of(house)
    body = LARGE[:100_000]
    raw = post(body)

    client.send_raw(client.seal(raw[:300]) + client.seal(raw[300:] + get()))
    await_responses(house, 2)

    assert client.reader.answers[0].body == body
    assert client.statuses == [200, 200]


def test_thousands_of_pipelined_requests_are_answered(secure: Make) -> None:
    house = secure()
    house.drink(data=get() * 20_000)

    assert house.client.statuses == [200] * 20_000


def test_pipelined_requests_of_a_client_that_reads_late(secure: Make) -> None:
    house = secure(lambda request: request.response(200, LARGE[:50_000]))
    client = house.client
    house.pour(get() * 200)
    house.turn()
    assert len(house.seen) < 200, "it would have to be kept"
    await_responses(house, 200)

    assert client.statuses == [200] * 200
    assert len(house.seen) == 200


def test_request_and_half_close_in_one_segment(secure: Make) -> None:
    house = secure()
    client = client_of(house)
    records = client.seal(get())
    with pytest.raises(ssl.SSLWantReadError):
        client.tls.unwrap()
    client.send_raw(records + client.outgoing.read())
    house.turn()
    client.read()

    assert client.statuses == [200]
    assert client.end == "closed"


@pytest.mark.parametrize("how", ["close_notify", "fin"])
def test_half_closed_client_gets_its_response(secure: Make, how: str) -> None:
    house = secure(None)
    client = client_of(house)
    client.send(get())
    if how == "close_notify":
        client.close_notify()
    else:
        client.socket.shutdown(1)
    house.turn()
    house.held[0].response(200, b"late")
    house.turn()
    client.read()

    assert client.last.body == b"late"
    assert client.end == "closed"


@pytest.mark.parametrize("how", ["close_notify", "fin"])
def test_truncated_body_is_not_handed_over(secure: Make, how: str) -> None:
    house = secure(echo)
    client = client_of(house)
    client.send(post(b"x" * 100)[:-1])
    house.turn()
    if how == "close_notify":
        client.close_notify()
    else:
        client.socket.shutdown(1)
    house.turn()
    client.read()

    assert 200 not in client.statuses
    assert client.end == "closed"


def test_close_notify_precedes_the_end(secure: Make) -> None:
    house = secure()
    assert house.ask(get("/", "Connection: close")) == [200]
    house.turn()
    house.client.take()

    assert house.client.end == "closed"


def test_close_notify_ends_an_idle_connection(secure: Make) -> None:
    house = secure(http_keepalive_time=20)
    assert house.ask(get()) == [200]
    house.sweep(21)
    house.client.take()

    assert house.client.end == "closed"


def test_drained_connection_ends_with_close_notify(secure: Make) -> None:
    house = secure()
    assert house.ask(get()) == [200]
    house.drain()
    house.sweep(1)
    house.client.take()

    assert house.client.end == "closed"


def test_response_that_is_given_up_has_no_close_notify(secure: Make) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"some"
        raise ValueError

    house = secure(lambda request: request.response(200, pieces()))
    house.client.send(get("/", version="1.0"))
    house.turn()
    house.client.take()

    assert house.client.end in ("reset", "truncated"), "the end of the connection ends the body"
    assert house.failed() == [ValueError]


def test_slow_reader_gets_everything(secure: Make) -> None:
    house = secure(lambda request: request.response(200, LARGE))
    client = client_of(house)
    client.send(get())
    house.turn()
    house.turn(lambda: client.read(20_000) and client.reader.final)

    assert client.last.body == LARGE


def test_client_that_reads_nothing_is_closed_at_the_limit(secure: Make) -> None:
    house = secure(lambda request: request.response(200, LARGE), http_write_timeout=10)
    house.client.send(get())
    house.turn()
    assert not house.ready(), "nothing happens until it reads"
    house.sweep(11)

    assert house.service.connections == 0
    house.client.take()
    assert house.client.end == "truncated"


def test_damaged_record_ends_the_connection(secure: Make) -> None:
    house = secure()
    client = client_of(house)
    damaged = bytearray(client.seal(get()))
    damaged[-1] ^= 1
    client.send_raw(bytes(damaged))
    house.turn()

    assert house.seen == []
    assert house.service.connections == 0


def test_error_of_one_connection_leaves_others_alone(secure: Make) -> None:
    house = secure()
    other = house.connect()
    client = client_of(house)
    client.send_raw(b"\x17\x03\x03\x00\x20" + b"x" * 32)
    other.send(get())
    house.turn()
    other.read()

    assert other.statuses == [200]
