import asyncio
import json
import os
import socket

lock = kore.lock()  # noqa: F821 - the fixture's preamble imports kore
queue = kore.queue()  # noqa: F821
domain = kore.domain("*", attach="http")  # noqa: F821
seen = []


class Silent:
    """Listens, accepts nobody, says nothing."""

    def __init__(self):
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]


silent = Silent()


def note(text):
    seen.append(text)


async def chain(req):
    """Hold a lock, wait for a queue, a socket and a process, all at once."""
    try:
        async with lock:
            note("locked")
            await kore.gather(talk(), run(), pop())  # noqa: F821
    finally:
        note("handler ended")


async def talk():
    sock = socket.socket()
    wrapped = kore.socket_wrap(sock)  # noqa: F821
    try:
        await wrapped.connect("127.0.0.1", silent.port)
        note("connected")
        await wrapped.recv(10)
    finally:
        wrapped.close()
        sock.close()
        note("socket ended")


async def run():
    proc = kore.proc(["sh", "-c", "sleep 1000 & echo $!; wait"])  # noqa: F821
    note({"pids": [proc.pid, int(await proc.recv(100))]})
    try:
        await proc.reap()
    finally:
        note("process given up")


async def pop():
    note("waits for the queue")
    try:
        await queue.pop()
    finally:
        note("queue place given up")


async def next_one(req):
    async with lock:
        queue.push("x")
        req.response(200, repr([queue.popnow(), len(queue)]).encode())


def what_was_seen(req):
    req.response(200, json.dumps(seen).encode())


async def foreign(req):
    """Something of asyncio's beside something of Kore's, in one handler."""
    _, writer = await asyncio.open_connection("127.0.0.1", silent.port)
    words = asyncio.Queue()
    words.put_nowait("asyncio")
    async with asyncio.TaskGroup() as group:
        theirs = group.create_task(words.get())
        ours = group.create_task(kore.proc("echo kore").recv(10))  # noqa: F821
    writer.close()
    await writer.wait_closed()
    req.response(200, f"{theirs.result()} {ours.result().decode()}")


async def sleeper():
    proc = kore.proc(["sh", "-c", "sleep 1000 & echo $!; wait"])  # noqa: F821
    note({"task pids": [proc.pid, int(await proc.recv(100))]})
    await proc.reap()


def start_sleeper(req):
    kore.task_create(sleeper())  # noqa: F821
    asyncio.get_running_loop().held = asyncio.get_running_loop().create_task(sleeper())
    req.response(200, b"")


def die(req):
    os.kill(os.getpid(), 9)


def exits(req):
    async def fails():
        raise SystemExit("on purpose")

    kore.task_create(fails())  # noqa: F821
    kore.timer(fails, 1, kore.TIMER_ONESHOT)  # noqa: F821
    req.response(200, b"")


def listed(req):
    req.response(200, json.dumps([[t.id, t.name, t.where] for t in kore.tasks()]).encode())  # noqa: F821


async def ids(req):
    before = kore.task_id()  # noqa: F821
    await kore.suspend(1)  # noqa: F821
    (mine,) = [t.id for t in kore.tasks() if "/ids" in t.name]  # noqa: F821
    req.response(200, repr(before == kore.task_id() == mine).encode())  # noqa: F821


for path, handler in {
    "/chain": chain,
    "/next": next_one,
    "/seen": what_was_seen,
    "/foreign": foreign,
    "/sleeper": start_sleeper,
    "/die": die,
    "/exits": exits,
    "/tasks": listed,
    "/ids": ids,
}.items():
    domain.route(path, handler, methods=["get"])
