"""Bodies in files and processes that end: nothing is left whoever was killed, nothing is lost."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import procs
from tests.helpers.build import get, post
from tests.helpers.fix_serve import RUNNING, Launcher, Server
from tests.helpers.raw_client import Client

APP = """
import asyncio, os, resource, signal

domain = kore.domain("*", attach="http")
gate = asyncio.Event()

@kore.route("/", methods=["get"])
def index(req):
    req.response(200, str(os.getpid()))

@kore.route("/named", methods=["post"])
async def named(req):
    print(f"named {req.body_path}", flush=True)
    await gate.wait()
    req.response(200, b"%d" % len(req.body))

@kore.route("/length", methods=["post"])
def length(req):
    req.response(200, b"%d" % len(req.body))

@kore.route("/stream", methods=["post"], stream=True, hooks={
    "on_free": lambda req: print("freed", flush=True)})
async def stream(req):
    print("streaming", flush=True)
    req.response(200, b"%d" % sum([len(piece) async for piece in req.chunks()]))

@kore.route("/die", methods=["get"])
def die(req):
    os.kill(os.getpid(), int(req.request_header("signal")))

@kore.route("/limit", methods=["get"])
def limit(req):
    size = int(req.request_header("size"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    req.response(200)

@kore.route("/descriptors", methods=["get"])
def descriptors(req):
    most = int(req.request_header("most"))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    req.response(200)
"""
BODY = b"x" * 200_000


def serving(serve: Launcher, tmp_path: Path, app: str = APP, **settings: Any) -> Server:
    paths = {"http_body_disk_offload": 1000, "http_body_disk_path": str(tmp_path / "bodies")}
    return serve(app, settings={"drain_timeout": 20, **paths, **settings})


def names(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "bodies").iterdir())


def upload_named(server: Server) -> Client:
    """Send a body whose file has a name by the time this returns."""
    client = server.connect("POST")
    start = server.log.size()
    client.send(post(BODY, target="/named"))
    server.log.wait("named ", start)
    return client


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_worker_that_dies_leaves_no_body(
    serve: Launcher, tmp_path: Path, number: signal.Signals
) -> None:
    server = serving(serve, tmp_path)
    with upload_named(server), server.connect("POST") as half, server.connect() as other:
        half.send(post(b"", 500_000, target="/length"), BODY)
        assert len(names(tmp_path)) == 1
        start = server.log.size()
        other.send(get("/die", f"Signal: {number}"))
        server.log.wait("started", start)

        procs.until(lambda: names(tmp_path) == [], what="the successor has swept")
    server.log.accept()


def test_a_worker_without_a_successor_leaves_no_body(serve: Launcher, tmp_path: Path) -> None:
    server = serving(serve, tmp_path, worker_death_policy="terminate")
    with upload_named(server), server.connect() as other:
        other.send(get("/die", f"Signal: {signal.SIGKILL}"))

        assert server.process.wait(30) == 1
    RUNNING.remove(server)
    assert names(tmp_path) == []


def test_startup_removes_bodies_of_a_killed_server(serve: Launcher, tmp_path: Path) -> None:
    first = serving(serve, tmp_path)
    bystander = tmp_path / "bodies" / "body-1-notes.txt"
    bystander.write_text("not ours")
    with upload_named(first):
        RUNNING.remove(first)
        os.kill(first.process.pid, signal.SIGKILL)
        first.process.wait()
        procs.until(lambda: not procs.session(first.process.pid), what="its workers have ended")
        assert len(names(tmp_path)) == 2

    serving(serve, tmp_path)
    assert names(tmp_path) == [bystander.name]


def test_servers_that_share_a_directory_leave_each_other_alone(
    serve: Launcher, tmp_path: Path
) -> None:
    first = serving(serve, tmp_path)
    with upload_named(first):
        kept = names(tmp_path)
        second = serving(serve, tmp_path)
        RUNNING.remove(second)
        second.process.terminate()
        assert second.process.wait(30) == 0

        assert names(tmp_path) == kept != []
        first.process.send_signal(signal.SIGQUIT)
        RUNNING.remove(first)
        assert first.process.wait(30) == 0
    assert names(tmp_path) == []


@pytest.mark.parametrize("target", ["/length", "/stream"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_an_upload_outlives_a_drain(
    serve: Launcher, tmp_path: Path, target: str, number: signal.Signals
) -> None:
    server = serving(serve, tmp_path)
    with server.connect("POST") as client:
        client.send(post(b"", 400_000, target=target), BODY)
        if target == "/stream":
            server.log.wait("streaming")
        else:
            procs.until(
                lambda: any("bodies/" in name for name in procs.descriptors(server.worker)),
                what="a file is open",
            )
        start = server.log.size()
        server.process.send_signal(number)
        server.log.wait("drain" if number == signal.SIGTERM else "all worker", start)
        client.send(BODY)
        answer = client.answer()

    assert (answer.body, answer.get("connection")) == (b"400000", "close")
    if number == signal.SIGTERM:
        RUNNING.remove(server)
        assert server.process.wait(30) == 0
    assert names(tmp_path) == []


def test_a_stream_that_takes_too_long_for_a_drain_is_ended_and_freed_once(
    serve: Launcher, tmp_path: Path
) -> None:
    server = serving(serve, tmp_path, drain_timeout=0)
    with server.connect("POST") as client:
        client.send(post(b"", 400_000, target="/stream"), BODY)
        server.log.wait("streaming")
        server.process.terminate()
        RUNNING.remove(server)

        assert server.process.wait(30) == 0
        assert client.answer().status == 503
    assert server.log.text().count("freed") == 1


def refused(server: Server, target: str = "/length") -> int:
    with server.connect("POST") as client:
        thread = threading.Thread(target=client.send, args=(post(bytes(900_000), target=target),))
        thread.start()
        status = client.answer().status
        client.until_ended()
        thread.join()
        return status


def taken(server: Server) -> bytes:
    with server.connect() as client:
        return client.ask(post(BODY, target="/length")).body


def set_limit(server: Server, path: str, field: str) -> None:
    with server.connect() as client:
        assert client.ask(get(path, field)).status == 200


def test_disk_error_is_a_507_and_one_log_line(
    serve: Launcher, tmp_path: Path
) -> None:
    server = serving(serve, tmp_path)
    set_limit(server, "/limit", "Size: 300000")

    with server.expecting("cannot keep a body in", errors=0):
        assert [refused(server) for _ in range(3)] == [507] * 3
    assert server.log.text().count("cannot keep a body in") == 1
    with server.connect() as client:
        assert client.ask(post(BODY, target="/length")).body == b"200000"
    procs.until(
        lambda: not [name for name in procs.descriptors(server.worker) if "bodies/" in name],
        what="all files closed",
    )


@pytest.mark.needs_root
def test_a_full_file_system_is_a_507(serve: Launcher, tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can mount a small file system")
    (tmp_path / "bodies").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(tmp_path / "bodies")]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this root may not mount")
    try:
        server = serving(serve, tmp_path)
        with server.expecting("No space left on device", errors=0):
            assert [refused(server) for _ in range(2)] == [507] * 2
        # As soon as the files of those who were refused are closed.
        procs.until(lambda: taken(server) == b"200000", what="room again")
        RUNNING.remove(server)
        server.process.terminate()
        assert server.process.wait(30) == 0
    finally:
        subprocess.run(["umount", "-l", str(tmp_path / "bodies")], check=True)


def test_without_descriptors_a_body_is_a_503(serve: Launcher, tmp_path: Path) -> None:
    server = serving(serve, tmp_path)
    with server.connect() as client:
        client.ask(get())  # it is let in, with a descriptor of its own
        client.reader.methods.append("POST")
        client.send(post(b"", 900_000, target="/length"))
        most = max(map(int, os.listdir(f"/proc/{server.worker}/fd"))) + 1  # noqa: PTH208
        set_limit(server, "/descriptors", f"Most: {most}")
        with server.expecting("Too many open files", errors=0):
            client.send(bytes(900_000))
            assert client.answer().status == 503
        set_limit(server, "/descriptors", "Most: 500")
    with server.connect() as client:
        assert client.ask(post(BODY, target="/length")).body == b"200000"


@pytest.mark.parametrize("options", [(), ("-t",)])
def test_unusable_directory_is_an_error_with_its_line(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    (tmp_path / "app.py").write_text(
        "import kore\nkore.server(ip='127.0.0.1', port=0, tls=False)\n"
        "kore.config.http_body_disk_offload = 1\n"
        "kore.config.http_body_disk_path = '/proc/nope'\n"
    )
    command = [sys.executable, "-m", "kore", *options, "app.py"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert found.returncode == 1
    why = "app.py:4: http_body_disk_path /proc/nope: /proc is not writable ("
    assert why in found.stdout + found.stderr


def test_checking_a_configuration_makes_no_directory(tmp_path: Path) -> None:
    (tmp_path / "kore.conf").write_text(
        "http_body_disk_offload 1k\nserver a {\n bind 127.0.0.1 0\n tls no\n}\n"
    )
    command = [sys.executable, "-m", "kore", "-t", "-c", "kore.conf"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (found.returncode, found.stdout) == (0, "configuration ok\n")
    assert not (tmp_path / "tmp_files").exists()
