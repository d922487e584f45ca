"""The channel to the key process: one that lies, is stopped, is killed or is asked too much."""

import logging
import os
import select
import socket
import ssl
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from kore._core.key_channel import KeyChannel
from kore._core.poller import Poller
from kore._core.signing_service import WorkerRequests
from kore._core.testing_handshake import MemoryHandshake
from kore._process.keymgr.signer import Signer
from tests.helpers.memory_connection import NAME, MemoryConnection
from tests.helpers.procs import PATIENCE, descriptors, resident
from tests.helpers.remote_keys import KeyPair, certificate, client_context
from tests.helpers.signing_process import ROOT, SigningProcess

WAITING_MAX = 1024  # see signing_queue.pxd
LEFT = "the key process has ended"
NOT_SANITIZED = pytest.mark.skipif(
    "libasan" in os.environ.get("LD_PRELOAD", ""),
    reason="a sanitizer keeps what is freed, and maps terabytes",
)


@pytest.fixture
def keys() -> Iterator[KeyPair]:
    with KeyPair("p256") as pair:
        yield pair


def read_request(keys: KeyPair) -> bytes:
    """Return the id of the next request, as it is in the datagram."""
    return keys.other.recv(4096)[:4]


def client_hello(version: str = "1.3") -> bytes:
    """Return what a client sends first. Any number of servers can be given the same."""
    outgoing = ssl.MemoryBIO()
    client = client_context(version).wrap_bio(
        ssl.MemoryBIO(), outgoing, server_hostname=NAME
    )
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


# ---- responses


def test_responses_may_come_in_any_order(keys: KeyPair) -> None:
    connections = [keys.connect() for _ in range(5)]
    requests = [keys.other.recv(4096) for _ in connections]
    for request in reversed(requests):
        request_id, key_id, scheme = struct.unpack_from("=II4s", request)
        signature = keys.signer.sign(key_id, scheme, request[12:])
        keys.other.send(struct.pack("=I", request_id) + signature)
    keys.finish(*connections)

    assert [connection.is_done for connection in connections] == [True] * 5


@pytest.mark.parametrize(
    "response",
    [b"", b"\1", b"\1\0\0", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f" + b"s" * 70, b"\0" * 4096],
    ids=lambda response: f"{len(response)} bytes, {response[:5].hex()}",
)
def test_a_response_to_no_request_is_ignored(keys: KeyPair, response: bytes) -> None:
    connection = keys.connect()
    keys.other.send(response)
    keys.poller.dispatch()

    assert (connection.server.resumable_count, keys.channel.waiting_count) == (0, 1)
    keys.sign(connection)
    assert connection.is_done
    assert keys.channel.ignored_count == bool(response)


def test_the_response_to_another_request_does_not_sign(keys: KeyPair) -> None:
    first, second = keys.connect(), keys.connect()
    read_request(keys)
    request = keys.other.recv(4096)
    request_id, key_id, scheme = struct.unpack_from("=II4s", request)
    signature = keys.signer.sign(key_id, scheme, request[12:])
    keys.other.send(struct.pack("=I", request_id - 1) + signature)

    with pytest.raises(ssl.SSLError, match="BAD_SIGNATURE"):
        keys.finish(first)
    assert second.server.state == "signing"


def test_the_second_response_to_a_request_is_ignored(keys: KeyPair) -> None:
    connection = keys.connect()
    request_id = read_request(keys)
    keys.other.send(request_id)
    keys.other.send(request_id + b"s" * 70)

    with pytest.raises(ssl.SSLError, match="INTERNAL_ERROR"):
        keys.finish(connection)
    assert connection.server.resumable_count == 1
    assert keys.channel.ignored_count == 1


def test_a_signature_that_is_too_long_is_refused(keys: KeyPair) -> None:
    connection = keys.connect()
    keys.other.send(read_request(keys) + b"s" * 73)

    with pytest.raises(ssl.SSLError, match="INTERNAL_ERROR"):
        keys.finish(connection)
    assert connection.server.errors[0] == "the key process has sent a signature that is too long"


def test_refusals_are_logged_once_a_minute(keys: KeyPair, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    keys.requests.key_ids = frozenset()
    for connection in [keys.connect() for _ in range(3)]:
        with pytest.raises(ssl.SSLError, match="INTERNAL_ERROR"):
            keys.sign(connection)

    assert caplog.messages == ["the key process has refused to sign: a TLS handshake fails"]


# ---- the time limit


def test_a_signature_that_does_not_come_in_time_fails(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with KeyPair("p256", timeout_ms=20) as keys:
        began = time.monotonic()
        connections = [keys.connect() for _ in range(3)]
        while keys.channel.waiting_count:
            keys.wait()
        waited = time.monotonic() - began
        for connection in connections:
            with pytest.raises(ssl.SSLError, match="INTERNAL_ERROR"):
                connection.resume()

        assert waited >= 0.02
        assert connections[0].server.errors[0] == "the key process has not signed in time"
        assert [connection.server.resumable_count for connection in connections] == [1, 1, 1]
        assert caplog.messages == [
            "the key process does not sign within 20 ms: TLS handshakes fail"
        ]
        keys.sign()
        assert keys.channel.ignored_count == 3, "late responses"
        connection = keys.connect()
        keys.sign(connection)
        assert connection.is_done


def test_the_limit_is_that_of_each_request() -> None:
    with KeyPair("p256", timeout_ms=60) as keys:
        first = keys.connect()
        due = time.monotonic() + 0.03
        while time.monotonic() < due:
            keys.poller.dispatch()
        second = keys.connect()
        while not first.server.resumable_count:
            keys.wait()

        assert (second.server.resumable_count, keys.channel.waiting_count) == (0, 1)
        while not second.server.resumable_count:
            keys.wait()


def test_a_response_that_has_come_is_in_time_when_the_worker_was_blocked() -> None:
    with KeyPair("p256", timeout_ms=10) as keys:
        connection = keys.connect()
        keys.requests.serve()
        due = time.monotonic() + 0.02
        while time.monotonic() < due:
            pass
        keys.finish(connection)

        assert connection.is_done


# ---- a key process that is stopped, killed, replaced


def connect_to(process: SigningProcess, keys: KeyPair) -> MemoryConnection:
    """Have handshakes signed by another process; return one that waits."""
    keys.channel.replace(process.fd)
    return keys.connect()


def test_a_key_process_that_is_stopped_fails_handshakes_in_time() -> None:
    pem = certificate("p256").key_pem
    with SigningProcess(pem) as process, KeyPair("p256", timeout_ms=250) as keys:
        process.suspend()
        connection = connect_to(process, keys)
        keys.wait()

        with pytest.raises(ssl.SSLError, match="INTERNAL_ERROR"):
            connection.resume()
        process.resume()
        while not keys.channel.ignored_count:
            keys.wait()
        connection = keys.connect()
        keys.wait()
        connection.resume()
        assert connection.is_done


def test_a_key_process_that_is_killed_fails_handshakes_at_once() -> None:
    pem = certificate("p256").key_pem
    with KeyPair("p256") as keys:
        with SigningProcess(pem) as process:
            process.suspend()
            connection = connect_to(process, keys)
        keys.wait()
        with pytest.raises(ssl.SSLError, match="INTERNAL_ERROR"):
            connection.resume()
        assert connection.server.errors[0] == LEFT

        with pytest.raises(ssl.SSLError, match="INTERNAL_ERROR"):
            keys.connect()
        with SigningProcess(pem) as process:
            connection = connect_to(process, keys)
            keys.wait()
            connection.resume()
            assert connection.is_done


def test_a_request_after_the_end_of_the_key_process_fails_without_an_event(keys: KeyPair) -> None:
    keys.other.close()

    with pytest.raises(ssl.SSLError, match="INTERNAL_ERROR"):
        keys.connect()
    assert keys.channel.waiting_count == 0


def test_what_waits_for_a_key_process_that_is_replaced_fails_at_once(keys: KeyPair) -> None:
    connection = keys.connect()
    with SigningProcess(certificate("p256").key_pem) as process:
        keys.channel.replace(process.fd)

        assert connection.server.resumable_count == 1
        with pytest.raises(ssl.SSLError, match="INTERNAL_ERROR"):
            connection.resume()
        assert connection.server.errors[0] == "the key process was restarted"


def test_a_closed_channel_fails_at_once(keys: KeyPair) -> None:
    connection = keys.connect()
    keys.channel.close()
    keys.channel.close()

    assert connection.server.resumable_count == 1
    with pytest.raises(RuntimeError, match="closed"):
        keys.channel.replace(0)
    with pytest.raises(ssl.SSLError, match="INTERNAL_ERROR"):
        keys.connect()


def test_the_channel_stays_open_while_the_worker_drains(keys: KeyPair) -> None:
    connection = keys.connect()
    keys.poller.drain()
    keys.sign(connection)

    assert connection.is_done


def test_a_channel_begins_once(keys: KeyPair) -> None:
    with pytest.raises(RuntimeError, match="once"):
        keys.channel.__init__(keys.poller, 0)  # type: ignore[misc]


def test_a_channel_needs_a_time_limit() -> None:
    with pytest.raises(ValueError, match="timeout_ms"):
        KeyChannel(Poller(), 0, 0)


def test_a_channel_closes_its_descriptors() -> None:
    before = descriptors(os.getpid())
    with KeyPair("p256") as keys:
        del keys.channel

    assert descriptors(os.getpid()) == before


# ---- many handshakes at once


def test_more_handshakes_than_may_wait_fail_and_the_others_are_signed(keys: KeyPair) -> None:
    hello = client_hello()
    waiting = [MemoryHandshake(keys.server) for _ in range(WAITING_MAX)]
    for handshake in waiting:
        handshake.receive(hello)
    surplus = MemoryHandshake(keys.server)
    surplus.receive(hello)

    assert keys.channel.waiting_count == WAITING_MAX
    assert (surplus.state, surplus.errors[0]) == (
        "failed",
        "too many handshakes wait for signatures",
    )
    while keys.channel.waiting_count:
        keys.sign()
    for handshake in waiting:
        handshake.resume()
    assert {handshake.state for handshake in waiting} == {"reading"}, "for the client's Finished"


def abandon(keys: KeyPair, hello: bytes, count: int) -> None:
    """Begin handshakes that end before, while and after they are signed."""
    for number in range(count):
        handshake = MemoryHandshake(keys.server)
        handshake.receive(hello)
        if number % 3:
            keys.sign()
        if number % 3 == 2:
            handshake.resume()
        handshake.close()
    keys.sign()


@NOT_SANITIZED
def test_clients_that_leave_while_they_wait_leave_memory_flat(keys: KeyPair) -> None:
    hello = client_hello()
    abandon(keys, hello, 300)
    before = resident(os.getpid())
    abandon(keys, hello, 600)

    # A paused job that is lost takes 32 KiB: 6 MiB here.
    assert resident(os.getpid()) - before < 2 << 20
    assert keys.channel.waiting_count == 0


@pytest.mark.slow
@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_ten_thousand_clients_that_leave_leave_memory_flat(keys: KeyPair, version: str) -> None:
    hello = client_hello(version)
    abandon(keys, hello, 1000)
    before = resident(os.getpid())
    abandon(keys, hello, 10_000)

    assert resident(os.getpid()) - before < 1 << 20


# ---- what a worker's memory holds


NOT_READABLE = ("[vvar]", "[vvar_vclock]", "[vsyscall]")  # memory of the kernel


def readable_memory(pid: int) -> Iterator[bytes]:
    """Yield the memory of another process, a mapping at a time."""
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            addresses, rights = line.split()[:2]
            begin, end = (int(address, 16) for address in addresses.split("-"))
            if rights.startswith("r") and not line.endswith(
                ("[vvar]", "[vsyscall]", "[vvar_vclock]")
            ):
                memory.seek(begin)
                yield memory.read(end - begin)


def find_numbers(pid: int, numbers: dict[str, int]) -> set[str]:
    """Return which numbers the memory of a process has, in any order of bytes."""
    sought = {
        (name, number.to_bytes((number.bit_length() + 7) // 8, order))
        for name, number in numbers.items()
        for order in ("big", "little")
    }
    return {name for part in readable_memory(pid) for name, data in sought if data in part}


def sign_twice(sock: socket.socket, kind: str) -> None:
    """Sign two handshakes of the worker at the other end."""
    signer = Signer()
    signer.set_key(1, certificate(kind).key)  # type: ignore[arg-type]
    requests = WorkerRequests(sock, signer, [1])
    while requests.signed_count < 2:
        assert select.select([sock], [], [], PATIENCE)[0]
        assert requests.serve() == 0, "the worker has ended"


@NOT_SANITIZED
@pytest.mark.parametrize("kind", ["p256", "rsa2048"])
def test_the_memory_of_a_worker_has_no_private_key(kind: str) -> None:
    own, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-m", "tests.helpers.handshaking_worker", str(other.fileno())]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with own, subprocess.Popen(command, cwd=ROOT, pass_fds=[other.fileno()], **pipes) as worker:
        other.close()
        assert worker.stdin
        assert worker.stdout
        worker.stdin.write(certificate(kind).chain + b".\n")
        worker.stdin.flush()
        sign_twice(own, kind)
        assert worker.stdout.readline() == b"done\n"
        found = find_numbers(worker.pid, list_numbers(kind))

    assert found == {"public"}


def list_numbers(kind: str) -> dict[str, int]:
    """Return the numbers of a key; `public` is the only one that others may know."""
    key = certificate(kind).key
    if isinstance(key, rsa.RSAPrivateKey):
        private = key.private_numbers()
        return {
            "public": private.public_numbers.n,
            "p": private.p,
            "q": private.q,
            "d": private.d,
            "dp": private.dmp1,
            "dq": private.dmq1,
        }
    elliptic = key.private_numbers()  # type: ignore[union-attr]
    return {"public": elliptic.public_numbers.x, "d": elliptic.private_value}  # type: ignore[union-attr]
