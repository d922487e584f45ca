"""`kodev info` and `kodev reload` find a server that has no pid file."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import procs
from tests.helpers.fix_serve import KORE, RUNNING, Server
from tests.process.process_helpers import answer, ask, get
from tests.process.test_kodev import APP, KODEV, kodev, place, run, save

__all__ = ["place"]


@pytest.mark.parametrize("kind", ["file", "package", "conf"])
def test_a_server_in_the_foreground_is_found(place: Path, kind: str) -> None:
    words = ["app.py"]
    where = place
    if kind == "package":
        (place / "app.py").rename(place / "__init__.py")
        words, where = [place.name], place.parent
    elif kind == "conf":
        (place / "kore.conf").write_text("python_import ./app.py\n")
        words = ["-c", "kore.conf"]
    assert "running       no\n" in kodev(place, "info").stdout
    server = Server([*KORE, *words], where, {})
    try:
        server.learn_port()
        RUNNING.append(server)
        pid = server.process.pid

        assert f"running       yes, process {pid}\n" in kodev(place, "info").stdout
        assert kodev(place, "reload").stdout.startswith(f"reloading application, process {pid};")
        server.log.wait("log=[reloading]")
        assert not list(place.glob("*.pid"))
        server.stop()
    finally:
        server.kill()
    assert "running       no\n" in kodev(place, "info").stdout
    assert kodev(place, "reload").returncode == 1


@pytest.mark.parametrize("start", ["app.py", "./app.py"])
def test_python_alone_says_who_starts_an_application(place: Path, start: str) -> None:
    (place / "app.py").write_text(APP)

    run = subprocess.run(
        [sys.executable, start], cwd=place, capture_output=True, text=True, timeout=30
    )

    assert run.returncode == 1
    assert "start the application by `kore app.py`, not by python itself" in run.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["app:koreapp"], "kore finds `koreapp` by itself, write `kore app.py`"),
        (["app.py:koreapp"], "kore finds `koreapp` by itself, write `kore app.py`"),
        (["kore.conf"], "no such file; one is given by `kore -c kore.conf`"),
        (["some.conf"], "a configuration file is given by `kore -c some.conf`"),
        (["--reload", "app.py"], "--reload not recognized: `kodev run` loads what has changed"),
        (["--port=8000", "app.py"], "an application says where it listens: kore.server(ip="),
        (["--workers", "3", "app.py"], "write kore.config.workers = N"),
    ],
)
def test_commands_of_other_servers_are_explained(
    place: Path, arguments: list[str], said: str
) -> None:
    (place / "some.conf").touch()
    run = subprocess.run([*KORE, *arguments], cwd=place, capture_output=True, text=True, timeout=30)

    assert run.returncode == 1
    assert said in run.stderr
    assert "Traceback" not in run.stderr


SLOW = APP.replace(
    "def index(req):\n",
    "async def index(req):\n"
    "    import asyncio, pathlib\n"
    "    print('waiting', flush=True)\n"
    "    while not pathlib.Path('go').exists():\n"
    "        await asyncio.sleep(0.01)\n",
) + (
    "class App:\n"
    "    def configure(self, args): pass\n"
    "    def signal(self, number): print(f'hook {number}', flush=True)\n"
    "koreapp = App()\n"
)  # fmt: skip


@pytest.mark.parametrize("whole_group", [True, False])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_one_signal_to_the_group_of_a_run_counts_once(
    place: Path, number: signal.Signals, whole_group: bool
) -> None:
    (place / "app.py").write_text(SLOW)
    with run(place) as server:
        server.learn_port()
        client = ask(server, "/", 0)
        server.log.wait("waiting")

        (os.killpg if whole_group else os.kill)(server.process.pid, number)
        server.log.wait("waiting for workers to drain and shutdown")
        # Both have heard of it by now, and the server still waits.
        server.log.wait("still waiting, for")
        (place / "go").touch()

        assert answer(client).startswith(b"HTTP/1.1 200 OK")
        assert server.process.wait(30) == 0
        assert server.log.text().count("hook ") == 1


def test_a_second_signal_ends_a_run_at_once(place: Path) -> None:
    (place / "app.py").write_text("import kore\nkore.config.drain_timeout = 100\n" + SLOW)
    with run(place) as server:
        server.learn_port()
        client = ask(server, "/", 0)
        server.log.wait("waiting")
        server.process.terminate()
        server.log.wait("waiting for workers to drain and shutdown")

        server.process.terminate()

        assert not answer(client).startswith(b"HTTP/1.1 200 OK")
        assert server.process.wait(30) == 0


@pytest.mark.parametrize("command", ["info", "clean", "reload", "run", "create"])
def test_a_working_directory_that_is_gone_is_told(place: Path, command: str) -> None:
    arguments = ["cart"] if command == "create" else []
    gone = 'rmdir "$PWD"; exec "$@"'
    (place / "below").mkdir()
    line = ["sh", "-c", gone, "sh", *KODEV, command, *arguments]
    it = subprocess.run(line, cwd=place / "below", capture_output=True, text=True, timeout=30)

    assert it.returncode == 1
    assert it.stderr.count("\n") == 1
    wanted = "cannot make cart" if command == "create" else "the working directory is gone: `cd`"
    assert it.stderr.startswith(f"kodev: {wanted}")


def test_run_without_its_pidfile_keeps_the_server(place: Path) -> None:
    (place / "kore.pid").mkdir()
    with run(place) as server:
        server.learn_port()
        (place / "app.py").write_text("1 / 0\n")
        server.log.wait("reload failed, the old code goes on serving")

        assert get(server, "/") == b"first"


def test_a_run_whose_starter_ignores_ended_children_goes_on(place: Path) -> None:
    (place / "app.py").write_text("1 / 0\n")
    line = ["sh", "-c", "trap '' CHLD; exec \"$@\"", "sh", *KODEV, "run"]
    server = Server(line, place, {})
    try:
        server.log.wait("not serving: it starts again with the next change")
        save(place, "mended")
        server.learn_port()
        assert get(server, "/") == b"mended"
        server.process.terminate()
        assert server.process.wait(30) == 0
    finally:
        server.kill()


@pytest.mark.parametrize("from_within", [True, False])
def test_a_server_behind_a_link_is_found_where_the_link_leads_now(
    place: Path, from_within: bool
) -> None:
    link, fresh = place.with_name("current"), place.with_name("fresh")
    shutil.copytree(place, fresh)
    link.symlink_to(place)
    where, word = (place, "app.py") if from_within else (place.parent, "current/app.py")
    server = Server([*KORE, word], where, {"PWD": str(link if from_within else where)})
    try:
        server.learn_port()
        RUNNING.append(server)
        link.with_name("next").symlink_to(fresh)
        link.with_name("next").replace(link)
        os.kill(server.process.pid, signal.SIGHUP)
        server.log.search(r"(?s)reloading.*all worker processes started")

        running = f"running       yes, process {server.process.pid}\n"
        procs.until(lambda: running in kodev(fresh, "info").stdout, what="a mark on the new place")
        assert running not in kodev(place, "info").stdout
        server.stop()
    finally:
        server.kill()
