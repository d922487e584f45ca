"""The examples that Kore's API page has for what waits, as they stand there.

Where a part of one was left to the reader (a server, a callback that tells us), it is around it.
"""

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.helpers import procs
from tests.helpers.build import get
from tests.helpers.fix_serve import Launcher, Server

APP = r"""
import asyncio
import os
import socket
import traceback

domain = kore.domain("*", attach="http")
printf = print
PORT = int(os.environ["ECHO_PORT"])
HELLO_PORT = int(os.environ["HELLO_PORT"])

def callback():
    print("called")

async def timer(req):
    mytimer = kore.timer(callback, 100, kore.TIMER_ONESHOT)

    # Stop the timer.
    mytimer.close()

    kore.timer(callback, 10, kore.TIMER_ONESHOT)
    req.response(200, b'')

async def request(req):
    proc = kore.proc("ls -l /tmp")

    try:
        stdout = await proc.recv(8192)
        retcode = proc.reap()
        req.response(200, stdout)
    except TimeoutError:
        proc.kill()
        print("process timed out")
        req.response(500, b'')

proc = request

def tracer(etype, value, tb):
    traceback.print_exception(etype, value, tb)

def kore_parent_configure(args):
    kore.tracer(tracer)

async def coro(id):
    print("i am coro %d" % id)

def kore_worker_configure():
    kore.task_create(coro(1))
    kore.task_create(coro(2))

async def request(req):
    results = await kore.gather(coro(1), coro(2))

    for result in results:
        if isinstance(result, Exception):
            raise result
        print("result is %s" % result)

    req.response(200, b'')

gather = request

async def request(req):
    await kore.suspend(1000)
    req.response(200, b'')

suspend = request

async def page(req):
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM |
                                         socket.SOCK_NONBLOCK)

    # Wrap the socket in a Kore object.
    ksock = kore.socket_wrap(sock)

    # Connect and send some data.
    await ksock.connect("127.0.0.1", PORT)
    await ksock.send("hello world")

    # Read a response.
    response = await ksock.recv(1024)

    ksock.close()
    sock.close()
    req.response(200, response)

async def sock_recv(req):
    plain = socket.socket()
    sock = kore.socket_wrap(plain)
    await sock.connect("127.0.0.1", HELLO_PORT)

    data = await sock.recv(1024)
    if data is None:
        printf("eof!")
    else:
        print("received %s" % data)

    # Use optional timeout argument
    try:
        data = await sock.recv(1024, 1000)
    except TimeoutError as e:
        print("timed out reading (%s)" % e)
    sock.close()
    plain.close()
    req.response(200, b'')

async def datagrams(req):
    plain = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    plain.bind(("127.0.0.1", 0))
    other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock, back = kore.socket_wrap(plain), kore.socket_wrap(other)
    await back.sendto("127.0.0.1", str(plain.getsockname()[1]), "Hello world")

    ip, port, data = await sock.recvfrom(1024)
    if data is None:
        printf("eof!")
    else:
        await sock.sendto(ip, port, data)

    req.response(200, await back.recv(1024))
    for each in (sock, back, plain, other):
        each.close()

async def accept(req):
    plain = socket.create_server(("127.0.0.1", 0))
    sock = kore.socket_wrap(plain)
    async def client():
        reader, writer = await asyncio.open_connection(*plain.getsockname())
        data = await reader.read()
        writer.close()
        await writer.wait_closed()
        return data
    welcomed = asyncio.create_task(client())

    conn = await sock.accept()
    await conn.send("welcome")
    conn.close()

    req.response(200, await welcomed)
    sock.close()
    plain.close()

# Create the lock
lock = kore.lock()

async def request(req):
    # Only allow one request at a time to this handler.
    async with lock:
        # do things
        req.response(200, b'ok')

locked = request

queue = kore.queue()

async def queued(req):
    d = {
        "foo": "bar"
    }

    queue.push(d)

    d = await queue.pop()
    queue.push(d)

    while True:
        d = queue.popnow()
        if not d:
            break
        req.response(200, repr(d).encode())

async def raises(req):
    async def fails():
        raise LookupError("traced once")
    kore.task_create(fails())
    req.response(200, b'')

for handler, path in [
    (timer, "/timer"), (proc, "/proc"), (gather, "/gather"), (suspend, "/suspend"), (page, "/page"),
    (sock_recv, "/recv"), (datagrams, "/datagrams"), (accept, "/accept"), (locked, "/lock"),
    (queued, "/queue"), (raises, "/raises"),
]:
    domain.route(path, handler, methods=["get"])
"""


class Other(threading.Thread):
    """Answers what it reads, or has something to say itself, and nothing else."""

    def __init__(self, says: bytes = b"") -> None:
        super().__init__(daemon=True)
        self.says = says
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.start()

    def run(self) -> None:
        while True:
            client, _ = self.server.accept()
            if self.says:
                client.sendall(self.says)
                client.recv(1024)
            else:
                client.sendall(client.recv(1024))
            client.close()


@pytest.fixture(scope="module")
def server(serve_module: Launcher) -> Iterator[Server]:
    ports = {"ECHO_PORT": str(Other().port), "HELLO_PORT": str(Other(b"hello").port)}
    return serve_module(APP, **ports)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/gather", b""),
        ("/suspend", b""),
        ("/page", b"hello world"),
        ("/datagrams", b"Hello world"),
        ("/accept", b"welcome"),
        ("/lock", b"ok"),
        ("/queue", b"{'foo': 'bar'}"),
    ],
)
def test_an_example_does_what_the_page_says(server: Server, path: str, body: bytes) -> None:
    with server.connect() as client:
        answer = client.ask(get(path))

    assert (answer.status, answer.body) == (200, body)


def test_the_example_of_proc_answers_what_the_command_said(server: Server) -> None:
    with server.connect() as client:
        answer = client.ask(get("/proc"))

    assert answer.status == 200
    assert answer.body.startswith(b"total ")


def test_the_example_of_a_timer_is_called(server: Server) -> None:
    start = server.log.size()
    with server.connect() as client:
        assert client.ask(get("/timer")).status == 200
    server.log.wait("called", start)


def test_the_example_of_recv_times_out(server: Server) -> None:
    start = server.log.size()
    with server.connect() as client:
        assert client.ask(get("/recv")).status == 200
    said = server.log.wait("timed out reading (timeout before operation completed)", start)
    assert "received b'hello'" in said


def test_the_examples_tasks_run_in_a_worker(server: Server) -> None:
    for number in (1, 2):
        server.log.wait(f"i am coro {number}")


def test_the_example_of_a_tracer_prints_what_a_task_raised(server: Server) -> None:
    with server.expecting("LookupError: traced once"), server.connect() as client:
        client.ask(get("/raises"))
        procs.until(lambda: "traced once" in server.log.text())
