"""Where clients come from, as handlers and access logs have it."""

import socket
from pathlib import Path

from tests.helpers.build import get
from tests.helpers.fix_serve import Launcher
from tests.helpers.ports import free_port
from tests.helpers.procs import until

APP = """
kore.server("both", ip="::ffff:127.0.0.1", port={port}, tls=False)
domain = kore.domain("*", attach="both")
domain.accesslog = ("{log}", "$remote_addr $remote_port")
domain.route("/", lambda req: req.response(200, req.connection.addr), methods=["get"])
"""


def test_a_client_over_ipv4_of_an_ipv6_socket_has_its_ipv4_address(
    serve: Launcher, tmp_path: Path
) -> None:
    log, port = tmp_path / "access.log", free_port()
    serve(APP.format(log=log, port=port))

    with socket.create_connection(("127.0.0.1", port)) as client:
        ours = client.getsockname()[1]
        client.sendall(get())
        client.shutdown(socket.SHUT_WR)
        answer = client.makefile("rb").read()

    assert answer.endswith(b"\r\n\r\n127.0.0.1")
    until(lambda: log.read_text() == f"127.0.0.1 {ours}\n")
