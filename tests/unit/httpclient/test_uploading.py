"""Bodies of requests in pieces, no faster than the peer takes them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

import kore
from kore.errors import ClientError
from tests.helpers.http_peer import Peer, ReceivedRequest, hello
from tests.helpers.loops import on_both, passes, until
from tests.unit.httpclient.test_failing import MIB, OK, fails, running


@on_both
async def test_streamed_body_is_sent_as_it_is_produced() -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"one "
        yield b""
        await asyncio.sleep(0.01)
        piece = bytearray(b"two")
        yield piece
        piece[:] = b"other"

    async with Peer() as peer:
        client = kore.httpclient(peer.url)
        for method in ("post", "put", "patch", "delete"):
            assert await getattr(client, method)(body=body()) == (200, b"hello")
        sent = {(a.method, a.get("transfer-encoding"), a.body) for a in peer.asked}
        assert sent == {(m, "chunked", b"one two") for m in ("POST", "PUT", "PATCH", "DELETE")}
        assert running() == 0


@on_both
async def test_streamed_body_without_pieces_is_empty() -> None:
    async def body() -> AsyncIterator[bytes]:
        return
        yield b""

    async with Peer() as peer:
        assert await kore.httpclient(peer.url).post(body=body()) == (200, b"hello")
        assert peer.asked[0].body == b""


@on_both
async def test_streamed_body_may_announce_its_length() -> None:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(300):
            yield b"x" * 10_000

    async with Peer() as peer:
        fields = {"content-length": "3000000", "content-type": "text/x"}
        assert await kore.httpclient(peer.url).put(body=body(), headers=fields) == (200, b"hello")
        (asked,) = peer.asked
        assert asked.get("content-length") == "3000000"
        assert asked.get("transfer-encoding") is None
        assert asked.body == b"x" * 3_000_000


@pytest.mark.parametrize("length", ["-1", "+5", "5,5", "9" * 20])
def test_invalid_content_length_is_refused(length: str) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"12345"

    with pytest.raises(ValueError, match="is not a content-length"):
        kore.httpclient("http://127.0.0.1:1/").post(body=body(), headers={"content-length": length})


@on_both
async def test_body_shorter_than_announced_is_an_error() -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"short"

    async with Peer() as peer:
        error = await fails(
            kore.httpclient(peer.url).put(body=body(), headers={"content-length": "10"})
        )
        assert error.code in {18, 26, 55}
        await until(lambda: peer.gone == 1)


@on_both
async def test_iterator_is_read_no_faster_than_the_server() -> None:
    made = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal made
        while True:
            made += 65536
            yield b"x" * 65536

    async def slow(asked: ReceivedRequest) -> None:
        await asyncio.sleep(1000)

    async with Peer(slow, read=False) as peer:
        task = asyncio.create_task(kore.httpclient(peer.url).post(body=body()))
        await until(lambda: made)
        before = -1
        while before != made:
            before = made
            await asyncio.sleep(0.1)
        assert made < 64 * MIB
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert running() == 0


@on_both
async def test_error_of_the_iterator_fails_the_request() -> None:
    closed = []

    async def body() -> AsyncIterator[bytes]:
        try:
            yield b"begun"
            raise LookupError("nothing more")
        finally:
            closed.append(True)

    async with Peer() as peer:
        with pytest.raises(LookupError, match="nothing more"):
            await kore.httpclient(peer.url).post(body=body())
        assert closed == [True]
        assert running() == 0
        await until(lambda: peer.gone == 1)


@on_both
async def test_item_that_is_not_bytes_fails_the_request() -> None:
    async def body() -> AsyncIterator[Any]:
        yield "text"

    async with Peer() as peer:
        with pytest.raises(TypeError, match="bytes-like"):
            await kore.httpclient(peer.url).post(body=body())


@on_both
async def test_early_response_ends_the_body() -> None:
    closed = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 65536
                await asyncio.sleep(0)
        finally:
            closed.set()

    async def refuse(asked: ReceivedRequest) -> None:
        asked.answer(b"too large", 413, "connection: close")
        asked.last = True
        await asked.writer.drain()
        await asked.reader.read(65536)

    async with Peer(refuse, read=False) as peer:
        # Or the reset is faster than the answer.
        with contextlib.suppress(ClientError):
            assert await kore.httpclient(peer.url).post(body=body()) == (413, b"too large")
        await closed.wait()
        assert running() == 0


@on_both
async def test_request_and_response_stream_at_the_same_time() -> None:
    async def body() -> AsyncIterator[bytes]:
        for word in (b"one", b"two", b"three"):
            yield word
            await asyncio.wait_for(echoed[word].wait(), 10)

    echoed = {word: asyncio.Event() for word in (b"one", b"two", b"three")}

    async def echo(asked: ReceivedRequest) -> None:
        asked.send(OK + b"transfer-encoding: chunked\r\n\r\n")
        while size := int(await asked.reader.readline(), 16):
            piece = await asked.reader.readexactly(size + 2)
            asked.send(b"%x\r\n%b" % (size, piece))
            await asked.writer.drain()
        await asked.reader.readline()
        asked.send(b"0\r\n\r\n")

    async with Peer(echo, read=False) as peer:
        got = []
        async for piece in kore.httpclient(peer.url).stream("post", body=body()):
            got.append(piece)
            echoed[piece].set()
        assert got == [b"one", b"two", b"three"]
        peer.reply, peer.read = hello, True
        assert await kore.httpclient(peer.url).get() == (200, b"hello")


@pytest.mark.parametrize("method", ["post", "put"])
@pytest.mark.parametrize("last_is_late", [False, True])
@on_both
async def test_body_longer_than_announced_is_an_error(method: str, last_is_late: bool) -> None:
    closed = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        try:
            yield b"x" * 20_000
            yield b"x" * 10_000
            if last_is_late:
                await passes(50)
            yield b"x"
        finally:
            closed.set()

    async with Peer() as peer:
        ask = getattr(kore.httpclient(peer.url), method)
        error = await fails(ask(body=body(), headers={"content-length": "30000"}))
        assert "longer than its content-length, 30000 bytes" in str(error)
        await closed.wait()
        assert running() == 0
        await until(lambda: peer.gone == 1)
        assert peer.asked == [], "the peer has not seen a whole request"


@pytest.mark.parametrize("method", ["post", "put"])
@on_both
async def test_length_may_be_an_option(method: str) -> None:
    async def body() -> AsyncIterator[bytes]:
        for word in (b"on", b"e", b""):
            yield word

    async with Peer() as peer:
        for option, true, false in (
            (kore.CURLOPT_INFILESIZE, 3, 2),
            (kore.CURLOPT_HTTPHEADER, ["Content-Length: 3"], ["Content-Length: 2"]),
        ):
            ask = getattr(kore.httpclient(peer.url), method)
            assert await ask(body=body(), curlopt={option: true}) == (200, b"hello")
            assert (peer.asked[-1].get("content-length"), peer.asked[-1].body) == ("3", b"one")
            error = await fails(ask(body=body(), curlopt={option: false}))
            assert "longer than its content-length, 2 bytes" in str(error)


def hanging_up() -> Any:
    """Return an answer whose first connection is closed though it said that it stays."""

    async def answer(asked: ReceivedRequest) -> None:
        asked.answer(str(len(asked.body)).encode())
        asked.last = asked.target == "/first"

    return answer


@pytest.mark.parametrize("pieces", [0, 1, 3, 12])
@pytest.mark.parametrize("method", ["post", "put"])
@on_both
async def test_streamed_body_survives_a_closed_idle_connection(method: str, pieces: int) -> None:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(pieces):
            yield b"x" * 65536
            await asyncio.sleep(0)

    async with Peer(hanging_up()) as peer:
        await kore.httpclient(f"{peer.url}first").get()
        await until(lambda: peer.gone == 1)
        ask = getattr(kore.httpclient(peer.url), method)
        assert await ask(body=body()) == (200, str(pieces * 65536).encode())
        assert peer.connections == 2


@pytest.mark.parametrize("sized", [False, True])
@pytest.mark.parametrize("how", ["bytes", "stream", "read as a stream"])
@on_both
async def test_417_repeats_the_request_without_expect(how: str, sized: bool) -> None:
    """RFC 9110 section 10.1.1: repeat the request without the expectation."""

    async def body() -> AsyncIterator[bytes]:
        yield b"bo"
        yield b"dy"

    async def answer(asked: ReceivedRequest) -> None:
        if asked.get("expect"):
            asked.answer(b"no", 417)
        else:
            await asked.read_body()
            asked.answer(asked.body)

    async with Peer(answer, read=False) as peer:
        client = kore.httpclient(peer.url)
        length = {"content-length": "4"} if sized else {}
        keywords: Any = {"headers": {"Expect": "100-Continue", **length}}
        keywords["body"] = body() if how == "stream" else b"body"
        if how == "read as a stream":
            got = b"".join([piece async for piece in client.stream("put", **keywords)])
        else:
            status, got = await client.put(**keywords)
            assert status == 200
        assert got == b"body"
        assert [asked.get("expect") for asked in peer.asked] == ["100-Continue", None]


@on_both
async def test_met_expectation_takes_one_request() -> None:
    async with Peer() as peer:
        fields = {"expect": "100-continue"}
        assert await kore.httpclient(peer.url).post(body=b"body", headers=fields) == (200, b"hello")
        assert [asked.body for asked in peer.asked] == [b"body"]


@on_both
async def test_417_without_expect_is_a_response() -> None:
    async def answer(asked: ReceivedRequest) -> None:
        asked.answer(b"no", 417)

    async with Peer(answer) as peer:
        fields = {"expect": "100-continue"}
        assert await kore.httpclient(peer.url).post(body=b"body") == (417, b"no")
        assert await kore.httpclient(peer.url).post(body=b"b", headers=fields) == (417, b"no")
        assert len(peer.asked) == 3
