"""Peers that fail in every way: one error that names it, and nothing is left behind."""

import asyncio
import contextlib
import gc
import gzip
import re
from collections.abc import Awaitable, Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

import kore
from kore._api.clients import create_transfer
from kore._httpclient.prepared import PreparedRequest
from kore.errors import ClientError
from tests.helpers.http_peer import Peer, ReceivedRequest, hello
from tests.helpers.loops import on_both, until
from tests.helpers.ports import free_port

MIB = 1024 * 1024
OK = b"HTTP/1.1 200 OK\r\n"


async def fails(asking: Awaitable[Any]) -> ClientError:
    """Return the error something fails with."""
    with pytest.raises(ClientError) as caught:
        await asking
    return caught.value


def running() -> int:
    """Return how many transfers there are."""
    return len(create_transfer(PreparedRequest([], ""))._transfers)


async def close(asked: ReceivedRequest) -> None:
    asked.last = True


async def close_in_head(asked: ReceivedRequest) -> None:
    asked.send(OK + b"content-le")
    asked.last = True


async def close_in_body(asked: ReceivedRequest) -> None:
    asked.send(OK + b"content-length: 10\r\n\r\nhello")
    asked.last = True


async def close_in_chunk(asked: ReceivedRequest) -> None:
    asked.send(OK + b"transfer-encoding: chunked\r\n\r\nff\r\nhello")
    asked.last = True


async def nonsense(asked: ReceivedRequest) -> None:
    asked.send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
    asked.last = True


async def bad_chunks(asked: ReceivedRequest) -> None:
    asked.send(OK + b"transfer-encoding: chunked\r\n\r\nzz\r\nhello\r\n")


async def negative_length(asked: ReceivedRequest) -> None:
    asked.send(OK + b"content-length: -5\r\n\r\nhello")


async def two_lengths(asked: ReceivedRequest) -> None:
    asked.send(OK + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello!")


async def endless_head(asked: ReceivedRequest) -> None:
    asked.send(OK)
    while True:
        asked.send(b"x: " + b"y" * 1000 + b"\r\n")
        await asked.writer.drain()


async def many_interim(asked: ReceivedRequest) -> None:
    while True:
        asked.send(b"HTTP/1.1 103 Early Hints\r\nx: " + b"y" * 1000 + b"\r\n\r\n")
        await asked.writer.drain()


BROKEN: list[tuple[Callable[[ReceivedRequest], Awaitable[None]], int, str]] = [
    (close, 52, "Empty reply from server"),
    (close_in_head, 56, "within the head of its response"),
    (close_in_body, 18, "5 bytes (missing|remaining)"),
    (close_in_chunk, 18, "transfer closed with outstanding read data remaining|missing"),
    (nonsense, 1, "Received HTTP/0.9"),
    (bad_chunks, 56, "chunk"),
    (negative_length, 8, "Invalid Content-Length"),
    (two_lengths, 8, "Invalid Content-Length|Content-Length"),
    (endless_head, 56, "(?i)large|header"),
    (many_interim, 56, "(?i)large|header"),
]


@pytest.mark.parametrize(
    ("answer", "code", "reason"), BROKEN, ids=[row[0].__name__ for row in BROKEN]
)
@on_both
async def test_malformed_response_is_an_error(
    answer: Callable[[ReceivedRequest], Awaitable[None]], code: int, reason: str
) -> None:
    async with Peer(answer) as peer:
        error = await fails(kore.httpclient(peer.url).get())

        assert error.code == code, str(error)
        assert str(error).startswith(f"request to '{peer.url}' failed: ")
        assert re.search(reason, str(error)), str(error)
        assert running() == 0


@on_both
async def test_unresolvable_name_is_named() -> None:
    error = await fails(kore.httpclient("http://no.such.host.invalid/").get(timeout=10_000))
    assert error.code in {6, 28}
    assert "no.such.host.invalid" in str(error) or "Resolving" in str(error)


@on_both
async def test_refused_connection_is_named() -> None:
    port = free_port()
    error = await fails(kore.httpclient(f"http://127.0.0.1:{port}/").get())
    assert error.code == 7
    assert "127.0.0.1" in str(error)
    assert str(port) in str(error)


@on_both
async def test_error_does_not_contain_the_password() -> None:
    for url in ("http://me:secret@127.0.0.1:1/x@y", "me:secret@127.0.0.1:1/x@y"):
        error = await fails(kore.httpclient(url).get())
        assert "secret" not in str(error)
        assert "127.0.0.1:1/x@y" in str(error)
        assert "secret" not in repr(kore.httpclient(url))


async def never(asked: ReceivedRequest) -> None:
    await asked.reader.read()


@on_both
async def test_silent_server_times_out() -> None:
    async with Peer(never) as peer:
        client = kore.httpclient(peer.url)
        errors = await asyncio.gather(*[fails(client.get(timeout=50 + n)) for n in range(20)])

        assert {error.code for error in errors} == {28}
        assert "timed out after" in str(errors[0])
        await until(lambda: peer.gone == 20)


@pytest.mark.parametrize("limit", [Decimal("20.5"), Fraction(41, 2), 20.5, 20, 1e-9])
@on_both
async def test_a_timeout_is_any_real_number(limit: Any) -> None:
    async with Peer(never) as peer:
        assert (await fails(kore.httpclient(peer.url).get(timeout=limit))).code == 28


@on_both
async def test_close_timeouts_all_fire() -> None:
    async with Peer(never) as peer:
        client = kore.httpclient(peer.url)
        for _ in range(10):
            asked = [fails(client.get(timeout=10 + number % 20)) for number in range(60)]
            assert {error.code for error in await asyncio.gather(*asked)} == {28}


@on_both
async def test_slow_response_times_out() -> None:
    async def drip(asked: ReceivedRequest) -> None:
        asked.send(OK + b"content-length: 1000000\r\n\r\n")
        while True:
            asked.send(b"x")
            await asyncio.sleep(0.01)

    async with Peer(drip) as peer:
        error = await fails(kore.httpclient(peer.url).get(timeout=100))
        assert error.code == 28


@on_both
async def test_cancelled_task_closes_the_connection() -> None:
    async with Peer(never) as peer:
        client = kore.httpclient(peer.url)
        tasks = [asyncio.create_task(client.get()) for _ in range(10)]
        await until(lambda: len(peer.asked) == 10)
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)

        assert {type(result) for result in results} == {asyncio.CancelledError}
        assert running() == 0
        await until(lambda: peer.gone == 10)
        peer.reply = hello
        assert await client.get() == (200, b"hello")


@on_both
async def test_failed_request_fails_again_and_leaves_no_garbage() -> None:
    client = kore.httpclient("http://127.0.0.1:1/")
    asking = client.get()
    first, second = await fails(asking), await fails(asking)
    assert (str(first), first.code) == (str(second), second.code)

    async def ask() -> None:
        with contextlib.suppress(ClientError):
            await client.get()

    await ask()
    gc.collect()
    gc.disable()
    try:
        for _ in range(10):
            await ask()
        assert gc.collect() < 10
    finally:
        gc.enable()


@on_both
async def test_cancelled_request_cannot_be_awaited_again() -> None:
    async with Peer(never) as peer:
        asking = kore.httpclient(peer.url).get()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await asking
        with pytest.raises(RuntimeError, match="was ended by CancelledError"):
            await asking


async def announced(asked: ReceivedRequest) -> None:
    asked.answer(b"x" * (3 * MIB))


async def chunked(asked: ReceivedRequest) -> None:
    asked.send(OK + b"transfer-encoding: chunked\r\n\r\n")
    while True:
        asked.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        await asked.writer.drain()


async def until_closed(asked: ReceivedRequest) -> None:
    asked.send(OK + b"\r\n")
    for _ in range(64):
        asked.send(b"x" * 65536)
        await asked.writer.drain()
    asked.last = True


@pytest.mark.parametrize("answer", [announced, chunked, until_closed])
@pytest.mark.parametrize("options", [{}, {kore.CURLOPT_ACCEPT_ENCODING: ""}])
@on_both
async def test_too_large_response_is_an_error(
    answer: Callable[[ReceivedRequest], Awaitable[None]], options: dict[int, object]
) -> None:
    async with Peer(answer) as peer:
        error = await fails(kore.httpclient(peer.url).get(curlopt=options))

        assert error.code == 23
        assert "Failure writing output to destination" in str(error)
        assert f"more than curl_recv_max, {2 * MIB} bytes" in str(error)
        await until(lambda: peer.gone == 1)


@on_both
async def test_response_of_the_maximum_size_is_accepted() -> None:
    async def answer(asked: ReceivedRequest) -> None:
        asked.answer(b"x" * 2 * MIB)

    async with Peer(answer) as peer:
        client = kore.httpclient(peer.url)
        for options in ({}, {kore.CURLOPT_ACCEPT_ENCODING: ""}):
            _, body = await client.get(curlopt=options)
            assert len(body) == 2 * MIB


@on_both
async def test_decompression_bomb_stops_at_the_limit() -> None:
    bomb = gzip.compress(bytes(32 * MIB))

    async def answer(asked: ReceivedRequest) -> None:
        asked.answer(bomb, 200, "content-encoding: gzip")

    async with Peer(answer) as peer:
        client = kore.httpclient(peer.url)
        error = await fails(client.get(curlopt={kore.CURLOPT_ACCEPT_ENCODING: "gzip"}))
        assert error.code == 23
        assert await client.get() == (200, bomb), "nobody asked to unpack it"


@on_both
async def test_compressed_body_is_decoded_when_requested() -> None:
    async def answer(asked: ReceivedRequest) -> None:
        asked.answer(gzip.compress(b"hello" * 1000), 200, "content-encoding: gzip")

    async with Peer(answer) as peer:
        client = kore.httpclient(peer.url, curlopt={kore.CURLOPT_ACCEPT_ENCODING: ""})
        assert await client.get() == (200, b"hello" * 1000)
        assert "gzip" in str(peer.asked[0].get("accept-encoding"))


@on_both
async def test_maxfilesize_error_is_libcurls() -> None:
    async with Peer(announced) as peer:
        error = await fails(kore.httpclient(peer.url).get(curlopt={kore.CURLOPT_MAXFILESIZE: 1000}))
        assert error.code == 63


@on_both
async def test_request_on_a_closed_idle_connection_is_repeated() -> None:
    async def answer(asked: ReceivedRequest) -> None:
        asked.answer(b"one")
        asked.last = True

    async with Peer(answer) as peer:
        client = kore.httpclient(peer.url)
        for number in range(5):
            assert await client.post(body=b"x" * number) == (200, b"one")
            await until(lambda n=number: peer.gone == n + 1)
        assert [len(asked.body) for asked in peer.asked] == [0, 1, 2, 3, 4]


@on_both
async def test_fresh_connect_uses_a_new_connection() -> None:
    async def reply(asked: ReceivedRequest) -> None:
        asked.last = asked.method == "POST"
        if not asked.last:
            asked.answer(b"hello")

    async with Peer(reply) as peer:
        client = kore.httpclient(peer.url)
        for curlopt, times in (({}, 2), ({kore.CURLOPT_FRESH_CONNECT: 1}, 1)):
            await client.get()  # whose connection is there to be used again
            peer.asked.clear()
            assert (await fails(client.post(body=b"order", curlopt=curlopt))).code == 52
            assert len(peer.asked) == times


@on_both
async def test_error_without_text_has_that_of_its_code() -> None:
    async def endless_line(asked: ReceivedRequest) -> None:
        asked.send(OK + b"x: ")
        while True:
            asked.send(b"y" * 100_000)
            await asked.writer.drain()

    async with Peer(endless_line) as peer:
        error = await fails(kore.httpclient(peer.url + "x" * 5000).get())
        assert str(error).endswith("failed: A value or data field grew larger than allowed")
        assert len(str(error)) < 1200


@on_both
async def test_failures_leave_no_objects() -> None:
    async def every(asked: ReceivedRequest) -> None:
        answers = [close, close_in_head, close_in_body, hello, announced, bad_chunks]
        await answers[len(peer.asked) % len(answers)](asked)

    async with Peer(every) as peer:
        client = kore.httpclient(peer.url)
        for _ in range(10):
            await asyncio.gather(*[client.get() for _ in range(30)], return_exceptions=True)
        assert running() == 0
