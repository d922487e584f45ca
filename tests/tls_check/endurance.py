"""Checks under load: certificates that are replaced, clients that leave, pipelined requests."""

import contextlib
import os
import select
import signal
import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import Final, Self

from tests.helpers import procs
from tests.helpers.build import get
from tests.helpers.tls_client import TlsClient
from tests.tls_check import tools
from tests.tls_check.deployment import Deployment, hello
from tests.tls_check.result import Result

SWAPS: Final = 200
# Every tenth is left for the parent to notice.
UNSIGNALLED: Final = 10
SWAP_SECONDS: Final = 20.0
LEAVING: Final = 10_000
AT_A_TIME: Final = 100
# What the allocator may keep of a burst.
GROWTH_MAX: Final = 1 << 20
PIPELINED: Final = 20_000
RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class Load:
    """Runs h2load again and again, each time with new connections, and counts."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.succeeded = self.failed = 0
        self.is_over = False
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        """Send 200 requests on 20 connections each time."""
        while not self.is_over:
            succeeded, failed = tools.load_with_h2load(self.port, 200, 20)
            self.succeeded += succeeded
            self.failed += failed

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over = True
        self.thread.join()


def check_swaps(deployment: Deployment) -> Iterator[Result]:
    """Replace the certificates under load; each must be served, and no request may fail."""
    slowest = {True: 0.0, False: 0.0}
    missed = 0
    with Load(deployment.port) as load:
        for number in range(SWAPS):
            signalled = number % UNSIGNALLED != 0
            serial = deployment.swap(signalled=signalled)
            began = time.monotonic()
            while (
                found := deployment.serial()
            ) != serial and time.monotonic() - began < SWAP_SECONDS:
                time.sleep(0.005)
            missed += found != serial
            slowest[signalled] = max(slowest[signalled], time.monotonic() - began)
    found = (
        f"{load.succeeded:,} requests succeeded, {load.failed} failed; the new certificate was "
        f"served after {slowest[True]:.2f} s with USR1, {slowest[False]:.2f} s without, at most"
    )
    found += f"; {missed} never were" if missed else ""
    is_good = not load.failed and not missed and load.succeeded > 0
    yield Result(f"{SWAPS} certificates replaced under load", deployment.name, found, is_good)


def check_leaving(deployment: Deployment) -> Iterator[Result]:
    """Let clients leave in the middle of a signature, half of them while the key process stops."""
    first = hello()
    worker = deployment.server.worker
    _leave(deployment, first, 2000)
    with _stopped(deployment.key_process()):
        _leave(deployment, first, 500)
    _settle(deployment)
    before = procs.resident(worker)
    _leave(deployment, first, LEAVING // 2)
    with _stopped(deployment.key_process()):
        _leave(deployment, first, LEAVING // 2)
    _settle(deployment)
    growth = procs.resident(worker) - before
    found = f"the worker's memory grew by {growth / 1024:,.0f} KiB"
    is_good = growth <= GROWTH_MAX and deployment.server.worker == worker
    name = f"{LEAVING:,} clients leave in the middle of a signature"
    yield Result(name, deployment.name, found, is_good)


def _leave(deployment: Deployment, first: bytes, count: int) -> None:
    for _ in range(count // AT_A_TIME):
        with contextlib.ExitStack() as clients:
            for _ in range(AT_A_TIME):
                client = clients.enter_context(socket.create_connection(deployment.server.address))
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                client.sendall(first)


@contextlib.contextmanager
def _stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _settle(deployment: Deployment) -> None:
    """Wait until a handshake succeeds and no connection of those that left is open."""
    procs.until(lambda: _is_served(deployment), what="a handshake")
    worker = deployment.server.worker
    procs.until(
        lambda: sum("socket" in name for name in procs.descriptors(worker)) < AT_A_TIME // 2,
        what="the end of connections whose client has left",
    )


def _is_served(deployment: Deployment) -> bool:
    try:
        with TlsClient(deployment.server.address, context=deployment.context) as client:
            return client.ask(get()).body == b"hello world"
    except OSError:
        return False


def check_pipelined(deployment: Deployment) -> Iterator[Result]:
    """Send many requests without waiting for responses; all must come, in order."""
    requests = b"".join(get(f"/number/{number}") for number in range(PIPELINED))
    with TlsClient(deployment.server.address, context=deployment.context) as client:
        left = memoryview(client.seal(requests))
        client.socket.setblocking(False)
        while left and client.end == "open":
            readable, writable, _ = select.select([client.socket], [client.socket], [], 20)
            if readable:
                client.receive()
            if writable:
                left = left[client.socket.send(left[: 1 << 16]) :]
        client.socket.settimeout(20)
        bodies = [answer.body for answer in client.answers(PIPELINED)]
    right = sum(body == str(number).encode() for number, body in enumerate(bodies))
    found = f"{right:,} right responses in order"
    yield Result(f"{PIPELINED:,} pipelined requests", deployment.name, found, right == PIPELINED)
