"""A server's life: how soon it answers, what a further worker costs, whether a reload is felt."""

import http.client
import os
import select
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import measure
from install import Unusable
from peers import Peer
from serving import Server, running

CLIENTS = 32
RELOADS = 20
REQUESTS = 1000
RELOAD_PATIENCE = 15.0


def start_time(peer: Peer, bin_directory: Path) -> float:
    """Return the seconds from the start of the program to the first answer."""
    server = Server(peer, bin_directory, None, {})
    try:
        return server.wait()
    finally:
        server.stop()


def further_worker(peer: Peer, bin_directory: Path) -> int:
    """Return the bytes private to one more worker, after it answered 1,000 requests."""
    with running(peer, bin_directory, WORKERS="2") as server:
        workers = _found_workers(server.port, 2)
        for client in workers.values():
            for _ in range(REQUESTS):
                _ask(client, "/")
        private = [measure.memory([pid]).private for pid in workers]
        for client in workers.values():
            client.close()
        return max(private)


def _found_workers(port: int, count: int) -> dict[int, http.client.HTTPConnection]:
    # The kernel chooses the worker of a connection: connect until each was chosen.
    found: dict[int, http.client.HTTPConnection] = {}
    for _ in range(500):
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        pid = int(_ask(client, "/pid"))
        if pid in found:
            client.close()
            continue
        found[pid] = client
        if len(found) == count:
            return found
    raise Unusable(f"500 connections met {len(found)} of {count} workers")


def _ask(client: http.client.HTTPConnection, path: str) -> bytes:
    client.request("GET", path)
    return client.getresponse().read()


@dataclass(slots=True)
class Reload:
    """What clients felt of the reloads."""

    reloads: int = 0
    requests: int = 0
    failed: int = 0
    retried: int = 0
    reasons: set[str] = field(default_factory=set)


def reload_under_load(peer: Peer, bin_directory: Path) -> Reload:
    """Send HUP again and again while clients ask without pause; count what failed."""
    with running(peer, bin_directory) as server:
        over = threading.Event()
        clients = [Client(server.port, over) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        reloads = sum(_reloaded(server) for _ in range(RELOADS))
        over.set()
        for client in clients:
            client.join()
    return Reload(
        reloads,
        sum(client.seen.requests for client in clients),
        sum(client.seen.failed for client in clients),
        sum(client.seen.retried for client in clients),
        set().union(*(client.seen.reasons for client in clients)),
    )


def _reloaded(server: Server) -> bool:
    """Reload once; say whether every process but the parent was replaced."""
    old = set(measure.tree(server.pid)) - {server.pid}
    os.kill(server.pid, signal.SIGHUP)
    end = time.monotonic() + RELOAD_PATIENCE
    while time.monotonic() < end:
        time.sleep(0.05)
        now = set(measure.tree(server.pid)) - {server.pid}
        if now and not now & old:
            # Some load on the new workers before the next reload.
            time.sleep(0.2)
            return True
    return False


class Client(threading.Thread):
    """A client that asks, reads, and asks again on the same connection while it lasts."""

    def __init__(self, port: int, over: threading.Event) -> None:
        super().__init__()
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        self.over = over
        self.seen = Reload()

    def run(self) -> None:
        while not self.over.is_set():
            self.seen.requests += 1
            try:
                self.ask()
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.seen.failed += 1
                self.seen.reasons.add(f"{type(error).__name__}: {error}")
                self.connection.close()
        self.connection.close()

    def ask(self) -> None:
        """Ask once. A kept connection that ends before the answer's first byte is no failure.

        The request then crossed the server's orderly close, which RFC 9112
        section 9.5 lets happen at any time; a client repeats it on a new
        connection, once, and it is counted. A reset is a failure.
        """
        if self.ended():
            self.connection.close()
        kept = self.connection.sock is not None
        try:
            self._ask()
        except http.client.RemoteDisconnected:
            if not kept:
                raise
            self.seen.retried += 1
            self.connection.close()
            self._ask()

    def ended(self) -> bool:
        """Say whether the server closed the kept connection while it was idle."""
        kept = self.connection.sock
        return kept is not None and bool(select.select([kept], [], [], 0)[0])

    def _ask(self) -> None:
        self.connection.request("GET", "/")
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.status != 200 or body != b"hello world":
            raise ValueError(f"answered {answer.status} {body[:60]!r}")
