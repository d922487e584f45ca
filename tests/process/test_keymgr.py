"""The key process of a running server: what it may do, and what happens without it."""

import os
import signal
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import procs
from tests.helpers.fix_serve import Launcher, Server
from tests.helpers.served_certificates import SessionCertificates
from tests.helpers.tls_client import TlsClient
from tests.process.process_helpers import alive, finished, template

ROOT = pytest.mark.skipif(os.getuid() != 0, reason="its user may not look into it")
GET = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"
APP = """
kore.server("plain", ip="127.0.0.1", port=0, tls=False)
kore.domain("*", attach="http").route("/", lambda req: req.response(200, b"hello"), methods=["get"])
plain = kore.domain("*", attach="plain")
plain.route("/", lambda req: req.response(200, b"plain"), methods=["get"])
"""


@pytest.fixture(scope="module")
def server(serve_module: Launcher, certificates: SessionCertificates) -> Server:
    return serve_module(APP, settings={"workers": 2}, tls=certificates.server())


@pytest.fixture(autouse=True)
def _ready(server: Server) -> Iterator[None]:
    yield
    until_it_signs(server)
    server.log.accept()


def key_process(server: Server) -> int:
    """Return the pid of the key process."""
    found: list[int] = []

    def only() -> bool:
        family = procs.children(server.process.pid)
        found[:] = [pid for pid in family if "keymgr" in procs.title(pid)]
        return len(found) == 1

    procs.until(only, what="one key process")
    return found[0]


def shakes_hands(server: Server) -> bool:
    """Return whether a new connection works."""
    try:
        with server.connect("GET") as client:
            return client.ask(GET).status == 200
    except (OSError, ssl.SSLError):
        return False


def until_it_signs(server: Server) -> None:
    """Wait until some handshakes in a row work: both workers have a key process."""
    procs.until(lambda: all(shakes_hands(server) for _ in range(8)), what="handshakes")


@ROOT
def test_its_descriptors_are_channels_and_the_log(server: Server) -> None:
    pid = key_process(server)
    links = {int(fd.name): str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()}

    others = {link for fd, link in links.items() if fd > 2}
    assert all(link.startswith(("socket:", "pipe:", "anon_inode:[eventpoll]")) for link in others)
    # One for the parent, one for each worker.
    assert sum(link.startswith("socket:") for link in others) == 1 + 2


@ROOT
def test_it_has_no_network_socket(server: Server) -> None:
    pid = key_process(server)
    links = [str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()]
    inodes = {link[8:-1] for link in links if link.startswith("socket:")}

    for table in ("tcp", "tcp6", "udp", "udp6"):
        rows = Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        assert not inodes & {row.split()[9] for row in rows}


def test_its_memory_is_hidden(server: Server) -> None:
    pid = key_process(server)

    # Of a process that is dumpable they belong to its user, else to root.
    fields = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    limits = Path(f"/proc/{pid}/limits").read_text()
    assert Path(f"/proc/{pid}/maps").stat().st_uid == 0
    assert fields["Name"].strip().startswith("kore")
    assert "Max core file size        0                    0" in limits


@pytest.mark.skipif(not os.getuid(), reason="root may read all of it")
def test_other_processes_of_the_user_cannot_open_what_the_parent_keeps(server: Server) -> None:
    """Private keys are in files in memory, which the parent keeps for the next key process."""
    directory = Path(f"/proc/{server.process.pid}/fd")

    with pytest.raises(PermissionError):
        list(directory.iterdir())


@ROOT
def test_no_key_is_in_a_worker_or_in_another_process(
    server: Server, certificates: SessionCertificates
) -> None:
    numbers = private_numbers(certificates)
    assert shakes_hands(server)

    for pid in (*server.workers, template(server), server.process.pid):
        assert not any(number in memory(pid) for number in numbers), procs.title(pid)
    assert any(number in memory(key_process(server)) for number in numbers), "the search works"


def private_numbers(certificates: SessionCertificates) -> list[bytes]:
    """Return the private number of the key, as it may be in memory, and the text of its file."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    text = Path(certificates.server().key).read_bytes()
    number = load_pem_private_key(text, None).private_numbers().private_value  # type: ignore[union-attr]
    return [number.to_bytes(32, "big"), number.to_bytes(32, "little"), text.splitlines()[1]]


def memory(pid: int) -> bytes:
    """Return what a process has in writable memory."""
    found = bytearray()
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as mem:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, permissions = line.split()[:2]
            if "w" not in permissions or line.endswith("[vvar]"):
                continue
            start, end = (int(part, 16) for part in span.split("-"))
            try:
                mem.seek(start)
                found += mem.read(end - start)
            except OSError:
                continue
    return bytes(found)


def test_without_it_handshakes_fail_and_everything_else_goes_on(server: Server) -> None:
    workers = server.workers
    with server.connect("GET", "GET") as open_before, server.expecting("key process", errors=0):
        assert open_before.ask(GET).status == 200
        pid = key_process(server)
        os.kill(pid, signal.SIGKILL)
        assert open_before.ask(GET).status == 200
        procs.until(lambda: key_process(server) != pid, what="another key process")
        until_it_signs(server)

    assert server.workers == workers, "no worker was restarted"


def test_a_stopped_one_makes_handshakes_fail_in_time(server: Server) -> None:
    workers = server.workers
    with server.connect("GET", "GET") as open_before:
        assert open_before.ask(GET).status == 200
        pid = key_process(server)
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises((ssl.SSLError, OSError)):
                server.connect("GET").close()
            assert open_before.ask(GET).status == 200
        finally:
            os.kill(pid, signal.SIGCONT)
    until_it_signs(server)

    assert server.workers == workers


def test_sessions_are_resumed_after_its_restart(server: Server) -> None:
    assert server.tls is not None
    context = server.tls.client_context()
    with TlsClient(server.address, ["GET"], context=context) as client:
        assert client.ask(GET).status == 200
        session = client.tls.session
    pid = key_process(server)
    with server.expecting("key process", errors=0):
        os.kill(pid, signal.SIGKILL)
        procs.until(lambda: key_process(server) != pid, what="another key process")
        until_it_signs(server)

    with TlsClient(server.address, ["GET"], context=context, session=session) as client:
        assert client.tls.session_reused


def test_it_is_killed_with_the_parent(serve: Launcher, certificates: SessionCertificates) -> None:
    server = serve(APP, tls=certificates.server())
    pid = key_process(server)
    server.log.accept()

    os.kill(server.process.pid, signal.SIGKILL)

    finished(server)
    assert not alive(pid)
