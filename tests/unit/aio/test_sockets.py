"""Stream sockets: bytes, addresses, timeouts, slow readers; against Python's own sockets."""

import asyncio
import contextlib
import socket
from pathlib import Path
from typing import Any

import pytest

import kore
from kore.errors import KoreError, SocketError
from tests.helpers.loops import on_both, passes, until
from tests.helpers.socket_pairs import pair, pending, read

MB = 2**20


FAMILIES = pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6, socket.AF_UNIX])


@FAMILIES
@on_both
async def test_sent_data_arrives_and_the_end_is_none(family: int) -> None:
    async with pair(family) as (sock, other):
        assert await sock.send(b"bytes ") is None
        await sock.send("text \u00e4 ")
        await sock.send(bytearray(b"array "))
        await sock.send(memoryview(b"view"))
        assert await read(other, 24) == "bytes text \u00e4 array view".encode()

        other.sendall(b"hello world")
        assert await sock.recv(5) == b"hello"
        assert await sock.recv(1024) == b" world"
        waiting = asyncio.create_task(sock.recv(10))
        await passes(3)
        other.sendall(b"later")
        assert await waiting == b"later"
        other.close()
        assert [await sock.recv(10), await sock.recv(10)] == [None, None]


@FAMILIES
@on_both
async def test_client_connects_to_a_server(family: int, tmp_path: Path) -> None:
    unix, host = family == socket.AF_UNIX, {socket.AF_INET: "127.0.0.1"}.get(family, "::1")
    listening = socket.socket(family)
    listening.bind(str(tmp_path / "s") if unix else (host, 0))
    listening.listen()
    address = listening.getsockname()
    server = kore.socket_wrap(listening)
    accepting = asyncio.create_task(server.accept())
    own = socket.socket(family)
    client = kore.socket_wrap(own)
    await (client.connect(address) if unix else client.connect(host, str(address[1])))
    accepted = await accepting
    await client.send("hello")

    assert await accepted.recv(10) == b"hello"
    assert accepted.peer == (None if unix else own.getsockname()[:2])
    assert client.peer == (address if unix else address[:2])
    for each in (client, own, accepted, server, listening):
        each.close()


@on_both
async def test_host_name_is_resolved() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as own:
        sock = kore.socket_wrap(own)
        await sock.connect("localhost", server.getsockname()[1])
        sock.close()
    with socket.socket() as own:
        sock = kore.socket_wrap(own)
        with pytest.raises(SocketError, match=r"invalid host .no.such.host.invalid'"):
            await sock.connect("no.such.host.invalid", 80)
        with pytest.raises(SocketError, match="invalid host"):
            await sock.connect("a" * 300, 80)
        sock.close()


@on_both
async def test_refused_connection_raises_with_the_reason() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        with socket.socket() as own:
            sock = kore.socket_wrap(own)
            with pytest.raises(SocketError, match=r"^Connection refused$") as error:
                await sock.connect("127.0.0.1", port)
            sock.close()
    assert isinstance(error.value, RuntimeError)
    assert error.value.errno


@on_both
async def test_connect_to_a_path_without_a_listener_raises(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as own:
        sock = kore.socket_wrap(own)
        with pytest.raises(SocketError, match=r"^No such file or directory$"):
            await sock.connect(str(tmp_path / "nobody"))
        with pytest.raises(KoreError, match="unix socket path too long: 200 bytes"):
            await sock.connect("x" * 200)
        with pytest.raises(ValueError, match="embedded null"):
            await sock.connect("a\0b")
        with pytest.raises(TypeError, match="must be str, not int"):
            await sock.connect(5)
        sock.close()


@pytest.mark.parametrize("port", ["x", 0, -1, 65536, "65536", 1.5, True, None])
@on_both
async def test_invalid_port_is_refused(port: Any) -> None:
    with socket.socket() as own:
        sock = kore.socket_wrap(own)
        with pytest.raises(KoreError, match="invalid port number"):
            await sock.connect("127.0.0.1", port)
        sock.close()


@on_both
async def test_connect_raises_timeout() -> None:
    """With a full queue the kernel does not answer."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(server.getsockname())
        with socket.socket() as own:
            sock = kore.socket_wrap(own)
            with pytest.raises(TimeoutError, match="timeout before operation completed"):
                await sock.connect("127.0.0.1", server.getsockname()[1], 30)
            sock.close()
        for filler in fillers:
            filler.close()


@on_both
async def test_connect_waits_for_a_unix_listener_with_a_full_queue(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen(0)
        with socket.socket(socket.AF_UNIX) as filler, socket.socket(socket.AF_UNIX) as own:
            filler.connect(str(tmp_path / "s"))
            sock = kore.socket_wrap(own)
            with pytest.raises(TimeoutError):
                await sock.connect(str(tmp_path / "s"), 30)
            connecting = asyncio.create_task(sock.connect(str(tmp_path / "s")))
            await passes(2)
            server.accept()[0].close()
            await connecting
            sock.close()


@on_both
async def test_timeout_of_recv_loses_no_data() -> None:
    async with pair() as (sock, other):
        for _ in range(3):
            with pytest.raises(TimeoutError, match="timeout before operation completed"):
                await sock.recv(100, 5)
        other.sendall(b"it")
        assert await sock.recv(100, 1000) == b"it"
        other.sendall(b"there already")
        await until(lambda: pending(sock))
        assert await sock.recv(100, 0) == b"there already"
        with pytest.raises(TimeoutError):
            await sock.recv(100, timeout_ms=0)


@on_both
async def test_cancelled_recv_loses_no_data() -> None:
    """At every point: before the data came, when it was there, and when it had been read."""
    async with pair() as (sock, other):
        got = b""
        for number in range(300):
            waiting = asyncio.create_task(sock.recv(1 + number % 7))
            await passes(number % 3)
            other.sendall(b"%03d" % number)
            await passes(number % 5)
            waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                got += await waiting
        other.close()
        while (data := await sock.recv(1000)) is not None:
            got += data
        assert got == b"".join(b"%03d" % number for number in range(300))


@on_both
async def test_timeouts_racing_with_data_lose_nothing() -> None:
    async with pair() as (sock, other):

        async def feed() -> None:
            for number in range(200):
                other.sendall(b"%03d" % number)
                await asyncio.sleep(0.001)
            other.close()

        feeding, got = asyncio.create_task(feed()), b""
        while True:
            try:
                data = await sock.recv(2, 1)
            except TimeoutError:
                continue
            if data is None:
                break
            got += data
        await feeding
        assert got == b"".join(b"%03d" % number for number in range(200))


@on_both
async def test_second_recv_is_refused_but_a_send_is_not() -> None:
    async with pair() as (sock, other):
        waiting = asyncio.create_task(sock.recv(10))
        await passes(2)
        for second in (sock.recv(10), sock.recvfrom(10), sock.recvmsg(10), sock.accept()):
            with pytest.raises(KoreError, match="only one recv operation can be done per socket"):
                await second
        await sock.send(b"beside")
        assert await read(other, 6) == b"beside"
        other.sendall(b"for the first")
        assert await waiting == b"for the fi"


@on_both
async def test_large_data_is_sent_completely_to_a_slow_reader() -> None:
    async with pair() as (sock, other):
        data = bytes(range(256)) * (4 * MB // 256)
        sending = asyncio.create_task(sock.send(data))
        await passes(3)
        assert not sending.done()
        with pytest.raises(KoreError, match="only one send operation can be done per socket"):
            await sock.send(b"x")
        assert await read(other, len(data)) == data
        await sending
        buffer = bytearray(b"x" * MB)
        sending = asyncio.create_task(sock.send(buffer))
        await read(other, MB)
        await sending
        buffer.clear()  # nobody holds it any more


@on_both
async def test_send_raises_timeout() -> None:
    async with pair() as (sock, _):
        with pytest.raises(TimeoutError):
            await sock.send(b"x" * 16 * MB, 10)
        with pytest.raises(TimeoutError):
            await send_on(sock)


async def send_on(sock: Any) -> None:
    """Send in small pieces: the time may be over before the kernel has all it takes."""
    while True:
        await sock.send(b"y" * 65536, 10)
