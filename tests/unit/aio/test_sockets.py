"""Stream sockets: bytes, ends, timeouts, errors, descriptors; against Python's own sockets."""

import asyncio
import contextlib
import gc
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import kore
from kore.errors import KoreError, SocketError
from tests.helpers.loops import on_both, passes, until

MB = 2**20


@contextlib.asynccontextmanager
async def pair(family: int = socket.AF_INET) -> AsyncIterator[tuple[Any, socket.socket]]:
    """Yield one of ours that is connected to one of Python's, which does not block."""
    ours, other = connected(family)
    sock = kore.socket_wrap(ours)
    try:
        with ours, other:
            yield sock, other
    finally:
        sock.close()


def connected(family: int) -> tuple[socket.socket, socket.socket]:
    if family == socket.AF_UNIX:
        ours, other = socket.socketpair()
    else:
        host = "::1" if family == socket.AF_INET6 else "127.0.0.1"
        with socket.create_server((host, 0), family=family) as server:
            ours = socket.create_connection(server.getsockname()[:2])
            other, _ = server.accept()
    other.setblocking(False)
    return ours, other


async def read(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        with contextlib.suppress(BlockingIOError):
            data += sock.recv(2**16)
        await asyncio.sleep(0)
    return data


FAMILIES = pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6, socket.AF_UNIX])


@FAMILIES
@on_both
async def test_what_is_sent_arrives_and_the_end_is_none(family: int) -> None:
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
async def test_a_server_and_a_client_find_each_other(family: int, tmp_path: Path) -> None:
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
async def test_a_name_is_looked_up() -> None:
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
async def test_a_refused_connection_says_so() -> None:
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
async def test_there_may_be_nobody_at_a_path(tmp_path: Path) -> None:
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
async def test_a_port_is_a_number_of_a_port(port: Any) -> None:
    with socket.socket() as own:
        sock = kore.socket_wrap(own)
        with pytest.raises(KoreError, match="invalid port number"):
            await sock.connect("127.0.0.1", port)
        sock.close()


@on_both
async def test_a_connection_may_take_too_long() -> None:
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
async def test_a_unix_server_with_a_full_queue_is_waited_for(tmp_path: Path) -> None:
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
async def test_a_timeout_loses_no_data() -> None:
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


def pending(sock: Any) -> bool:
    with socket.socket(fileno=socket.dup(sock.fileno())) as probe:
        try:
            return bool(probe.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return False


@on_both
async def test_a_cancelled_recv_loses_no_data() -> None:
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
async def test_timeouts_that_race_with_data_lose_nothing() -> None:
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
async def test_two_cannot_receive_at_once_but_one_may_send_meanwhile() -> None:
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
async def test_large_data_goes_out_whole_to_a_slow_reader() -> None:
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
async def test_a_send_may_take_too_long() -> None:
    async with pair() as (sock, _):
        with pytest.raises(TimeoutError):
            await sock.send(b"x" * 16 * MB, 10)
        with pytest.raises(TimeoutError):
            await sock.send(b"y", 10)


@on_both
async def test_sending_to_a_peer_that_has_gone_is_an_error() -> None:
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
async def test_a_reset_is_an_error_with_its_reason() -> None:
    async with pair() as (sock, other):
        waiting = asyncio.create_task(sock.recv(10))
        await passes(2)
        other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        other.close()
        with pytest.raises(SocketError, match=r"^Connection reset by peer$"):
            await waiting


@on_both
async def test_after_close_every_operation_is_an_error() -> None:
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
async def test_closing_ends_what_waits() -> None:
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
async def test_an_owner_that_closes_its_socket_closes_ours() -> None:
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
async def test_closing_ours_leaves_the_owners_open() -> None:
    ours, other = connected(socket.AF_INET)
    kore.socket_wrap(ours).close()
    ours.sendall(b"open")

    assert await read(other, 4) == b"open"
    ours.close()
    other.close()


@on_both
async def test_a_descriptors_number_may_be_somebody_elses_soon() -> None:
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


@on_both
async def test_a_forgotten_socket_is_closed() -> None:
    ours, other = connected(socket.AF_INET)
    kore.socket_wrap(ours)
    ours.close()
    gc.collect()
    await until(lambda: ended(other))
    other.close()


def ended(sock: socket.socket) -> bool:
    try:
        return sock.recv(1) == b""
    except BlockingIOError:
        return False


@on_both
async def test_a_thousand_sockets_at_once() -> None:
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
async def test_a_busy_socket_lets_others_run() -> None:
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
