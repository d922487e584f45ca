"""Clients that leave while the key process signs: nothing of their handshakes stays."""

import socket
import struct

from tests.helpers import procs
from tests.helpers.build import get
from tests.helpers.fix_serve import Launcher, Server
from tests.helpers.served_certificates import SessionCertificates
from tests.tls_check.deployment import hello

APP = """
    import kore

    kore.domain("*", attach="http")

    @kore.route("/", methods=["get"])
    def index(req):
        req.response(200, b"hello world")
"""
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
# A paused handshake has a stack of 32 KiB, of which it uses 5 KB.
GROWTH_MAX = 1 << 20


def leave(server: Server, count: int) -> None:
    """Begin handshakes, and leave before the signature is there, or as it comes."""
    first = hello()
    for _ in range(count):
        with socket.create_connection(server.address) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            client.sendall(first)
    with server.connect() as client:
        assert client.ask(get()).body == b"hello world"


def test_handshakes_that_clients_leave_cost_no_memory(
    serve: Launcher, certificates: SessionCertificates
) -> None:
    server = serve(APP, tls=certificates.server())
    leave(server, 200)
    before = procs.resident(server.worker)

    leave(server, 1000)

    assert procs.resident(server.worker) - before < GROWTH_MAX
