"""How sockets end, by either side, by their owner; many of them; and what they refuse."""

import asyncio
import gc
import socket
import ssl
from typing import Any

import pytest

import kore
from kore.errors import KoreError, SocketError
from tests.helpers.loops import on_both, passes, until
from tests.helpers.socket_pairs import connected, ended, pair, pending, read

MB = 2**20


@on_both
async def test_send_to_a_closed_peer_raises() -> None:
    async with pair(socket.AF_UNIX) as (sock, other):
        other.close()
        with pytest.raises(SocketError, match=r"^Broken pipe$"):
            await sock.send(b"x")
    async with pair(socket.AF_UNIX) as (sock, other):
        sending = asyncio.create_task(sock.send(b"x" * 4 * MB))
        await passes(3)
        other.close()
        with pytest.raises(SocketError, match=r"^(Broken pipe|Connection reset by peer)$"):
            await sending


@on_both
async def test_reset_raises_with_the_system_reason() -> None:
    async with pair() as (sock, other):
        waiting = asyncio.create_task(sock.recv(10))
        await passes(2)
        other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        other.close()
        with pytest.raises(SocketError, match=r"^Connection reset by peer$"):
            await waiting


@on_both
async def test_closed_socket_refuses_every_operation() -> None:
    async with pair() as (sock, _):
        assert (sock.close(), sock.close()) == (True, True)
        for operation in (
            sock.recv(1),
            sock.recvfrom(1),
            sock.recvmsg(1),
            sock.accept(),
            sock.send(b"x"),
            sock.sendto("127.0.0.1", 1, b"x"),
            sock.connect("127.0.0.1", 1),
        ):
            with pytest.raises(SocketError, match="socket is closed"):
                await operation
        assert (sock.fileno(), sock.peer) == (-1, None)


@on_both
async def test_close_ends_waiting_operations() -> None:
    async with pair() as (sock, _):
        receiving = asyncio.create_task(sock.recv(10))
        sending = asyncio.create_task(sock.send(b"x" * 16 * MB))
        await passes(3)
        sock.close()
        assert await receiving is None
        with pytest.raises(SocketError, match="socket is closed"):
            await sending
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = kore.socket_wrap(listening)
        accepting = asyncio.create_task(server.accept())
        await passes(2)
        server.close()
        with pytest.raises(SocketError, match="socket is closed"):
            await accepting


@on_both
async def test_closing_the_wrapped_socket_closes_the_wrapper() -> None:
    ours, other = connected(socket.AF_INET)
    sock = kore.socket_wrap(ours)
    ours.close()
    with pytest.raises(SocketError, match="socket is closed"):
        await sock.recv(1)
    sock.close()
    other.close()
    with pytest.raises(SocketError, match="socket is closed"):
        kore.socket_wrap(ours)


@on_both
async def test_closing_the_wrapper_leaves_the_wrapped_socket_open() -> None:
    ours, other = connected(socket.AF_INET)
    kore.socket_wrap(ours).close()
    ours.sendall(b"open")

    assert await read(other, 4) == b"open"
    ours.close()
    other.close()


@on_both
async def test_reused_descriptor_number_is_not_touched() -> None:
    """Nothing that was registered for the closed one may be heard for the new one."""
    for _ in range(50):
        async with pair() as (first, _):
            waiting = asyncio.create_task(first.recv(10))
            await passes(1)
            first.close()
            async with pair() as (second, far):
                far.sendall(b"new")
                assert await second.recv(10) == b"new"
            assert await waiting is None


def test_socket_class_cannot_be_called_directly() -> None:
    # What an end nobody sees says is an error here.
    with pytest.raises(TypeError, match="'own'"):
        kore.pysocket()  # type: ignore[call-arg]


@on_both
async def test_dropped_socket_is_closed() -> None:
    ours, other = connected(socket.AF_INET)
    kore.socket_wrap(ours)
    ours.close()
    gc.collect()
    await until(lambda: ended(other))
    other.close()


@on_both
async def test_thousand_sockets_work_concurrently() -> None:
    async def echo(server: Any) -> None:
        while True:
            kore.task_create(serve(await server.accept()))

    async def serve(client: Any) -> None:
        while (data := await client.recv(100)) is not None:
            await client.send(data)
        client.close()

    async def ask(port: int, number: int) -> bytes:
        with socket.socket() as own:
            sock = kore.socket_wrap(own)
            await sock.connect("127.0.0.1", port)
            await sock.send(b"%d" % number)
            answer = await sock.recv(100)
            sock.close()
        return bytes(answer or b"")

    with socket.create_server(("127.0.0.1", 0), backlog=512) as listening:
        server = kore.socket_wrap(listening)
        accepting = asyncio.create_task(echo(server))
        port = listening.getsockname()[1]
        answers = await kore.gather(*[ask(port, n) for n in range(1000)], concurrency=200)
        assert answers == [b"%d" % number for number in range(1000)]
        accepting.cancel()
        await until(lambda: not kore.tasks())
        server.close()


@on_both
async def test_busy_socket_lets_other_tasks_run() -> None:
    async with pair() as (sock, other):
        others = 0

        async def count() -> None:
            nonlocal others
            while True:
                others += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count())
        other.sendall(b"x" * 1000)
        await until(lambda: pending(sock))
        before = others
        for _ in range(1000):
            await sock.recv(1)
        counting.cancel()
        assert others - before > 10


@on_both
async def test_arguments_are_checked() -> None:
    async with pair() as (sock, _):
        for maxlen in (0, -1):
            with pytest.raises(ValueError, match="maxlen must be 1 or more"):
                await sock.recv(maxlen)
        for data in (5, None, [1]):
            with pytest.raises(TypeError, match="a bytes-like object or str is required"):
                await sock.send(data)
        with pytest.raises(TypeError):
            await sock.recv(10, "soon")
        with pytest.raises(TypeError, match=r"connect\(host, port\) takes 2 arguments"):
            await sock.connect("127.0.0.1")
        assert await sock.send(b"") is None
    netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)
    with netlink, pytest.raises(KoreError, match="unsupported family"):
        kore.socket_wrap(netlink)
    with pytest.raises(AttributeError, match="has no attribute"):
        kore.socket_wrap(5)  # type: ignore[arg-type]


@on_both
async def test_tls_socket_is_refused() -> None:
    near, far = socket.socketpair()
    context = ssl.create_default_context()
    tls = context.wrap_socket(near, do_handshake_on_connect=False, server_hostname="x")
    with far, tls, pytest.raises(KoreError, match="TLS"):
        kore.socket_wrap(tls)
