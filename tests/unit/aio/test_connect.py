"""Connecting to names with several addresses, and again after a failure."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterator
from typing import Any

import pytest

import kore
from kore.errors import SocketError
from tests.helpers.loops import on_both, passes

# All of 127.0.0.0/8 is this machine. Each address has ports of its own; nobody else uses these.
HOSTS = ("127.83.79.1", "127.83.79.2", "127.83.79.3")


@contextlib.contextmanager
def resolver(*found: str) -> Iterator[None]:
    """Have the loop's resolver say that a name has these addresses."""
    loop: Any = asyncio.get_running_loop()

    async def getaddrinfo(_: str, port: int, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in found]

    before, loop.getaddrinfo = loop.getaddrinfo, getaddrinfo
    try:
        yield
    finally:
        loop.getaddrinfo = before


@contextlib.contextmanager
def client(family: int = socket.AF_INET) -> Iterator[Any]:
    with socket.socket(family) as own:
        sock = kore.socket_wrap(own)
        try:
            yield sock
        finally:
            sock.close()


@contextlib.contextmanager
def silent(host: str, port: int) -> Iterator[None]:
    """Have an address that does not answer: with a full queue the kernel says nothing."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind((host, port))
        server.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex((host, port))
        yield


@on_both
async def test_connect_tries_the_next_address_after_a_refusal() -> None:
    with socket.create_server((HOSTS[2], 0)) as server, resolver(*HOSTS), client() as sock:
        port = server.getsockname()[1]
        await sock.connect("several.example", port)
        assert sock.peer == (HOSTS[2], port)
        accepted, _ = server.accept()
        accepted.sendall(b"welcome")
        accepted.close()
        assert await sock.recv(100) == b"welcome"


@on_both
async def test_connect_tries_the_first_address_first() -> None:
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(socket.create_server((HOSTS[1], 0)))
        port = first.getsockname()[1]
        stack.enter_context(socket.create_server((HOSTS[0], port)))
        stack.enter_context(resolver(HOSTS[1], HOSTS[0]))
        sock = stack.enter_context(client())
        await sock.connect("several.example", port, 5000)
        assert sock.peer == (HOSTS[1], port)


@on_both
async def test_connect_error_lists_the_error_of_each_address() -> None:
    with socket.create_server((HOSTS[0], 0)) as server:
        port = server.getsockname()[1]
    with resolver(*HOSTS), client() as sock:
        with pytest.raises(SocketError) as caught:
            await sock.connect("several.example", port, 5000)
        assert str(caught.value) == "; ".join(f"{host}: Connection refused" for host in HOSTS)
        assert caught.value.errno == errno.ECONNREFUSED


@on_both
async def test_unresponsive_address_leaves_time_for_the_next() -> None:
    with socket.create_server((HOSTS[1], 0)) as server:
        port = server.getsockname()[1]
        with silent(HOSTS[0], port), resolver(*HOSTS[:2]), client() as sock:
            await sock.connect("several.example", port, 1600)
            assert sock.peer == (HOSTS[1], port)
    with silent(HOSTS[0], port), resolver(*HOSTS[:2]), client() as sock:
        with pytest.raises(SocketError) as caught:
            await sock.connect("several.example", port, 1000)
        late = f"{HOSTS[0]}: timeout before operation completed"
        assert str(caught.value) == f"{late}; {HOSTS[1]}: Connection refused"


@on_both
async def test_connect_timeout_covers_all_addresses() -> None:
    with contextlib.ExitStack() as stack:
        with socket.create_server((HOSTS[0], 0)) as server:
            port = server.getsockname()[1]
        for host in HOSTS:
            stack.enter_context(silent(host, port))
        stack.enter_context(resolver(*HOSTS))
        sock = stack.enter_context(client())
        with pytest.raises(TimeoutError, match="timeout before operation completed"):
            await sock.connect("several.example", port, 90)


@on_both
async def test_socket_can_connect_after_a_failure() -> None:
    with socket.create_server((HOSTS[1], 0)) as server, client() as sock:
        host, port = server.getsockname()
        for _ in range(2):
            with pytest.raises(SocketError, match=r"^Connection refused$"):
                await sock.connect(HOSTS[0], port)
        with silent(HOSTS[0], port):
            with pytest.raises(TimeoutError):
                await sock.connect(HOSTS[0], port, 30)
            connecting = asyncio.create_task(sock.connect(HOSTS[0], port))
            await passes(3)
            connecting.cancel()
            await asyncio.wait({connecting})
        await sock.connect(host, port)
        assert sock.peer == (host, port)
        with pytest.raises(SocketError, match="already connected"):
            await sock.connect(host, port)


@on_both
async def test_close_ends_a_connect() -> None:
    with socket.create_server((HOSTS[1], 0)) as server:
        port = server.getsockname()[1]
        with silent(HOSTS[0], port), resolver(*HOSTS[:2]), client() as sock:
            connecting = asyncio.create_task(sock.connect("several.example", port))
            await passes(5)
            sock.close()
            with pytest.raises(SocketError, match=r"^socket is closed$"):
                await connecting
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


@on_both
async def test_ipv6_socket_reaches_ipv4_addresses() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        for host in ("localhost", "127.0.0.1"):
            with client(socket.AF_INET6) as sock:
                await sock.connect(host, port, 5000)
                assert sock.peer == ("::ffff:127.0.0.1", port)
                server.accept()[0].close()
        with client(socket.AF_INET6) as sock:
            with socket.socket(fileno=socket.dup(sock.fileno())) as same:
                same.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            with pytest.raises(SocketError, match=r"invalid host .127\.0\.0\.1"):
                await sock.connect("127.0.0.1", port, 5000)
