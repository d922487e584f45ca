"""Many idle keep-alive connections, and the memory each of them costs the server."""

import resource
import select
import socket
import struct
import time
from dataclasses import dataclass

import measure
from serving import Server

REQUEST = b"GET / HTTP/1.1\r\nhost: bench\r\n\r\n"
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
PER_ADDRESS = 1000
SETTLE = 0.5


@dataclass(frozen=True, slots=True)
class Idle:
    """Connections that stayed open, and bytes per connection."""

    alive: int
    pss: float
    private: float


def raise_descriptor_limit(wanted: int) -> None:
    """Let this process, and the servers it starts, hold *wanted* descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise OSError(f"at least {wanted} open files are needed: ulimit -Hn says {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def measured(server: Server, count: int) -> Idle:
    """Open *count* connections with one request each; return what they cost."""
    # What the first requests make the server allocate once is not a connection's.
    _close(_opened(server.port, 100))
    time.sleep(SETTLE)
    before = measure.memory(measure.tree(server.pid))
    clients = _opened(server.port, count)
    time.sleep(SETTLE)
    after = measure.memory(measure.tree(server.pid))
    alive = len(clients) - _hung_up(clients)
    _close(clients)
    each = 1 / max(alive, 1)
    return Idle(alive, (after.pss - before.pss) * each, (after.private - before.private) * each)


def _opened(port: int, count: int) -> list[socket.socket]:
    return [_client(port, number) for number in range(count)]


def _client(port: int, number: int) -> socket.socket:
    client = socket.socket()
    client.settimeout(10)
    # An address holds some 28,000 ports, and closed ones rest a minute: take several
    # addresses, and close without that rest.
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    client.bind((f"127.0.0.{2 + number // PER_ADDRESS}", 0))
    client.connect(("127.0.0.1", port))
    client.sendall(REQUEST)
    _read_answer(client)
    return client


def _read_answer(client: socket.socket) -> None:
    received = b""
    while not received.endswith(b"hello world"):
        piece = client.recv(4096)
        if not piece:
            raise OSError("the server closed a connection it should keep")
        received += piece


def _hung_up(clients: list[socket.socket]) -> int:
    poll = select.poll()
    for client in clients:
        poll.register(client, select.POLLIN | select.POLLRDHUP)
    return len(poll.poll(0))


def _close(clients: list[socket.socket]) -> None:
    for client in clients:
        client.close()
