"""Answers in pieces, no faster than somebody takes them."""

import asyncio
import os
import zlib
from typing import Any

import pytest

import kore
from kore.errors import KoreError
from tests.helpers import procs
from tests.helpers.http_peer import Peer, ReceivedRequest
from tests.helpers.loops import on_both, until
from tests.unit.httpclient.test_failing import OK, close_in_body, fails, running

MIB = 1024 * 1024


class Flood:
    """Answers with more than anybody wants; counts what went."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.sent = 0

    async def __call__(self, asked: ReceivedRequest) -> None:
        asked.send(OK + b"content-length: %d\r\nx: y\r\n\r\n" % self.size)
        while self.sent < self.size:
            asked.send(b"x" * 65536)
            self.sent += 65536
            await asked.writer.drain()


@on_both
async def test_response_is_read_in_pieces() -> None:
    async with Peer(Flood(64 * MIB)) as peer:
        pieces = [len(piece) async for piece in kore.httpclient(peer.url).stream()]

        assert sum(pieces) == 64 * MIB
        assert max(pieces) < MIB
        assert running() == 0


@on_both
async def test_head_is_available_in_the_context() -> None:
    release = asyncio.Event()

    async def answer(asked: ReceivedRequest) -> None:
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
async def test_slow_reader_pauses_the_server() -> None:
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
async def test_leaving_the_loop_ends_the_transfer() -> None:
    async with Peer(Flood(1024 * MIB)) as peer:
        async for _ in kore.httpclient(peer.url).stream():
            break
        await until(lambda: running() == 0)
        await until(lambda: peer.gone == 1)


@on_both
async def test_stream_freed_in_another_thread_ends() -> None:
    async with Peer(Flood(1024 * MIB)) as peer:
        kept = [kore.httpclient(peer.url).stream()]
        await anext(kept[0])
        await asyncio.to_thread(kept.clear)
        await until(lambda: running() == 0)


@on_both
async def test_decompression_bomb_is_decoded_while_read() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    mib = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)

    async def bomb(asked: ReceivedRequest) -> None:
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
async def test_cancelled_read_ends_the_stream() -> None:
    async def silent(asked: ReceivedRequest) -> None:
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


@pytest.mark.parametrize("entered", [False, True])
@on_both
async def test_stream_ended_by_a_timeout_does_not_look_complete(entered: bool) -> None:
    async def silent(asked: ReceivedRequest) -> None:
        asked.send(OK + b"content-length: 10\r\n\r\nhello")
        await asked.reader.read()

    async with Peer(silent) as peer:
        stream = kore.httpclient(peer.url).stream()
        if entered:
            await stream.__aenter__()
        assert await anext(stream) == b"hello"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(stream), 0.01)
        assert running() == 0
        for _ in range(2):
            with pytest.raises(kore.errors.KoreError, match="is not complete"):
                await anext(stream)
        with pytest.raises(kore.errors.KoreError, match="is not complete"):
            assert [piece async for piece in stream]


@on_both
async def test_cancelled_head_does_not_look_like_an_empty_response() -> None:
    async def silent(asked: ReceivedRequest) -> None:
        await asked.reader.read()

    async with Peer(silent) as peer:
        stream = kore.httpclient(peer.url).stream()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(stream.__aenter__(), 0.01)
        with pytest.raises(kore.errors.KoreError, match="is not complete"):
            await anext(stream)


@on_both
async def test_error_is_raised_at_each_read() -> None:
    async with Peer(close_in_body) as peer:
        stream = kore.httpclient(peer.url).stream()
        assert await anext(stream) == b"hello"
        for _ in range(3):
            assert (await fails(anext(stream))).code == 18


@on_both
async def test_stream_has_one_reader_at_a_time() -> None:
    release = asyncio.Event()

    async def late(asked: ReceivedRequest) -> None:
        await release.wait()
        asked.answer(b"late")

    async with Peer(late) as peer:
        stream = kore.httpclient(peer.url).stream()
        first = asyncio.ensure_future(anext(stream))
        await until(lambda: peer.asked)
        with pytest.raises(RuntimeError, match="another task reads"):
            await anext(stream)
        release.set()
        assert await first == b"late"


@on_both
async def test_another_task_may_close_the_stream() -> None:
    async def silent(asked: ReceivedRequest) -> None:
        asked.send(OK + b"content-length: 5\r\n\r\n")
        await asked.reader.read()

    async with Peer(silent) as peer:
        stream = kore.httpclient(peer.url).stream()

        async def read() -> list[bytes]:
            return [piece async for piece in stream]

        task = asyncio.create_task(read())
        await until(lambda: stream.status == 200)
        await stream.aclose()
        with pytest.raises(KoreError, match="closed before the end of its body"):
            await task


@pytest.mark.parametrize("begun", [False, True])
@on_both
async def test_closed_stream_does_not_look_complete(begun: bool) -> None:
    async with Peer() as peer:
        stream = kore.httpclient(peer.url).stream()
        if begun:
            async with stream:
                await until(lambda: running() == 0)
        else:
            await stream.aclose()
        for _ in range(2):
            with pytest.raises(KoreError, match="closed before the end of its body"):
                await anext(stream)


@on_both
async def test_complete_stream_stays_at_its_end() -> None:
    async with Peer() as peer:
        async with kore.httpclient(peer.url).stream() as stream:
            assert [piece async for piece in stream] == [b"hello"]
        await stream.aclose()
        for _ in range(2):
            with pytest.raises(StopAsyncIteration):
                await anext(stream)


@on_both
async def test_aborted_response_is_an_error_after_its_pieces() -> None:
    async with Peer(close_in_body) as peer:
        stream = kore.httpclient(peer.url).stream()
        assert await anext(stream) == b"hello"
        assert (await fails(anext(stream))).code == 18
        assert running() == 0


@on_both
async def test_received_part_of_an_aborted_response_can_be_read() -> None:
    async with Peer(close_in_body) as peer, kore.httpclient(peer.url).stream() as stream:
        await until(lambda: running() == 0)
        assert stream.status == 200
        assert await anext(stream) == b"hello"
        assert (await fails(anext(stream))).code == 18


@on_both
async def test_missing_response_is_an_error_on_entering() -> None:
    error = await fails(kore.httpclient("http://127.0.0.1:1/").stream().__aenter__())
    assert error.code == 7


@on_both
async def test_head_is_that_of_the_last_redirect() -> None:
    async def answer(asked: ReceivedRequest) -> None:
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
async def test_stream_may_have_a_timeout() -> None:
    async def drip(asked: ReceivedRequest) -> None:
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
def test_unknown_method_is_refused(method: Any) -> None:
    with pytest.raises(ValueError, match="is not a method"):
        kore.httpclient("http://127.0.0.1:1/").stream(method)
