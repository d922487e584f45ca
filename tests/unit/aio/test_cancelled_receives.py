"""A receive that is cancelled when data have come leaves them to the next one, whatever that is."""

import array
import asyncio
import os
import socket
from typing import Any

import pytest

import kore
from kore.errors import SocketError
from tests.helpers.loops import on_both, passes
from tests.helpers.socket_pairs import pair

HOW = ["recv", "recvfrom", "recvmsg"]


def data_of(result: Any) -> Any:
    """Return the data in what an operation has returned."""
    if isinstance(result, tuple):
        return next(each for each in result[1:] if isinstance(each, bytes | None))
    return result


async def cancel_when_taken(task: "asyncio.Task[Any]", sock: Any) -> None:
    """Cancel a task when the event loop has taken for it what came, before its next step."""

    def look() -> None:
        if sock._reading.is_waiting:
            asyncio.get_running_loop().call_soon(look)
        else:
            task.cancel()

    look()
    with pytest.raises(asyncio.CancelledError):
        await task


async def cancelled_with_data(sock: Any, how: str, send: Any, maxlen: int = 100) -> None:
    """Cancel a receive between the moment in which data come and its task's next step."""
    task = asyncio.create_task(getattr(sock, how)(maxlen))
    await passes(2)
    send()
    await cancel_when_taken(task, sock)


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
@pytest.mark.parametrize("second", HOW)
@pytest.mark.parametrize("first", HOW)
@on_both
async def test_stream_keeps_its_order_after_a_cancelled_receive(
    first: str, second: str, family: int
) -> None:
    async with pair(family) as (sock, other):
        await cancelled_with_data(sock, first, lambda: other.send(b"first. "))
        other.send(b"second.")
        received = await getattr(sock, second)(100)
        assert data_of(received) == b"first. "
        assert data_of(await getattr(sock, second)(100)) == b"second."
        if second != "recv" and family == socket.AF_INET:
            assert received[:2] == other.getsockname()[:2]


@pytest.mark.parametrize("second", HOW)
@pytest.mark.parametrize("first", HOW)
@on_both
async def test_smaller_receive_leaves_the_rest_of_saved_data(first: str, second: str) -> None:
    async with pair(socket.AF_UNIX) as (sock, other):
        await cancelled_with_data(sock, first, lambda: other.send(b"abcdef"))
        other.send(b"gh")
        received = b"".join([data_of(await getattr(sock, second)(1)) for _ in range(7)])
        assert received == b"abcdefg"
        assert await sock.recv(10) == b"h"


@pytest.mark.parametrize("second", HOW)
@pytest.mark.parametrize("first", HOW)
@on_both
async def test_end_of_a_stream_stays_after_a_cancelled_receive(first: str, second: str) -> None:
    async with pair(socket.AF_UNIX) as (sock, other):
        await cancelled_with_data(sock, first, other.close)
        for _ in range(2):
            assert data_of(await getattr(sock, second)(10)) is None


@pytest.mark.parametrize("second", HOW)
@pytest.mark.parametrize("first", HOW)
@on_both
async def test_datagram_keeps_its_source_after_a_cancelled_receive(first: str, second: str) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as own, socket.socket(
        type=socket.SOCK_DGRAM
    ) as other:
        own.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        other.connect(own.getsockname())
        sock = kore.socket_wrap(own)
        await cancelled_with_data(sock, first, lambda: other.send(b"datagram"))
        other.send(b"next")
        received = await getattr(sock, second)(4)
        assert data_of(received) == b"data", "the rest is lost, as the system does it"
        if second != "recv":
            assert received[:2] == other.getsockname()
        assert data_of(await getattr(sock, second)(4)) == b"next"
        sock.close()


@pytest.mark.parametrize("then", ["recv", "recvfrom", "close"])
@on_both
async def test_descriptors_that_are_not_returned_are_closed(then: str) -> None:
    async with pair(socket.AF_UNIX) as (sock, other):
        ours, theirs = os.pipe()
        passed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [theirs]))]
        await cancelled_with_data(sock, "recvmsg", lambda: other.sendmsg([b"data"], passed))
        os.close(theirs)
        os.set_blocking(ours, False)
        with pytest.raises(BlockingIOError):
            os.read(ours, 1)
        if then == "close":
            sock.close()
        else:
            assert data_of(await getattr(sock, then)(10)) == b"data"
        assert os.read(ours, 1) == b"", "the other end is closed everywhere"
        os.close(ours)


@on_both
async def test_accepted_client_of_a_cancelled_accept_goes_to_the_next() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as client:
        server = kore.socket_wrap(listening)
        task = asyncio.create_task(server.accept())
        await passes(2)
        client.connect(listening.getsockname())
        await cancel_when_taken(task, server)
        with pytest.raises(SocketError):
            await server.recv(10)
        accepted = await server.accept(1000)
        assert accepted.peer == client.getsockname()
        accepted.close()
        server.close()
