"""Reloads that come in numbers, from links, without a directory, by another kore; one worker's."""

import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import kore
from tests.helpers import procs
from tests.helpers.fix_serve import KORE, RUNNING, Launcher, Server
from tests.helpers.ports import free_port
from tests.process.process_helpers import (
    answer,
    ask,
    end,
    full,
    get,
    replaced,
    rewrite,
    status,
    template,
    try_get,
    until_children,
)

APP = """
import asyncio, os, pathlib, time
domain = kore.domain("*", attach="http")
async def wait(req):
    print(f"waiting in {os.getpid()}", flush=True)
    while not pathlib.Path("go").exists():
        await asyncio.sleep(0.01)
    req.response(200, str(os.getpid()))
domain.route("/wait", wait, methods=["get"])
domain.route("/pid", lambda req: req.response(200, str(os.getpid())), methods=["get"])
while pathlib.Path("stay").exists():
    time.sleep(0.01)
"""


def test_many_requests_while_the_application_is_loaded_are_one(serve: Launcher) -> None:
    server = serve(APP)
    (old,) = full(server, 1)
    server.log.path.with_name("stay").touch()
    most = 0
    for _ in range(40):
        os.kill(server.process.pid, signal.SIGHUP)
        most = max(most, len(procs.children(server.process.pid)))
    status(server)
    start = server.log.size()
    # Given up for one that begins after the last request.
    server.log.wait("reloading", start)
    most = max(most, len(procs.children(server.process.pid)))
    server.log.path.with_name("stay").unlink()
    server.log.wait("all worker processes started", start)
    replaced(server, [old], 1)

    assert most <= 5
    assert server.log.text().count("[reloading]") == 2


def test_a_worker_that_is_told_to_end_has_a_successor_while_it_drains(serve: Launcher) -> None:
    server = serve(APP)
    (old,) = full(server, 1)
    client = ask(server, "/wait", 0)
    server.log.wait(f"waiting in {old}")

    os.kill(old, signal.SIGTERM)
    server.log.wait(f"worker 1 (pid {old}) drains")
    procs.until(lambda: try_get(server) not in (b"", b"%d" % old), what="a successor")
    assert re_status(server, old) == "draining"

    server.log.path.with_name("go").touch()
    assert answer(client).endswith(b"%d" % old)
    server.log.wait(f"worker 1 (pid {old}) exited with status 0 after draining")
    until_children(server, 2)
    assert server.log.text().count("restarting worker 1") == 1


def re_status(server: Server, pid: int) -> str:
    """Return what the parent says of a worker."""
    lines = [line for line in status(server).splitlines() if f"(pid {pid})" in line]
    return lines[-1].partition(f"(pid {pid}) ")[2].partition(",")[0]


def test_a_worker_that_drains_ends_with_the_server(serve: Launcher) -> None:
    server = serve(APP)
    (old,) = full(server, 1)
    client = ask(server, "/wait", 0)
    server.log.wait(f"waiting in {old}")
    os.kill(old, signal.SIGTERM)
    procs.until(lambda: try_get(server) not in (b"", b"%d" % old), what="a successor")

    os.kill(server.process.pid, signal.SIGTERM)
    server.log.wait("server shutting down")
    server.log.path.with_name("go").touch()
    assert answer(client).endswith(b"%d" % old)
    assert server.process.wait(30) == 0
    RUNNING.remove(server)


@contextlib.contextmanager
def running(place: Path, *command: str, port: int) -> Iterator[Server]:
    """Run a server anyhow, until it answers."""
    server = Server(list(command), place, {})
    server.address = ("127.0.0.1", port)
    RUNNING.append(server)
    try:
        procs.until(lambda: try_get(server), what="an answer")
        server.log.wait("all worker processes started")
        yield server
    finally:
        if server in RUNNING:
            RUNNING.remove(server)
        server.kill()


def release(place: Path, port: int) -> None:
    """Make a release of an application that says its name."""
    place.mkdir()
    (place / "app.py").write_text(
        f"import kore\nkore.config.workers = 1\n"
        f"kore.server(ip='127.0.0.1', port={port}, tls=False)\n"
        f"kore.domain('*').route('/pid', lambda req: req.response(200, {place.name!r}), "
        "methods=['get'])\n"
    )


def reload(server: Server) -> None:
    start = server.log.size()
    os.kill(server.process.pid, signal.SIGHUP)
    server.log.search(r"(?s)reloading.*all worker processes started", start)


@pytest.mark.parametrize("options", [(), ("--pidfile", "kore.pid")])
def test_a_reload_follows_the_link_that_the_server_was_started_in(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    port = free_port()
    release(tmp_path / "one", port)
    release(tmp_path / "two", port)
    (tmp_path / "current").symlink_to("one")
    entry = 'cd current && exec "$@"'
    with running(tmp_path, "sh", "-c", entry, "sh", *KORE, *options, "app.py", port=port) as server:
        assert get(server) == b"one"
        (tmp_path / "next").symlink_to("two")
        (tmp_path / "next").rename(tmp_path / "current")
        shutil.rmtree(tmp_path / "one")

        reload(server)

        procs.until(lambda: get(server) == b"two", what="the new release")
        found = [path.name for path in (tmp_path / "two").iterdir()]
        assert ("kore.pid" in found) == bool(options)
        assert end(server, signal.SIGTERM) == 0


def test_a_working_directory_that_is_gone_is_a_notice(tmp_path: Path) -> None:
    port = free_port()
    release(tmp_path / "app", port)
    (tmp_path / "gone").mkdir()
    entry = 'cd gone && rmdir "$PWD" && exec "$@"'
    path = str(tmp_path / "app" / "app.py")
    with running(tmp_path, "sh", "-c", entry, "sh", *KORE, path, port=port) as server:
        server.log.wait(f"the working directory {tmp_path}/gone cannot be entered")
        reload(server)
        assert get(server) == b"app"
        assert end(server, signal.SIGTERM) == 0


UPGRADED = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from kore._cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def test_an_upgrade_below_a_running_server_is_told_by_version(tmp_path: Path) -> None:
    installed = Path(kore.__file__).parent
    copy = tmp_path / "lib" / "kore"
    shutil.copytree(installed, copy, ignore=shutil.ignore_patterns("*.c", "__pycache__"))
    port = free_port()
    release(tmp_path / "app", port)
    path = str(tmp_path / "app" / "app.py")
    command = (sys.executable, "-P", "-c", UPGRADED, str(copy.parent), path)
    with running(tmp_path, *command, port=port) as server:
        settings = copy / "_conf" / "settings.py"
        rewrite(settings, settings.read_text().replace('= "0.1.0"', '= "9.9.9"'))
        os.kill(server.process.pid, signal.SIGHUP)

        said = "reload failed, the old code goes on serving: kore 9.9.9 is installed by now"
        server.log.wait(said)
        assert get(server) == b"app"
        os.kill(template(server), signal.SIGKILL)
        server.log.wait("killed by SIGKILL: kore 9.9.9 is installed by now")
        assert get(server) == b"app"
        assert end(server, signal.SIGTERM) == 0
