"""Descriptors that have an error and live on: an event loop may give up on them, or spin."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

import kore
from kore.errors import SocketError
from tests.helpers.loops import on_both, passes
from tests.helpers.socket_pairs import pair

RESET = b"\1\0\0\0\0\0\0\0"
# Linux's numbers, which the socket module of old Pythons does not have.
IP_RECVERR = 11
MSG_ERRQUEUE = 0x2000
# For what is there already; a failing test ends by it.
SOON = 5000


@contextlib.contextmanager
def datagrams() -> Iterator[tuple[Any, socket.socket, tuple[str, int]]]:
    """Yield one of ours, its owner's, and the address it is connected to, where nobody is."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own,
    ):
        free.bind(("127.0.0.1", 0))
        address = free.getsockname()
        free.close()
        own.connect(address)
        sock = kore.socket_wrap(own)
        try:
            yield sock, own, address
        finally:
            sock.close()


def answer(address: tuple[str, int], to: socket.socket, data: bytes) -> None:
    """Send a datagram from *address*."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(address)
        server.sendto(data, to.getsockname())


@on_both
async def test_reset_is_reported_after_the_data_before_it() -> None:
    async with pair() as (sock, other):
        waiting = asyncio.create_task(sock.recv(100))
        await passes(3)
        other.sendall(b"the answer")
        other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        other.close()
        assert await waiting == b"the answer"
        async with asyncio.timeout(SOON / 1000):  # none of its own, which would look once more
            with pytest.raises(SocketError, match=r"^Connection reset by peer$"):
                await sock.recv(100)
            assert await sock.recv(100) is None


@on_both
async def test_datagrams_arrive_after_a_refused_one() -> None:
    with datagrams() as (sock, own, address):
        for number in range(3):
            waiting = asyncio.create_task(sock.recv(100))
            await passes(3)
            await sock.send(b"is anybody there?")
            with pytest.raises(SocketError, match=r"^Connection refused$"):
                await waiting
            for data in (b"first %d" % number, b"second %d" % number):
                waiting = asyncio.create_task(sock.recv(100))
                await passes(3)
                answer(address, own, data)
                async with asyncio.timeout(SOON / 1000):
                    assert await waiting == data


@on_both
async def test_error_reported_elsewhere_leaves_the_reader_waiting() -> None:
    with datagrams() as (sock, own, address):
        waiting = asyncio.create_task(sock.recv(100))
        await passes(3)
        loop = asyncio.get_running_loop()
        for delay in range(5):
            own.send(b"is anybody there?")
            await passes(delay)
            loop.call_soon(own.getsockopt, socket.SOL_SOCKET, socket.SO_ERROR)
            await passes(5)
            if waiting.done():
                with pytest.raises(SocketError):
                    await waiting
                waiting = asyncio.create_task(sock.recv(100))
                await passes(3)
        answer(address, own, b"here")
        async with asyncio.timeout(SOON / 1000):
            assert await waiting == b"here"


@on_both
async def test_persistent_error_does_not_spin_or_lose_datagrams() -> None:
    """With a queue of errors the descriptor has one until the owner reads the queue."""
    with datagrams() as (sock, own, address):
        own.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        own.send(b"is anybody there?")
        with pytest.raises(SocketError, match=r"^Connection refused$"):
            await sock.recv(100)
        waiting = asyncio.create_task(sock.recv(100))
        start = time.process_time()
        await asyncio.sleep(0.3)
        assert time.process_time() - start < 0.2
        answer(address, own, b"here")
        async with asyncio.timeout(SOON / 1000):
            assert await waiting == b"here"
        assert own.recvmsg(100, 100, MSG_ERRQUEUE)[0] == b"is anybody there?"
        answer(address, own, b"again")
        async with asyncio.timeout(SOON / 1000):
            assert await sock.recv(100) == b"again"


@on_both
async def test_errors_of_many_sockets_are_all_reported() -> None:
    async with contextlib.AsyncExitStack() as stack:
        pairs = [await stack.enter_async_context(pair()) for _ in range(100)]
        waiting = [asyncio.create_task(sock.recv(100)) for sock, _ in pairs]
        await passes(3)
        for _, other in pairs:
            other.sendall(b"x")
            other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            other.close()
        async with asyncio.timeout(SOON / 1000):
            assert await asyncio.gather(*waiting) == [b"x"] * 100
            ends = [sock.recv(100) for sock, _ in pairs]
            found = await asyncio.gather(*ends, return_exceptions=True)
        assert {type(error) for error in found} == {SocketError}


@on_both
async def test_two_wrappers_of_one_listener_both_accept() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        servers = [kore.socket_wrap(listening) for _ in range(2)]
        clients = []
        for _ in range(5):
            waiting = [asyncio.create_task(server.accept()) for server in servers]
            await passes(3)
            for _ in range(2):
                clients.append(socket.create_connection(listening.getsockname()))
                await passes(5)
            async with asyncio.timeout(SOON / 1000):
                for accepted in await asyncio.gather(*waiting):
                    accepted.close()
        for each in (*clients, *servers):
            each.close()
