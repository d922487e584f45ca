"""Everything that a server with TLS sends is records, whole and in order, and ends with a sign.

The handshake and records in pieces are in tests/unit/core/test_tls_handshake.py and
test_tls_session.py.
"""

import contextlib
import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator

import pytest

from tests.helpers.build import get, post, request
from tests.helpers.fix_serve import Launcher, Server
from tests.helpers.procs import PATIENCE
from tests.helpers.served_certificates import SessionCertificates
from tests.helpers.tls_client import TlsClient
from tests.helpers.websocket import ASKING, frame

SECRET = b"plaintext that must not be seen "
LARGE = SECRET * (1 << 16)  # 2 MB
APP = f"""
import asyncio
import pathlib
import kore

SECRET = {SECRET!r}
LARGE = {LARGE!r}
directory = pathlib.Path(__file__).with_name("files")
directory.mkdir(exist_ok=True)
(directory / "large.txt").write_bytes(LARGE)
(directory / "small.txt").write_bytes(SECRET)

domain = kore.domain("*", attach="http")
domain.filemaps({{"/files/": str(directory)}})

def onmsg(conn, op, data):
    kore.websocket_broadcast(None, op, data + SECRET.decode(), kore.WEBSOCKET_BROADCAST_LOCAL)

@kore.route("/small", methods=["get"])
def small(req):
    req.response(200, SECRET)

@kore.route("/large", methods=["get"])
def large(req):
    req.response(200, LARGE)

@kore.route("/stream", methods=["get"])
async def stream(req):
    async def pieces():
        for _ in range(20):
            yield SECRET * 50
            await asyncio.sleep(0)
    req.response(200, pieces())

@kore.route("/echo", methods=["post"], body_max=10_000_000)
def echo(req):
    req.response(200, req.body)

@kore.route("/ws", methods=["get"])
def ws(req):
    req.websocket_handshake(None, "onmsg", None)
"""


class Tap(TlsClient):
    """A client that keeps what came, as it came."""

    wire = b""

    def pull(self) -> None:
        data = self.socket.recv(1 << 18)
        self.wire += data
        self.incoming.write(data) if data else self.incoming.write_eof()

    def read_plaintext(self, size: int) -> bytes:
        """Receive so many bytes, which are no responses of HTTP."""
        data = b""
        while len(data) < size:
            with contextlib.suppress(ssl.SSLWantReadError):
                data += self.tls.read(size - len(data))
                continue
            self.pull()
        return data

    def is_all_records(self) -> bool:
        """Return whether records is all that came: the types and sizes of RFC 8446 section 5.1."""
        at = 0
        while at < len(self.wire):
            size = int.from_bytes(self.wire[at + 3 : at + 5], "big")
            if self.wire[at] not in (20, 21, 22, 23) or size > (1 << 14) + 256:
                return False
            at += 5 + size
        return at == len(self.wire) and SECRET not in self.wire


@pytest.fixture(scope="module")
def server(serve_module: Launcher, certificates: SessionCertificates) -> Server:
    return serve_module(APP, tls=certificates.server())


@pytest.fixture
def client(server: Server) -> Iterator[Tap]:
    assert server.tls is not None
    with Tap(server.address, context=server.tls.client_context()) as tap:
        yield tap


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/small", SECRET),
        ("/large", LARGE),
        ("/stream", SECRET * 1000),
        ("/files/large.txt", LARGE),
        ("/files/small.txt", SECRET),
    ],
)
def test_response_is_records(client: Tap, path: str, body: bytes) -> None:
    assert client.ask(get(path)).body == body
    assert client.is_all_records()


def test_piece_of_a_file_is_records(client: Tap) -> None:
    answer = client.ask(get("/files/large.txt", "Range: bytes=1000001-1500000"))

    assert (answer.status, answer.body) == (206, LARGE[1_000_001:1_500_001])
    assert client.is_all_records()


def test_responses_that_wait_behind_one_another_are_records(client: Tap) -> None:
    paths = ["/files/large.txt", "/small", "/large", "/stream", "/small"]
    client.send(b"".join(map(get, paths)))

    assert [len(answer.body) for answer in client.answers(5)] == [
        len(LARGE), len(SECRET), len(LARGE), len(SECRET) * 1000, len(SECRET),
    ]  # fmt: skip
    assert client.is_all_records()


def test_interim_response_is_records(client: Tap) -> None:
    raw = request("POST", "/echo", "Expect: 100-continue", "Content-Length: 4")
    client.send(raw)
    client.wait(lambda: client.received_size > 0)
    client.send(b"body")

    assert client.answer().body == b"body"
    assert [answer.status for answer in client.reader.answers] == [100, 200]
    assert client.is_all_records()


@pytest.mark.parametrize(
    "raw", [b"\0\r\n\r\n", get("/missing"), request("GET", "/", version="HTTP/3.0")]
)
def test_refusal_is_records(client: Tap, raw: bytes) -> None:
    assert client.ask(raw).status >= 400
    assert client.is_all_records()


def test_broadcast_is_records(server: Server, client: Tap) -> None:
    assert server.tls is not None
    with Tap(server.address, context=server.tls.client_context()) as other:
        for each in (client, other):
            each.send(get("/ws", *ASKING))
            each.wait(lambda each=each: each.reader.answers)
        client.send(frame(1, "hello "))
        for each in (client, other):
            assert each.read_plaintext(2 + 6 + len(SECRET)).endswith(b"hello " + SECRET)

        assert client.is_all_records()
        assert other.is_all_records()


@pytest.mark.parametrize("record_size", [100, 16384])
def test_large_body_arrives_whole(client: Tap, record_size: int) -> None:
    body = LARGE[: 100_000 if record_size == 100 else 1_000_000]
    client.send_raw(client.seal(post(body), record_size))

    assert client.answer().body == body


def test_slow_reader_gets_a_whole_file(server: Server) -> None:
    assert server.tls is not None
    with Tap(
        server.address, context=server.tls.client_context(), receive_buffer=4096
    ) as client:
        client.send(get("/files/large.txt"))
        while not client.reader.final:
            client.receive(2000)

        assert client.answer().body == LARGE


@pytest.fixture
def strict(server: Server) -> Iterator[ssl.SSLSocket]:
    """A client of Python's that takes an end without close_notify for an error."""
    assert server.tls is not None
    with socket.create_connection(server.address, PATIENCE) as sock:
        context = server.tls.client_context()
        with context.wrap_socket(
            sock, server_hostname="localhost", suppress_ragged_eofs=False
        ) as client:
            yield client


def read_to_the_end(client: ssl.SSLSocket) -> bytes:
    data = b""
    while piece := client.recv(1 << 16):
        data += piece
    return data


@pytest.mark.parametrize(
    "raw",
    [
        get("/small", "Connection: close"),
        get("/files/large.txt", "Connection: close"),
        request("GET", "/stream", version="HTTP/1.0"),
        b"\0\r\n\r\n",
        request("POST", "/echo", "Content-Length: 20000000"),
    ],
)
def test_close_notify_ends_each_response(strict: ssl.SSLSocket, raw: bytes) -> None:
    strict.sendall(raw)

    assert read_to_the_end(strict).startswith(b"HTTP/1.1 ")


def test_half_closed_client_gets_response_and_close_notify(strict: ssl.SSLSocket) -> None:
    strict.sendall(get("/large"))
    with socket.socket(fileno=os.dup(strict.fileno())) as same:
        same.shutdown(socket.SHUT_WR)  # without close_notify

    assert read_to_the_end(strict).endswith(SECRET)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_keys_are_updated(server: Server) -> None:
    host, port = server.address
    command = ["openssl", "s_client", "-connect", f"{host}:{port}", "-servername", "localhost"]
    with subprocess.Popen(
        [*command, "-tls1_3", "-quiet", "-no_ign_eof"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        seen = b""
        for line, answer in (
            (get("/small"), SECRET),
            (b"K\n", b"KEYUPDATE"),
            (get("/small"), SECRET),
            (b"K\n", b"KEYUPDATE"),
            (get("/small", "Connection: close"), SECRET),
        ):
            process.stdin.write(line)
            process.stdin.flush()
            count = seen.count(answer) + 1
            while seen.count(answer) < count:
                piece = process.stdout.read1(1 << 16)
                assert piece, seen
                seen += piece
    assert process.returncode == 0
