"""The HTTP client in workers: settings, clients that leave, the end, what is left behind."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import procs
from tests.helpers.build import get, post
from tests.helpers.fix_serve import Launcher, Server
from tests.helpers.http_peer import ReceivedRequest
from tests.helpers.slow_lookup import lookups
from tests.helpers.threaded_peer import ThreadedPeer

APP = Path(__file__).with_name("client_app.py")
MIB = 1024 * 1024
OK = b"HTTP/1.1 200 OK\r\n"


async def reply(asked: ReceivedRequest) -> None:
    """Answer as the test wants it by now."""
    await WAYS[WAY[0]](asked)


async def hello(asked: ReceivedRequest) -> None:
    asked.answer(b"hello")


async def silent(asked: ReceivedRequest) -> None:
    await asked.reader.read()


async def large(asked: ReceivedRequest) -> None:
    asked.answer(b"x" * 5000)


async def broken(asked: ReceivedRequest) -> None:
    asked.send(OK + b"content-length: 10\r\n\r\nhello")
    asked.last = True


async def flood(asked: ReceivedRequest) -> None:
    asked.send(OK + b"\r\n")
    while True:
        asked.send(b"x" * 65536)
        await asked.writer.drain()


async def count(asked: ReceivedRequest) -> None:
    size = 0
    while length := int(await asked.reader.readline(), 16):
        size += len(await asked.reader.readexactly(length + 2)) - 2
    await asked.reader.readline()
    asked.answer(b"%d" % size)


WAYS = {each.__name__: each for each in (hello, silent, large, broken, flood, count)}
WAY = ["hello"]


@pytest.fixture(scope="module")
def remote() -> Iterator[ThreadedPeer]:
    with ThreadedPeer(reply, read=False) as peer:
        yield peer


@pytest.fixture(scope="module")
def server(serve_module: Launcher, remote: ThreadedPeer, loop: str) -> Server:
    return serve_module(APP, loop=loop, settings={"curl_recv_max": "4k"}, PEER=remote.peer.url)


@pytest.fixture(autouse=True)
def way() -> None:
    WAY[0] = "hello"


def body(server: Server, path: str, status: int = 200) -> str:
    """Return what a GET is answered."""
    with server.connect() as client:
        answer = client.ask(get(path))
    assert answer.status == status, answer.body
    return answer.body.decode()


def test_libcurl_is_loaded_at_first_use(serve: Launcher, remote: ThreadedPeer, loop: str) -> None:
    server = serve(APP, loop=loop, PEER=remote.peer.url)
    early, now, _ = body(server, "/loaded").split()
    assert (early, now) == ("False", "False")
    assert body(server, "/ask") == "200 5"
    assert body(server, "/loaded").split()[1] == "True"
    maps = {pid: Path(f"/proc/{pid}/maps").read_text() for pid in procs.session(server.process.pid)}
    assert [pid for pid, text in maps.items() if "libcurl" in text] == [server.worker]


def test_client_created_before_the_fork_works(server: Server) -> None:
    assert [body(server, "/ask") for _ in range(3)] == ["200 5"] * 3
    assert [body(server, "/run") for _ in range(3)] == ["hello"] * 3


def test_curl_recv_max_is_a_limit(server: Server) -> None:
    WAY[0] = "large"
    said = body(server, "/ask", 502)
    assert "more than curl_recv_max, 4096 bytes" in said
    assert said.startswith("23 request to 'http://127.0.0.1:")


def test_connection_limit_leaves_descriptors_for_clients(server: Server) -> None:
    assert body(server, "/limits") == "60 4096 200"


def test_transfer_ends_when_the_client_leaves(server: Server, remote: ThreadedPeer) -> None:
    WAY[0] = "silent"
    before, asked = remote.peer.gone, len(remote.peer.asked)
    with server.connect() as client:
        client.send(get("/ask"))
        procs.until(lambda: len(remote.peer.asked) > asked, what="the request")
        client.reset()
    procs.until(lambda: remote.peer.gone > before, what="the transfer's end")


def test_response_is_forwarded_no_faster_than_it_is_read(
    server: Server, remote: ThreadedPeer
) -> None:
    WAY[0] = "flood"
    before, memory = remote.peer.gone, procs.resident(server.worker)
    with server.connect(receive_buffer=65536) as client:
        client.send(get("/relay"))
        client.wait(lambda: client.reader.current is not None and client.reader.current.chunks)
        for _ in range(5):
            body(server, "/loaded")
        assert procs.resident(server.worker) - memory < 16 * MIB
        client.reset()
    procs.until(lambda: remote.peer.gone > before, what="the transfer's end")


def test_upload_is_forwarded_as_it_arrives(server: Server) -> None:
    WAY[0] = "count"
    with server.connect() as client:
        answer = client.ask(post(b"x" * 900_000, target="/forward"))
    assert (answer.status, answer.body) == (200, b"900000")


def test_forked_child_does_not_close_the_connection(server: Server, remote: ThreadedPeer) -> None:
    before = remote.peer.connections
    assert body(server, "/fork") == "200 5"
    assert remote.peer.connections <= before + 1


def test_failures_leave_no_descriptor(server: Server, remote: ThreadedPeer) -> None:
    body(server, "/ask")
    before = int(body(server, "/descriptors"))
    for name in ("broken", "large", "hello") * 20:
        WAY[0] = name
        body(server, "/ask", 200 if name == "hello" else 502)
    WAY[0] = "silent"
    for _ in range(10):
        asked = len(remote.peer.asked)
        with server.connect() as client:
            client.send(get("/ask"))
            procs.until(lambda n=asked: len(remote.peer.asked) > n, what="the request")
            client.reset()
    procs.until(lambda: int(body(server, "/descriptors")) <= before + 1, what="all closed")


def test_worker_stops_during_a_transfer(serve: Launcher, remote: ThreadedPeer) -> None:
    server = serve(APP, PEER=remote.peer.url, settings={"drain_timeout": 1})
    WAY[0] = "silent"
    gone, asked = remote.peer.gone, len(remote.peer.asked)
    client = server.connect()
    client.send(get("/ask"))
    procs.until(lambda: len(remote.peer.asked) > asked, what="the request")
    with server.expecting(errors=None):
        server.stop()
    procs.until(lambda: remote.peer.gone > gone, what="the transfer's end")
    client.close()


def test_requests_go_on_during_a_reload(serve: Launcher, remote: ThreadedPeer) -> None:
    server = serve(APP, PEER=remote.peer.url)
    assert body(server, "/ask") == "200 5"
    before = server.worker
    os.kill(server.process.pid, signal.SIGHUP)
    procs.until(lambda: server.workers and before not in server.workers, what="a new worker")
    assert body(server, "/ask") == "200 5"


def test_curl_timeout_is_a_limit(serve: Launcher, remote: ThreadedPeer) -> None:
    WAY[0] = "silent"
    server = serve(APP, settings={"curl_timeout": 1}, PEER=remote.peer.url)
    assert "Operation timed out after" in body(server, "/ask", 502)
    assert body(server, "/limits") == "1 2097152 200"


def test_hanging_name_lookup_blocks_no_other_task(serve: Launcher, tmp_path: Path) -> None:
    server = serve(APP, LD_PRELOAD=lookups(tmp_path))
    with server.connect() as client, server.connect() as other:
        client.send(get("/slow"))
        for _ in range(3):
            assert other.ask(get("/loaded")).status == 200
        assert b"Resolving timed out" in client.answer().body
    server.stop()
