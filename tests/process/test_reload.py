import http.client
import os
import re
import signal
import threading
import time
from pathlib import Path

import pytest

from tests.helpers import procs
from tests.helpers.fix_serve import Launcher, Server
from tests.process.process_helpers import (
    answer,
    ask,
    full,
    get,
    replaced,
    rewrite,
    status,
    template,
    until_children,
    until_status,
)

VERSION = """
import asyncio, os, pathlib
domain = kore.domain("*", attach="http")
domain.route("/version", lambda req: req.response(200, b"{version}"), methods=["get"])
domain.route("/pid", lambda req: req.response(200, str(os.getpid()).encode()), methods=["get"])
async def wait(req):
    print(f"waiting in {{os.getpid()}}", flush=True)
    while not pathlib.Path("go").exists():
        await asyncio.sleep(0.01)
    req.response(200, b"{version}")
domain.route("/wait", wait, methods=["get"])
"""


def app(server: Server) -> Path:
    return server.log.path.parent / "app.py"


def change(server: Server, old: str, new: str) -> None:
    text = app(server).read_text()
    assert old in text
    rewrite(app(server), text.replace(old, new))


def go(server: Server) -> None:
    """Let go who waits."""
    app(server).with_name("go").touch()


def reload(server: Server) -> list[int]:
    """Ask for a reload and return the workers when the old ones are gone."""
    before = server.workers
    os.kill(server.process.pid, signal.SIGHUP)
    return replaced(server, before, len(before))


def test_new_code_takes_over(serve: Launcher) -> None:
    server = serve(VERSION.format(version=1), settings={"workers": 2})
    parent = server.process.pid
    old_template = template(server)
    assert get(server, "/version") == b"1"
    change(server, 'b"1"', 'b"2"')
    reload(server)

    assert get(server, "/version") == b"2"
    assert server.process.pid == parent
    until_children(server, 3)
    assert template(server) != old_template


def test_a_request_in_progress_is_answered_by_the_old_code(serve: Launcher) -> None:
    server = serve(VERSION.format(version=1))
    (old,) = server.workers
    client = ask(server, "/wait", 0)
    server.log.wait("waiting in")
    change(server, 'b"1"', 'b"2"')
    os.kill(server.process.pid, signal.SIGHUP)
    procs.until(lambda: get(server, "/version") == b"2", what="the new code")

    assert old in server.workers
    go(server)
    assert answer(client).endswith(b"\r\n\r\n1")
    procs.until(lambda: old not in server.workers, what="the old worker gone")


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("x = (\n", "SyntaxError"),
        ("raise ValueError('half written')\n", "ValueError: half written"),
        ("kore.config.workers = 0\n", "bad value '0' for workers"),
        ('kore.server("more", ip="192.0.2.1", port="80", tls=False)\n', "failed to bind"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)\n", "killed by SIGKILL"),
        (
            "def kore_worker_configure():\n    raise ValueError('no database')\n",
            "ValueError: no database",
        ),
    ],
)
def test_broken_new_code_leaves_the_old_one_serving(
    serve: Launcher, broken: str, reason: str
) -> None:
    server = serve(VERSION.format(version=1), settings={"workers": 2})
    full(server, 2)
    children = sorted(procs.children(server.process.pid))
    good = app(server).read_text()
    rewrite(app(server), good.replace('b"1"', 'b"2"') + broken)
    with server.expecting("reload failed, the old code goes on serving", reason, errors=None):
        os.kill(server.process.pid, signal.SIGHUP)
        server.log.wait("reload failed")
        until_children(server, len(children))
        assert sorted(procs.children(server.process.pid)) == children

    assert get(server, "/version") == b"1"
    rewrite(app(server), good.replace('b"1"', 'b"3"'))
    reload(server)
    assert get(server, "/version") == b"3"


def test_no_request_fails_while_code_is_replaced(serve: Launcher) -> None:
    server = serve(VERSION.format(version=1), settings={"workers": 2})
    over = threading.Event()
    failures: list[OSError] = []
    answers: list[bytes] = []

    def client() -> None:
        try:
            while not over.is_set():
                answers.append(get(server, "/version"))
        except OSError as error:
            failures.append(error)

    clients = [threading.Thread(target=client) for _ in range(8)]
    for thread in clients:
        thread.start()
    for _ in range(4):
        reload(server)
    over.set()
    for thread in clients:
        thread.join()

    assert not failures
    assert set(answers) == {b"1"}


def test_a_connection_that_is_kept_is_served_through_a_reload(serve: Launcher) -> None:
    server = serve(VERSION.format(version=1))
    client = server.connect()
    request = b"GET /version HTTP/1.1\r\nhost: x\r\n\r\n"
    assert client.ask(request).body == b"1"
    before = server.workers
    os.kill(server.process.pid, signal.SIGHUP)
    server.log.search(r"(?s)reloading.*all worker processes started")

    assert client.ask(request).body == b"1"
    client.close()
    replaced(server, before, 1)


def test_stop_does_not_wait_for_clients_idle_since_a_reload(serve: Launcher) -> None:
    server = serve(VERSION.format(version=1), settings={"http_keepalive_time": 600})
    client = server.connect()
    assert client.ask(b"GET /version HTTP/1.1\r\nhost: x\r\n\r\n").body == b"1"
    os.kill(server.process.pid, signal.SIGHUP)
    server.log.search(r"(?s)reloading.*all worker processes started")

    os.kill(server.process.pid, signal.SIGTERM)

    assert server.process.wait(60) == 0
    client.close()


def test_reload_adds_and_removes_servers_and_workers(serve: Launcher, tmp_path: Path) -> None:
    server = serve(VERSION.format(version=1), settings={"workers": 2})
    path = tmp_path / "kore.sock"
    good = app(server).read_text()
    more = f'kore.server("local", path="{path}", tls=False)\nkore.config.workers = 3\n'
    rewrite(app(server), good + more)
    os.kill(server.process.pid, signal.SIGHUP)
    server.log.search(r"(?s)reloading.*all worker processes started")
    until_children(server, 4)
    assert path.is_socket()
    assert get(server, "/version") == b"1"
    rewrite(app(server), good + "kore.config.workers = 1\n")
    os.kill(server.process.pid, signal.SIGHUP)
    server.log.search(r"(?s)(reloading.*){2}all worker processes started")
    until_children(server, 2)

    assert not path.exists()
    assert {get(server, "/pid") for _ in range(10)} == {str(server.worker).encode()}


def test_a_reload_replaces_a_reload_that_hangs(serve: Launcher) -> None:
    server = serve(VERSION.format(version=1))
    (old,) = full(server, 1)
    good = app(server).read_text()
    rewrite(app(server), good + "import time\nprint('hangs', flush=True)\ntime.sleep(100)\n")
    os.kill(server.process.pid, signal.SIGHUP)
    server.log.wait("hangs")
    rewrite(app(server), good.replace('b"1"', 'b"2"'))
    os.kill(server.process.pid, signal.SIGHUP)
    replaced(server, [old], 1)
    server.log.search(r"template \(pid \d+\) does not end when told to, killed")

    assert get(server, "/version") == b"2"
    until_children(server, 2)


def test_many_reloads_in_a_row_end_with_the_last_code(serve: Launcher) -> None:
    server = serve(VERSION.format(version=1))
    for number in range(5):
        change(server, f'b"{number + 1}"', f'b"{number + 2}"')
        os.kill(server.process.pid, signal.SIGHUP)
        time.sleep(0.05)
    procs.until(lambda: get(server, "/version") == b"6", what="the last code")
    until_children(server, 2)


def test_a_dead_template_whose_code_has_another_configuration_is_a_reload(
    serve: Launcher,
) -> None:
    server = serve(VERSION.format(version=1))
    before = full(server, 1)
    rewrite(app(server), app(server).read_text() + "kore.config.workers = 2\n")
    os.kill(template(server), signal.SIGKILL)
    server.log.wait("the application on disk has another configuration by now")

    replaced(server, before, 2)
    until_children(server, 3)


def test_the_log_file_is_reopened_on_request(serve: Launcher) -> None:
    server = serve(VERSION.format(version=1))
    path = server.log.path.parent / "kore.log"
    rewrite(app(server), app(server).read_text() + 'kore.config.logfile = "kore.log"\n')
    reload(server)
    procs.until(lambda: "all worker processes started" in path.read_text())
    path.rename(path.with_suffix(".old"))
    os.kill(server.process.pid, signal.SIGUSR1)
    procs.until(path.exists, what="a new file")
    os.kill(server.process.pid, signal.SIGUSR2)

    procs.until(lambda: "status:" in path.read_text())
    assert "status:" not in path.with_suffix(".old").read_text()


def test_status_is_logged_on_request(serve: Launcher) -> None:
    server = serve(VERSION.format(version=1), settings={"workers": 1})
    for _ in range(3):
        get(server, "/version")
    client = ask(server, "/wait", 0)
    # Until the worker knows that the other connections have ended.
    until_status(
        server,
        rf"status: worker 1 \(pid {server.worker}\) ready, 3 requests served, "
        r"1 connections, with 1 requests waiting, latest in '/wait'",
    )

    said = status(server)
    assert "status: 2 children]" in said
    assert re.search(r"status: template \(pid \d+\) loaded", said)
    go(server)
    assert answer(client).endswith(b"\r\n\r\n1")


def test_fewer_workers_reset_no_connections(serve: Launcher) -> None:
    server = serve(VERSION.format(version=1), settings={"workers": 2})
    full(server, 2)
    clients = [http.client.HTTPConnection(*server.address, timeout=30) for _ in range(8)]
    for client in clients:
        client.request("GET", "/version")
        assert client.getresponse().read() == b"1"
    old = server.workers
    change(server, "kore.config.workers = 2", "kore.config.workers = 1")
    os.kill(server.process.pid, signal.SIGHUP)
    serving = "|".join(rf"\(pid {pid}\) ready" for pid in old)
    # Draining, or gone: by chance all clients may have come to one of them.
    procs.until(lambda: not re.search(serving, status(server)), what="the old ones know")
    for client in clients:
        client.request("GET", "/version")
        last = client.getresponse()
        assert last.getheader("connection") == "close"
        assert last.read() == b"1"
        client.close()
    procs.until(lambda: not set(old) & set(server.workers), what="the old workers gone")


def test_worker_that_never_served_is_not_waited_for(serve: Launcher) -> None:
    source = "import time\ndef kore_worker_configure():\n    time.sleep(0)\n"
    server = serve(VERSION.format(version=1) + source, settings={"drain_timeout": 100})
    (good,) = server.workers
    change(server, "time.sleep(0)", "time.sleep(100)")
    os.kill(server.process.pid, signal.SIGHUP)
    procs.until(lambda: len(server.workers) == 2, what="the worker that does not get ready")
    (stuck,) = set(server.workers) - {good}
    change(server, "time.sleep(100)", "time.sleep(0)")
    os.kill(server.process.pid, signal.SIGHUP)

    procs.until(lambda: stuck not in procs.children(server.process.pid), what="its end")
