"""Kore's awaitables against asyncio's own: CPU per operation. `make bench-toolkit`."""

import argparse
import asyncio
import platform
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import machine
import uvloop

import kore

HERE = Path(__file__).parent
LOOPS = {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}
KIB = b"x" * 1024
MANY = 100

Work = Callable[[int], Awaitable[None]]

METHOD = """\
One process, one event loop, no server. Each operation is done many times in a row, ours and
asyncio's in turns, {rounds} rounds over all of them; the round with the least CPU counts, since
noise only ever adds. CPU is that of the process, user and system, over the number of operations.
Of a spawn it is the parent's share; the child's is the same for all. An echo is there and back,
both ends in this process. asyncio drops tasks without a reference, so programs keep them in a set;
`kore.task_create` keeps them, with a number, and reports their errors."""


@dataclass(frozen=True, slots=True)
class Row:
    """An operation, how often a round does it, ours first, then what it is compared with."""

    title: str
    count: int
    ways: dict[str, Work]
    bar: float = 1.1


# Queues, locks, pauses


async def kore_queue(count: int) -> None:
    queue = kore.queue()
    for number in range(count):
        queue.push(number)
        await queue.pop()


async def asyncio_queue(count: int) -> None:
    queue: asyncio.Queue[int] = asyncio.Queue()
    for number in range(count):
        queue.put_nowait(number)
        await queue.get()


async def handed(count: int, put: Callable[[int], Any], get: Callable[[], Awaitable[Any]]) -> None:
    async def consume() -> None:
        for _ in range(count):
            await get()

    consumer = asyncio.create_task(consume())
    for number in range(count):
        put(number)
        await asyncio.sleep(0)
    await consumer


async def kore_queue_waited(count: int) -> None:
    queue = kore.queue()
    await handed(count, queue.push, queue.pop)


async def asyncio_queue_waited(count: int) -> None:
    queue: asyncio.Queue[int] = asyncio.Queue()
    await handed(count, queue.put_nowait, queue.get)


async def locked(lock: Any, count: int) -> None:
    for _ in range(count):
        async with lock:
            pass


async def kore_suspend(count: int) -> None:
    for _ in range(count):
        await kore.suspend(0)


async def asyncio_sleep(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


# Tasks


async def nothing() -> None:
    pass


async def kore_tasks(count: int) -> None:
    for _ in range(count // MANY):
        for _ in range(MANY):
            kore.task_create(nothing())
        await asyncio.sleep(0)


async def asyncio_tasks(count: int) -> None:
    for _ in range(count // MANY):
        tasks = [asyncio.create_task(nothing()) for _ in range(MANY)]
        await asyncio.sleep(0)
        del tasks


async def asyncio_tasks_kept(count: int) -> None:
    kept: set[asyncio.Task[None]] = set()
    for _ in range(count // MANY):
        for _ in range(MANY):
            task = asyncio.create_task(nothing())
            kept.add(task)
            task.add_done_callback(kept.discard)
        await asyncio.sleep(0)
    await asyncio.sleep(0)


async def kore_gather(count: int) -> None:
    for _ in range(count):
        await kore.gather(*[nothing() for _ in range(MANY)])


async def asyncio_gather(count: int) -> None:
    for _ in range(count):
        await asyncio.gather(*[nothing() for _ in range(MANY)])


# Sockets


def pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
    for each in (near, far):
        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        each.setblocking(False)
    return near, far


async def kore_echo(count: int) -> None:
    near, far = pair()
    client, server = kore.socket_wrap(near), kore.socket_wrap(far)

    async def echo() -> None:
        while (data := await server.recv(1024)) is not None:
            await server.send(data)

    serving = asyncio.create_task(echo())
    for _ in range(count):
        await client.send(KIB)
        await client.recv(1024)
    near.close()
    client.close()
    await serving
    server.close()
    far.close()


async def streams_echo(count: int) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1024):
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    for _ in range(count):
        writer.write(KIB)
        await writer.drain()
        await reader.read(1024)
    writer.close()
    await writer.wait_closed()
    server.close()


async def loop_echo(count: int) -> None:
    loop = asyncio.get_running_loop()
    near, far = pair()

    async def echo() -> None:
        while data := await loop.sock_recv(far, 1024):
            await loop.sock_sendall(far, data)

    serving = asyncio.create_task(echo())
    for _ in range(count):
        await loop.sock_sendall(near, KIB)
        await loop.sock_recv(near, 1024)
    near.close()
    await serving
    far.close()


class Server(asyncio.Protocol):
    """Answers what it gets."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class Client(Server):
    """Asks again when it is answered."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(KIB)

    def data_received(self, data: bytes) -> None:
        self.left -= 1
        if self.left:
            self.transport.write(KIB)
        else:
            self.done.set_result(None)


async def protocol_echo(count: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Server, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    transport, protocol = await loop.create_connection(lambda: Client(count), *address)
    await protocol.done
    transport.close()
    server.close()


# Processes


async def kore_spawn(count: int) -> None:
    for _ in range(count):
        await kore.proc("/bin/true").reap()


async def asyncio_spawn(count: int) -> None:
    pipe, stdout = asyncio.subprocess.PIPE, asyncio.subprocess.STDOUT
    for _ in range(count):
        process = await asyncio.create_subprocess_exec(
            "/bin/true", stdin=pipe, stdout=pipe, stderr=stdout
        )
        await process.wait()


ROWS = [
    Row("queue: push and pop", 20_000, {"kore": kore_queue, "asyncio.Queue": asyncio_queue}),
    Row(
        "queue: push to a task that waits",
        10_000,
        {"kore": kore_queue_waited, "asyncio.Queue": asyncio_queue_waited},
    ),
    Row(
        "lock, uncontended",
        20_000,
        {
            "kore": lambda count: locked(kore.lock(), count),
            "asyncio.Lock": lambda count: locked(asyncio.Lock(), count),
        },
    ),
    Row("suspend(0)", 20_000, {"kore": kore_suspend, "asyncio.sleep": asyncio_sleep}),
    Row(
        "task_create",
        20_000,
        {
            "kore": kore_tasks,
            "create_task": asyncio_tasks,
            "create_task, kept in a set": asyncio_tasks_kept,
        },
    ),
    Row("gather of 100", 200, {"kore": kore_gather, "asyncio.gather": asyncio_gather}),
    Row(
        "echo of 1 KiB",
        5_000,
        {
            "kore": kore_echo,
            "streams": streams_echo,
            "loop.sock_recv": loop_echo,
            "protocols": protocol_echo,
        },
        bar=1.0,
    ),
    Row("spawn of /bin/true", 50, {"kore": kore_spawn, "create_subprocess_exec": asyncio_spawn}),
]


async def timed(work: Work, count: int) -> float:
    """Return microseconds of CPU per operation."""
    start = time.process_time()
    await work(count)
    return (time.process_time() - start) / count * 1e6


def measured(kind: str, rounds: int) -> dict[tuple[str, str], float]:
    """Return the best of some rounds over everything, by row and way."""
    best: dict[tuple[str, str], float] = {}

    async def once() -> None:
        for row in ROWS:
            for name, work in row.ways.items():
                found = await timed(work, row.count)
                key = (row.title, name)
                best[key] = min(found, best.get(key, found))

    with asyncio.Runner(loop_factory=LOOPS[kind]) as runner:
        for _ in range(rounds):
            runner.run(once())
    return best


def table(kind: str, best: dict[tuple[str, str], float]) -> list[str]:
    """Return the rows of one event loop."""
    lines = [
        f"\n## On {kind}\n",
        "| operation | kore, µs | compared with | µs | kore / it | at most | met |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in ROWS:
        ours = best[row.title, "kore"]
        for number, name in enumerate(name for name in row.ways if name != "kore"):
            theirs = best[row.title, name]
            ratio = ours / theirs
            met = "yes" if ratio <= row.bar else "no"
            verdict = "|" if number else f"{row.bar:.1f} | {met}"
            lines.append(
                f"| {row.title} | {ours:.2f} | {name} | {theirs:.2f} | {ratio:.2f} | {verdict} |"
            )
    return lines


def page(rounds: int, kinds: list[str]) -> str:
    """Measure, and return the page."""
    rows = [
        row for row in machine.described(platform.python_version()) if row[0] != "load generator"
    ]
    lines = [
        f"# Toolkit, {datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}\n",
        "| machine |  |\n|---|---|",
        *(f"| {name} | {value} |" for name, value in rows),
        f"| uvloop | {uvloop.__version__} |\n",
        METHOD.format(rounds=rounds),
    ]
    for kind in kinds:
        lines += table(kind, measured(kind, rounds))
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the page, or write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--loop", choices=LOOPS, action="append")
    parser.add_argument("--write", action="store_true", help="into results/")
    options = parser.parse_args()
    text = page(options.rounds, options.loop or list(LOOPS))
    print(text)
    if options.write:
        series = ".".join(platform.python_version_tuple()[:2])
        name = f"{datetime.now(UTC):%Y-%m-%d}-toolkit-python{series}.md"
        (HERE / "results" / name).write_text(text)


if __name__ == "__main__":
    main()
