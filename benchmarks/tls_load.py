"""What is asked of a server that speaks TLS, and what that costs it."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import load
import measure
from peers import HERE
from serving import Server, unverified
from tls_peers import Handshake
from workloads import STATIC, WORKLOADS, Workload

FILE_SIZE = 1 << 20
FILE_WORKLOAD = Workload(
    "static1m", "static file of 1 MiB, 8 connections", "/static/1m.bin",
    lambda body: body == (STATIC / "1m.bin").read_bytes(), connections=8,
)  # fmt: skip
BESIDE_CONNECTIONS = 16
BESIDE_RATE = 300
# The clients of this program hold a TLS session each.
IDLE_CONNECTIONS = 4000
PER_ADDRESS = 1000
SETTLE = 0.7
REQUEST = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Run:
    """Microseconds of CPU per connection or request of all processes of a server."""

    cpu: float
    rate: float
    busy: float
    wrong: int


@dataclass(frozen=True, slots=True)
class Latency:
    """The 99th percentile of plain requests in ms, alone and beside handshakes."""

    alone: float
    beside: float
    handshake_rate: float


def drive(server: Server, workload: Workload, seconds: int, core: int) -> Run:
    """Load a server with wrk."""
    found = load.drive(server, workload, seconds, core)
    return Run(found.cpu, found.rate, found.busy, found.wrong)


def shake_hands(server: Server, work: Handshake, seconds: float, core: int) -> Run:
    """Open one connection after the other, eight at a time."""
    arguments = ["--resume"] if work.resumed else []
    _connect(server, work.version, 0.5, core, arguments)
    before = measure.cpu(server.pid)
    counted = _connect(server, work.version, seconds, core, arguments)
    used = measure.cpu(server.pid).since(before).total
    connections = int(counted["connections"])
    if not connections:
        raise load.LoadError(f"{work.name}: no connection was served")
    if work.resumed and counted["resumed"] < 0.9 * connections:
        raise load.LoadError(f"{counted['resumed']:.0f} of {connections} sessions were resumed")
    each = used * 1e6 / connections
    rate = connections / counted["seconds"]
    return Run(each, rate, used / counted["seconds"], int(counted["failed"]))


def _connect(
    server: Server, version: str, seconds: float, core: int, arguments: list[str]
) -> dict[str, float]:
    with _clients(server.port, version, seconds, core, arguments) as clients:
        said, _ = clients.communicate(timeout=seconds + 60)
    return dict(json.loads(said))


@contextlib.contextmanager
def _clients(
    port: int, version: str, seconds: float, core: int, arguments: list[str]
) -> Iterator["subprocess.Popen[bytes]"]:
    program = [sys.executable, str(HERE / "tls_clients.py"), str(port), version, str(seconds)]
    command = ["taskset", "-c", str(core), *program, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as clients:
        yield clients


def measure_latency(server: Server, plain_port: int, seconds: int, core: int) -> Latency:
    """Return the latency of plain requests, alone and while others shake hands."""
    url = f"http://127.0.0.1:{plain_port}/"
    workload = Workload(
        "beside", "plain", "/", WORKLOADS["plaintext"].right, connections=BESIDE_CONNECTIONS
    )
    load.run_wrk(url, workload, 1, core)
    alone = load.run_wrk(url, workload, seconds, core)["p99"]
    arguments = ["--rate", str(BESIDE_RATE)]
    with _clients(server.port, "1.3", seconds + 0.5, core, arguments) as clients:
        beside = load.run_wrk(url, workload, seconds, core)["p99"]
        counted = json.loads(clients.communicate(timeout=60)[0])
    rate = counted["connections"] / counted["seconds"]
    return Latency(alone / 1000, beside / 1000, rate)


def measure_idle(server: Server) -> float:
    """Return the bytes (PSS) that an idle TLS connection costs after a request."""
    with _opened(server.port, 100):
        pass
    time.sleep(SETTLE)
    before = measure.memory(measure.tree(server.pid)).pss
    with _opened(server.port, IDLE_CONNECTIONS):
        time.sleep(SETTLE)
        after = measure.memory(measure.tree(server.pid)).pss
    return (after - before) / IDLE_CONNECTIONS


@contextlib.contextmanager
def _opened(port: int, count: int) -> Iterator[None]:
    context = unverified()
    with contextlib.ExitStack() as clients:
        for number in range(count):
            raw = socket.socket()
            raw.settimeout(10)
            raw.bind((f"127.0.0.{2 + number // PER_ADDRESS}", 0))
            raw.connect(("127.0.0.1", port))
            client = clients.enter_context(context.wrap_socket(raw, server_hostname="localhost"))
            client.sendall(REQUEST)
            received = b""
            while not received.endswith(b"hello world"):
                piece = client.recv(4096)
                if not piece:
                    raise OSError("the server closed a connection it should keep")
                received += piece
        yield


def cores() -> tuple[int, int]:
    """Return the core of the server and that of its clients."""
    server, clients, *_ = sorted(os.sched_getaffinity(0))
    return server, clients
