"""A reload that needs other sockets: whoever waits on one that goes away is still served."""

import os
import re
import signal
import socket
import time

import pytest

from tests.helpers import procs
from tests.helpers.fix_serve import Launcher, Server
from tests.helpers.ports import free_port
from tests.process.process_helpers import (
    answer,
    ask,
    full,
    get,
    port_is_free,
    rewrite,
    until_children,
)
from tests.process.test_descriptors import listening, sockets

APP = """
import os, pathlib, time
domain = kore.domain("*", attach="http")
def block(req):
    print(f"blocked {os.getpid()} ", flush=True)
    while not pathlib.Path("go").exists():
        time.sleep(0.01)
    req.response(200, b"unblocked")
domain.route("/block", block, methods=["get"])
domain.route("/pid", lambda req: req.response(200, str(os.getpid()).encode()), methods=["get"])
"""
# So that most are still at the door when a worker hears that it is to end.
ONE_BY_ONE = {"worker_accept_threshold": 1}
SECOND = 'kore.server("more", ip="127.0.0.1", port="0", tls=False)\n'
ATTACHED = """
other = kore.domain("*", attach="more")
other.route("/pid", lambda req: req.response(200, str(os.getpid()).encode()), methods=["get"])
"""


def blocked(server: Server) -> list[socket.socket]:
    """Keep every worker busy; return the clients that do so."""
    workers = full(server, len(server.workers))
    clients: list[socket.socket] = []

    def one_more() -> bool:
        # It may come to the queue of a worker that is busy already.
        clients.append(ask(server, "/block", 0))
        time.sleep(0.02)
        return all(f"blocked {pid} " in server.log.text() for pid in workers)

    procs.until(one_more, what="all workers busy")
    return clients


def reload(server: Server, source: str) -> None:
    """Put new code in the place of the old, which cannot end yet."""
    rewrite(server.log.path.with_name("app.py"), source)
    os.kill(server.process.pid, signal.SIGHUP)
    server.log.search(r"(?s)reloading.*all worker processes started\]")


def status_and_body(client: socket.socket) -> tuple[bytes, bytes]:
    head, _, body = answer(client).partition(b"\r\n\r\n")
    return head[:15], body


WIDE = "kore.server('named', ip='0.0.0.0', port={}, tls=False)\n"
NARROW = "kore.server('named', ip='127.1', port={}, tls=False)\n"
STARTING = """
import os, pathlib, time
domain = kore.domain("*", attach="http")
domain.route("/pid", lambda req: req.response(200, str(os.getpid()).encode()), methods=["get"])
def kore_worker_configure():
    print("starting", flush=True)
    while pathlib.Path("stay").exists():
        time.sleep(0.01)
"""


@pytest.mark.parametrize(
    ("before", "after", "count"),
    [
        ({"workers": 1}, "workers = 4", 4),
        ({"accept_mode": "spread"}, "accept_mode = 'shared'", 1),
        ({"accept_mode": "shared"}, "accept_mode = 'spread'", 1),
    ],
)
def test_worker_gets_no_clients_before_it_serves(
    serve: Launcher, before: dict[str, object], after: str, count: int
) -> None:
    server = serve(STARTING, settings=before)
    (old,) = server.workers
    start = server.log.size()
    server.log.path.with_name("stay").touch()
    app = server.log.path.with_name("app.py")
    rewrite(app, app.read_text() + f"kore.config.{after}\n")
    os.kill(server.process.pid, signal.SIGHUP)
    server.log.wait("starting", start)

    assert {int(get(server)) for _ in range(20)} == {old}
    server.log.path.with_name("stay").unlink()
    server.log.wait("all worker processes started", start)
    until_children(server, count + 1)
    assert old not in {int(get(server)) for _ in range(20)}


def test_queued_clients_of_a_removed_server_are_served(serve: Launcher) -> None:
    server = serve(SECOND + APP + ATTACHED, settings=ONE_BY_ONE)
    (old,) = server.workers
    port = int(server.log.search(r"more serving http on 127\.0\.0\.1:(\d+)\]")[1])
    blockers = blocked(server)
    waiting = [ask(server, "/pid", 0, port) for _ in range(5)]
    source = server.log.path.with_name("app.py").read_text()
    reload(server, source.replace(SECOND, "").replace(ATTACHED, ""))

    assert get(server) != str(old).encode(), "the new one serves beside the old one"
    server.log.path.with_name("go").touch()
    for client in waiting:
        assert status_and_body(client) == (b"HTTP/1.1 200 OK", str(old).encode())
    for client in blockers:
        assert status_and_body(client) == (b"HTTP/1.1 200 OK", b"unblocked")
    until_children(server, 2)
    assert port_is_free(port)
    assert not port_is_free(server.address[1])


@pytest.mark.parametrize(
    ("before", "after", "count"), [("spread", "shared", 1), ("shared", "spread", 2)]
)
def test_reload_may_change_the_accept_mode(
    serve: Launcher, before: str, after: str, count: int
) -> None:
    server = serve(APP, settings={"workers": 2, "accept_mode": before, **ONE_BY_ONE})
    old = server.workers
    blockers = blocked(server)
    waiting = [ask(server, "/pid", 0) for _ in range(8)]
    source = server.log.path.with_name("app.py").read_text()
    reload(server, source.replace(f"accept_mode = '{before}'", f"accept_mode = '{after}'"))

    new = set(server.workers) - set(old)
    server.log.path.with_name("go").touch()
    for client in waiting:
        status, body = status_and_body(client)
        assert (status, int(body) in old) == (b"HTTP/1.1 200 OK", True)
    for client in blockers:
        assert status_and_body(client) == (b"HTTP/1.1 200 OK", b"unblocked")
    until_children(server, 3)
    assert {int(get(server)) for _ in range(10)} <= new
    assert len(sockets(server.process.pid) & listening()) == count
    assert {len(sockets(pid) & listening()) for pid in new} == {1}
    assert not re.search("failed|lost", server.log.text())


@pytest.mark.parametrize("fails", [False, True])
def test_narrower_address_takes_over_without_a_gap(
    serve: Launcher, *, fails: bool
) -> None:
    """From every address of the machine to one of them: the narrower one gets all clients."""
    port = free_port()
    source = STARTING.replace('attach="http"', 'attach="named"')
    server = serve(source.replace("domain =", WIDE.format(port) + "domain ="))
    (old,) = server.workers
    start = server.log.size()
    app = server.log.path.with_name("app.py")
    server.log.path.with_name("stay").touch()
    source = app.read_text().replace(WIDE.format(port), NARROW.format(port))
    rewrite(app, source + ("    raise RuntimeError('no database')\n" if fails else ""))
    os.kill(server.process.pid, signal.SIGHUP)
    server.log.wait("starting", start)

    with server.expecting(errors=None):
        for _ in range(20):
            assert status_and_body(ask(server, "/pid", 0, port)) == (
                b"HTTP/1.1 200 OK",
                b"%d" % old,
            )
        server.log.path.with_name("stay").unlink()
        server.log.wait("reload failed" if fails else "all worker processes started", start)
        for _ in range(20):
            status, body = status_and_body(ask(server, "/pid", 0, port))
            assert (status, int(body) == old) == (b"HTTP/1.1 200 OK", fails)


def test_the_file_of_a_unix_socket_comes_back_with_a_reload(serve: Launcher) -> None:
    server = serve(
        APP.replace('"*", attach="http"', '"*", attach="unix"').replace(
            "domain =", "kore.server('unix', path='kore.sock', tls=False)\ndomain ="
        )
    )
    path = server.log.path.with_name("kore.sock")
    path.unlink()
    start = server.log.size()
    os.kill(server.process.pid, signal.SIGHUP)
    server.log.wait("all worker processes started", start)
    until_children(server, 2)

    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(b"GET /pid HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200 OK")
