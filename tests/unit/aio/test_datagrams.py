"""Datagrams, ancillary data, abstract names."""

import array
import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import kore
from kore.errors import KoreError, SocketError
from tests.helpers.loops import on_both, passes


@contextlib.contextmanager
def wrapped(family: int, kind: int, address: Any = None) -> Iterator[Any]:
    with socket.socket(family, kind) as own:
        if address is not None:
            own.bind(address)
        sock = kore.socket_wrap(own)
        sock_name = own.getsockname()
        try:
            yield sock, sock_name
        finally:
            sock.close()


@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
@on_both
async def test_recvfrom_returns_the_source_of_a_datagram(family: int, host: str) -> None:
    with (
        wrapped(family, socket.SOCK_DGRAM, (host, 0)) as (server, address),
        wrapped(family, socket.SOCK_DGRAM, (host, 0)) as (client, mine),
    ):
        port = address[1]
        await client.sendto(host, str(port), "text")
        assert await server.recvfrom(100) == (host, mine[1], b"text")
        waiting = asyncio.create_task(server.recvfrom(100))
        await passes(2)
        await client.sendto(host, port, b"")
        assert await waiting == (host, mine[1], b"")
        await client.sendto(host, port, b"one")
        await client.sendto(host, port, b"two")
        assert await server.recvfrom(2) == (host, mine[1], b"on")
        assert await server.recvmsg(100) == (host, mine[1], b"two", [])
        with pytest.raises(TimeoutError):
            await server.recvfrom(100, 5)
        await client.connect(host, port)
        await client.send(b"connected")
        assert await server.recv(100) == b"connected"
        await client.send(b"")
        assert await server.recv(100) == b""


@on_both
async def test_recvfrom_returns_the_source_of_a_unix_datagram(tmp_path: Path) -> None:
    place = str(tmp_path / "s")
    with (
        wrapped(socket.AF_UNIX, socket.SOCK_DGRAM, place) as (server, _),
        wrapped(socket.AF_UNIX, socket.SOCK_DGRAM, "\0kore-test-abstract") as (named, _),
        wrapped(socket.AF_UNIX, socket.SOCK_DGRAM) as (nameless, _),
    ):
        await named.sendto(place, b"from a name")
        await nameless.sendto(place, "from nobody")
        assert await server.recvfrom(100) == ("@kore-test-abstract", b"from a name")
        assert await server.recvfrom(100) == (None, b"from nobody")
        await server.sendto("@kore-test-abstract", b"back")
        assert await named.recvfrom(100) == (place, b"back")
        with pytest.raises(SocketError, match=r"^Connection refused$"):
            await server.sendto("@kore-test-nobody", b"x")
        with pytest.raises(TypeError, match=r"sendto\(path, data\) takes 2 arguments"):
            await server.sendto(place, 5, b"x", 100)


@on_both
async def test_sendto_waits_for_a_full_receiver_without_spinning(tmp_path: Path) -> None:
    place = str(tmp_path / "s")
    with (
        wrapped(socket.AF_UNIX, socket.SOCK_DGRAM, place) as (server, _),
        wrapped(socket.AF_UNIX, socket.SOCK_DGRAM) as (client, _),
    ):
        sent = 0
        with contextlib.suppress(TimeoutError):
            while True:
                await client.sendto(place, b"%d" % sent, 30)
                sent += 1
        start = time.process_time()
        waiting = asyncio.create_task(client.sendto(place, b"%d" % sent))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        assert time.process_time() - start < 0.2
        got = [(await server.recvfrom(100))[1] for _ in range(sent)]
        await waiting
        assert [*got, (await server.recvfrom(100))[1]] == [b"%d" % n for n in range(sent + 1)]


@on_both
async def test_recvfrom_returns_none_at_the_end_of_a_stream() -> None:
    ours, other = socket.socketpair()
    with ours, other:
        sock = kore.socket_wrap(ours)
        other.sendall(b"x")
        other.close()
        assert await sock.recvfrom(10) == (None, b"x")
        assert await sock.recvfrom(10) == (None, None)
        assert await sock.recvmsg(10) == (None, None, [])
        sock.close()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ours = socket.create_connection(listening.getsockname())
        client, _ = listening.accept()
        sock = kore.socket_wrap(ours)
        client.sendall(b"x")
        client.close()
        assert await sock.recvfrom(10) == ("127.0.0.1", listening.getsockname()[1], b"x")
        ip, port, data = await sock.recvfrom(10)
        assert (ip, port, data) == (None, None, None)
        sock.close()
        ours.close()


@on_both
async def test_received_descriptors_are_close_on_exec() -> None:
    ours, other = socket.socketpair()
    with ours, other:
        sock = kore.socket_wrap(ours)
        reading, writing = os.pipe()
        socket.send_fds(other, [b"here"], [reading])
        _, data, beside = await sock.recvmsg(100)
        ((length, level, kind, content),) = beside
        (descriptor,) = array.array("i", content)
        assert (data, length, level, kind) == (b"here", 4, socket.SOL_SOCKET, socket.SCM_RIGHTS)
        assert not os.get_inheritable(descriptor)
        for each in (reading, writing, descriptor):
            os.close(each)
        sock.close()


@on_both
async def test_abstract_socket_is_connected_by_name() -> None:
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as own:
        listening.bind("\0kore-test-stream")
        listening.listen()
        server, client = kore.socket_wrap(listening), kore.socket_wrap(own)
        await client.connect("@kore-test-stream")
        accepted = await server.accept()
        assert client.peer == "@kore-test-stream"
        for each in (accepted, server, client):
            each.close()


@on_both
async def test_refused_datagram_raises() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with wrapped(socket.AF_INET, socket.SOCK_DGRAM) as (sock, _):
        await sock.connect("127.0.0.1", port)
        await sock.send(b"x")
        with pytest.raises(SocketError, match=r"^Connection refused$"):
            await sock.recv(10)
        with pytest.raises(SocketError, match=r"^Message too long$"):
            await sock.send(b"x" * 100_000)
        with pytest.raises(KoreError, match="invalid port number"):
            await sock.sendto("127.0.0.1", 0, b"x")
        with pytest.raises(TypeError, match="a host must be str, not int"):
            await sock.sendto(5, 5, b"x")


@on_both
async def test_closing_a_datagram_socket_raises_in_its_reader() -> None:
    with wrapped(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)) as (sock, _):
        waiting = asyncio.create_task(sock.recv(10))
        await passes(2)
        sock.close()
        with pytest.raises(SocketError, match="socket is closed"):
            await waiting
