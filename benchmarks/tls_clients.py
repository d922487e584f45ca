"""Clients that open a TLS connection, send one request and leave: a program of its own.

`tls_clients.py PORT VERSION SECONDS [--resume] [--rate N] [--threads N]` prints what it counted as
JSON. The threads share a core; Python's ssl module releases the interpreter's lock in a handshake.
"""

import argparse
import json
import random
import socket
import ssl
import struct
import threading
import time
from dataclasses import asdict, dataclass

REQUEST = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(slots=True)
class Counts:
    """What the clients have seen."""

    connections: int = 0
    resumed: int = 0
    failed: int = 0
    seconds: float = 0.0


class Clients:
    """Threads that connect one connection after the other."""

    def __init__(self, port: int, version: str, *, resume: bool, rate: float) -> None:
        self.port = port
        self.resume = resume
        self.interval = 1 / rate if rate else 0.0
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.check_hostname = False
        self.context.verify_mode = ssl.CERT_NONE
        self.context.minimum_version = self.context.maximum_version = VERSIONS[version]
        self.counts = Counts()
        self.lock = threading.Lock()
        self.next = time.monotonic()
        self.end = 0.0

    def run(self, seconds: float, threads: int) -> Counts:
        """Connect for some seconds, from several threads."""
        began = time.monotonic()
        self.end = began + seconds
        running = [threading.Thread(target=self.loop) for _ in range(threads)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        self.counts.seconds = time.monotonic() - began
        return self.counts

    def loop(self) -> None:
        """Connect until the time is over."""
        session: ssl.SSLSession | None = None
        while self.has_time():
            try:
                session, resumed = self.connect(session if self.resume else None)
            except OSError:
                session, resumed = None, None
            with self.lock:
                self.counts.connections += resumed is not None
                self.counts.resumed += bool(resumed)
                self.counts.failed += resumed is None

    def has_time(self) -> bool:
        """Wait for this thread's turn at the rate; say whether it comes before the end."""
        with self.lock:
            self.next = max(self.next + self.interval, time.monotonic() - 0.1)
            turn = self.next
        if self.interval:
            time.sleep(max(0.0, turn - time.monotonic()))
        return time.monotonic() < self.end

    def connect(self, session: ssl.SSLSession | None) -> tuple[ssl.SSLSession | None, bool]:
        """Connect once; return the session, and whether the given one was resumed."""
        with socket.socket() as raw:
            # An address has some 28,000 ports, and a closed one rests for a minute.
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            raw.settimeout(10)
            raw.bind((f"127.0.0.{random.randrange(2, 250)}", 0))
            raw.connect(("127.0.0.1", self.port))
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.context.wrap_socket(
                raw, server_hostname="localhost", session=session
            ) as client:
                client.sendall(REQUEST)
                received = b""
                while not received.endswith(b"hello world"):
                    piece = client.recv(4096)
                    if not piece:
                        raise OSError("no answer")
                    received += piece
                # A session of TLS 1.3 comes after the handshake, with the first data.
                return client.session, bool(client.session_reused)


def main() -> None:
    """Run, and print the counts."""
    parser = argparse.ArgumentParser(description="Connect over TLS, again and again.")
    parser.add_argument("port", type=int)
    parser.add_argument("version", choices=VERSIONS)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--rate", type=float, default=0.0, help="connections a second; 0: any")
    parser.add_argument("--threads", type=int, default=8)
    given = parser.parse_args()
    clients = Clients(given.port, given.version, resume=given.resume, rate=given.rate)
    print(json.dumps(asdict(clients.run(given.seconds, given.threads))))


if __name__ == "__main__":
    main()
