"""Bodies in pieces, in both directions, no faster than somebody takes them."""

import asyncio
import contextlib
import os
import zlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

import kore
from kore.errors import ClientError
from tests.helpers import procs
from tests.helpers.loops import on_both, until
from tests.helpers.peer import Asked, Peer, hello
from tests.unit.httpclient.test_failing import OK, close_in_body, fails, running

MIB = 1024 * 1024


class Flood:
    """Answers with more than anybody wants; counts what went."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.sent = 0

    async def __call__(self, asked: Asked) -> None:
        asked.send(OK + b"content-length: %d\r\nx: y\r\n\r\n" % self.size)
        while self.sent < self.size:
            asked.send(b"x" * 65536)
            self.sent += 65536
            await asked.writer.drain()


@on_both
async def test_an_answer_is_read_in_pieces() -> None:
    async with Peer(Flood(64 * MIB)) as peer:
        pieces = [len(piece) async for piece in kore.httpclient(peer.url).stream()]

        assert sum(pieces) == 64 * MIB
        assert max(pieces) < MIB
        assert running() == 0


@on_both
async def test_its_head_is_there_inside_of_a_with() -> None:
    release = asyncio.Event()

    async def answer(asked: Asked) -> None:
        asked.send(b"HTTP/1.1 103 Early\r\n\r\n" + OK + b"x: y\r\ncontent-length: 5\r\n\r\n")
        await release.wait()
        asked.send(b"hello")

    async with Peer(answer) as peer:
        stream = kore.httpclient(peer.url).stream("post", body=b"mine")
        assert (stream.status, stream.headers) == (0, {})
        async with stream as answered:
            assert (answered.status, answered.headers["x"]) == (200, "y")
            release.set()
            assert [piece async for piece in answered] == [b"hello"]
        assert (stream.status, peer.asked[0].body) == (200, b"mine")
        assert [piece async for piece in stream] == []


@on_both
async def test_a_reader_that_waits_holds_the_peer() -> None:
    flood = Flood(1024 * MIB)
    async with Peer(flood) as peer, kore.httpclient(peer.url).stream() as stream:
        before = -1
        while before != flood.sent:
            before = flood.sent
            await asyncio.sleep(0.1)
        held = flood.sent
        assert held < 64 * MIB
        used = procs.cpu(os.getpid())
        await asyncio.sleep(0.5)
        assert procs.cpu(os.getpid()) - used < 0.25, "nobody spins"

        total = 0
        async for piece in stream:
            total += len(piece)
            if total > held + 64 * MIB:
                break
        assert flood.sent > held


@on_both
async def test_a_reader_that_leaves_ends_it() -> None:
    async with Peer(Flood(1024 * MIB)) as peer:
        async for _ in kore.httpclient(peer.url).stream():
            break
        await until(lambda: running() == 0)
        await until(lambda: peer.gone == 1)


@on_both
async def test_a_stream_that_is_forgotten_in_another_thread_ends() -> None:
    async with Peer(Flood(1024 * MIB)) as peer:
        kept = [kore.httpclient(peer.url).stream()]
        await anext(kept[0])
        await asyncio.to_thread(kept.clear)
        await until(lambda: running() == 0)


@on_both
async def test_a_bomb_is_unpacked_as_it_is_read() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    mib = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)

    async def bomb(asked: Asked) -> None:
        asked.answer(mib * 128 + packer.flush(), 200, "content-encoding: deflate")

    async with Peer(bomb) as peer:
        before, total = procs.resident(os.getpid()), 0
        client = kore.httpclient(peer.url, curlopt={kore.CURLOPT_ACCEPT_ENCODING: ""})
        async for piece in client.stream():
            total += len(piece)
            if total < 2 * MIB:
                await asyncio.sleep(0.05)
                assert procs.resident(os.getpid()) - before < 64 * MIB
        assert total == 128 * MIB


@on_both
async def test_a_reader_that_is_cancelled_ends_it() -> None:
    async def silent(asked: Asked) -> None:
        asked.send(OK + b"content-length: 5\r\n\r\nhe")
        await asked.reader.read()

    got: list[bytes] = []

    async def read(url: str) -> None:
        async for piece in kore.httpclient(url).stream():
            got.extend([piece])

    async with Peer(silent) as peer:
        task = asyncio.create_task(read(peer.url))
        await until(lambda: got == [b"he"])
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert running() == 0
        await until(lambda: peer.gone == 1)


@on_both
async def test_another_task_may_end_it() -> None:
    async def silent(asked: Asked) -> None:
        asked.send(OK + b"content-length: 5\r\n\r\n")
        await asked.reader.read()

    async with Peer(silent) as peer:
        stream = kore.httpclient(peer.url).stream()

        async def read() -> list[bytes]:
            return [piece async for piece in stream]

        task = asyncio.create_task(read())
        await until(lambda: stream.status == 200)
        await stream.aclose()
        assert await task == []


@on_both
async def test_an_answer_that_breaks_off_is_an_error_behind_its_pieces() -> None:
    async with Peer(close_in_body) as peer:
        stream = kore.httpclient(peer.url).stream()
        assert await anext(stream) == b"hello"
        assert (await fails(anext(stream))).code == 18
        assert running() == 0


@on_both
async def test_an_answer_that_has_broken_off_already_can_be_read_that_far() -> None:
    async with Peer(close_in_body) as peer, kore.httpclient(peer.url).stream() as stream:
        await until(lambda: running() == 0)
        assert stream.status == 200
        assert await anext(stream) == b"hello"
        assert (await fails(anext(stream))).code == 18


@on_both
async def test_an_answer_that_does_not_come_is_an_error_at_the_door() -> None:
    error = await fails(kore.httpclient("http://127.0.0.1:1/").stream().__aenter__())
    assert error.code == 7


@on_both
async def test_its_head_is_that_of_the_last_redirect() -> None:
    async def answer(asked: Asked) -> None:
        if asked.target == "/":
            asked.answer(b"moved", 302, "location: /there", "x: first")
        else:
            asked.answer(b"here", 200, "y: last")

    async with Peer(answer) as peer:
        async with kore.httpclient(peer.url).stream(follow=True) as stream:
            assert (stream.status, stream.headers.get("x")) == (200, None)
            assert [piece async for piece in stream] == [b"here"]
        async with kore.httpclient(peer.url).stream() as stream:
            assert (stream.status, stream.headers["x"]) == (302, "first")


@on_both
async def test_a_stream_may_have_a_timeout() -> None:
    async def drip(asked: Asked) -> None:
        asked.send(OK + b"\r\n")
        while True:
            asked.send(b"x")
            await asyncio.sleep(0.01)

    async with Peer(drip) as peer:
        stream = kore.httpclient(peer.url).stream(timeout=100)

        async def read() -> None:
            async for _ in stream:
                pass

        assert (await fails(read())).code == 28


@pytest.mark.parametrize("method", ["connect", "", 5])
def test_a_method_that_there_is_not_is_refused(method: Any) -> None:
    with pytest.raises(ValueError, match="is no method"):
        kore.httpclient("http://127.0.0.1:1/").stream(method)


# The other direction


@on_both
async def test_a_body_is_sent_as_it_comes() -> None:
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
async def test_a_body_without_pieces_is_empty() -> None:
    async def body() -> AsyncIterator[bytes]:
        return
        yield b""

    async with Peer() as peer:
        assert await kore.httpclient(peer.url).post(body=body()) == (200, b"hello")
        assert peer.asked[0].body == b""


@on_both
async def test_a_body_of_a_known_length_says_so() -> None:
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


@on_both
async def test_a_body_that_is_shorter_than_it_said_is_an_error() -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"short"

    async with Peer() as peer:
        error = await fails(
            kore.httpclient(peer.url).put(body=body(), headers={"content-length": "10"})
        )
        assert error.code in {18, 26, 55}
        await until(lambda: peer.gone == 1)


@on_both
async def test_nobody_is_asked_for_more_than_the_peer_takes() -> None:
    made = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal made
        while True:
            made += 65536
            yield b"x" * 65536

    async def slow(asked: Asked) -> None:
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
async def test_a_body_that_fails_is_the_error_of_the_request() -> None:
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
async def test_what_is_no_bytes_is_the_error_of_the_request() -> None:
    async def body() -> AsyncIterator[Any]:
        yield "text"

    async with Peer() as peer:
        with pytest.raises(TypeError, match="bytes-like"):
            await kore.httpclient(peer.url).post(body=body())


@on_both
async def test_an_early_answer_ends_the_body() -> None:
    closed = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 65536
                await asyncio.sleep(0)
        finally:
            closed.set()

    async def refuse(asked: Asked) -> None:
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
async def test_both_directions_go_on_at_the_same_time() -> None:
    async def body() -> AsyncIterator[bytes]:
        for word in (b"one", b"two", b"three"):
            yield word
            await asyncio.wait_for(echoed[word].wait(), 10)

    echoed = {word: asyncio.Event() for word in (b"one", b"two", b"three")}

    async def echo(asked: Asked) -> None:
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
