"""Starts that come to no end: said, given up, tried again.

Where they hang shows only if they come there within their second. On a machine that is too busy for
that, they are given up before, and tried once more here.
"""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kore._process.privsep import STACK_DUMP_SIGNAL
from tests.helpers import procs
from tests.helpers.fix_serve import KORE, Launcher, Server
from tests.process.conf_project import CONF, HELLO, project
from tests.process.process_helpers import full, get, replaced, rewrite, template, until_children

__all__ = ["project"]

HEAD = """
import asyncio, kore, time
kore.config.start_timeout = 1
kore.config.workers = 1
kore.server("http", ip="127.0.0.1", port=0, tls=False)
kore.domain("*", attach="http")
"""
# Hangs in the place that a file names, as long as it does; has a second if another file is there.
HANGS = """
import os, pathlib, time
kore.config.start_timeout = 1 if pathlib.Path("hurry").exists() else 100
site = kore.domain("*", attach="http")
site.route("/", lambda req: req.response(200, b"up"), methods=["get"])
def hang(place):
    try:
        while pathlib.Path("hang").read_text() == place:
            time.sleep(0.01)
    except FileNotFoundError:
        pass
hang("import")
os.register_at_fork(before=lambda: hang("fork"))
def kore_worker_configure():
    hang("workerstart")
"""
LOADING = r"template \(pid \d+\) has been loading the application for 1 s \(start_timeout\)"
STARTING = r"worker 1 \(pid \d+\) has been in workerstart for 1 s \(start_timeout\)"
FORKING = r"template \(pid \d+\) has not forked worker 1 for 1 s \(start_timeout\)"


def until_failed(directory: Path, arguments: list[str], *patterns: str) -> None:
    """Start and wait for the end, until all that is to be said is said."""
    said = ""

    def failed() -> bool:
        nonlocal said
        said = failure(directory, arguments)
        return all(re.search(pattern, said, re.MULTILINE) for pattern in patterns)

    try:
        procs.until(failed)
    except AssertionError:
        raise AssertionError(said) from None


def failure(directory: Path, arguments: list[str]) -> str:
    """Run the command, which fails and leaves nobody behind; return what is said."""
    with subprocess.Popen(
        [sys.executable, "-m", "kore", *arguments],
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        _, said = process.communicate(timeout=60)
    procs.until(lambda: not procs.session(process.pid), what="all processes gone")
    assert process.returncode == 1, said
    return said


@pytest.mark.parametrize(
    ("source", "what", "where"),
    [
        ("time.sleep(100)\n", LOADING, "line 7 in <module>"),
        (
            "def kore_worker_configure():\n    while True: pass\n",
            STARTING,
            "line 8 in kore_worker_configure",
        ),
        (
            "async def kore_worker_configure():\n    await asyncio.sleep(100)\n",
            STARTING,
            "in run_until_complete|in run",
        ),
    ],
    ids=["import", "workerstart", "workerstart-async"],
)
def test_a_first_start_that_hangs_ends_and_says_where(
    tmp_path: Path, source: str, what: str, where: str
) -> None:
    (tmp_path / "app.py").write_text(HEAD + source)

    until_failed(tmp_path, ["app.py"], f"^{what}$", where)


def test_a_file_says_how_long_its_modules_may_take(project: Path) -> None:
    (project / "kore.conf").write_text("start_timeout 1s\n" + CONF)
    (project / "src" / "hello.py").write_text("import time\ntime.sleep(100)\n" + HELLO)

    until_failed(project, ["-c", "kore.conf"], f"^{LOADING}$")


def test_a_function_that_is_told_of_its_loading_may_hang_too(project: Path) -> None:
    (project / "kore.conf").write_text("start_timeout 1s\n" + CONF)
    hello = HELLO.replace("(action):\n", "(action):\n    __import__('time').sleep(100)\n")
    (project / "src" / "hello.py").write_text(hello)

    until_failed(project, ["-c", "kore.conf"], r"has been in onload for 1 s \(start_timeout\)$")


def put(server: Server, name: str, text: str = "") -> Path:
    """Have the next start find a file."""
    file = server.log.path.with_name(name)
    rewrite(file, text)
    return file


def reload(server: Server) -> str:
    """Load anew; return what came of it."""
    start = server.log.size()
    os.kill(server.process.pid, signal.SIGHUP)
    end = r"(all worker processes started|reload failed, the old code goes on serving: .*)\]"
    return server.log.search(end, start)[1]


@pytest.mark.parametrize(("place", "what"), [("import", LOADING), ("workerstart", STARTING)])
def test_a_reload_that_hangs_leaves_the_old_code_serving(
    serve: Launcher, place: str, what: str
) -> None:
    server = serve(HANGS)
    before = full(server, 1)
    files = [put(server, "hang", place), put(server, "hurry")]
    procs.until(lambda: re.search(f"goes on serving: {what}", reload(server)), what=what)
    until_children(server, 2)

    assert full(server, 1) == before
    assert get(server, "/") == b"up"
    for file in files:
        file.unlink()
    assert "started" in reload(server)
    replaced(server, before, 1)
    assert get(server, "/") == b"up"


def in_a_hurry(serve: Launcher) -> Server:
    """Return a server whose processes have a second to start."""
    server = serve(HANGS)
    before = full(server, 1)
    put(server, "hurry")
    procs.until(lambda: "started" in reload(server), what="a start within a second")
    replaced(server, before, 1)
    until_children(server, 2)
    return server


@pytest.mark.parametrize(
    ("place", "what", "who"),
    [
        ("workerstart", STARTING, r"worker 1 \(pid \d+\) killed by SIGKILL while in workerstart"),
        ("fork", FORKING, r"template \(pid \d+\) killed by SIGKILL; the workers go on"),
    ],
)
def test_a_worker_that_hangs_when_it_is_started_again_is_given_up_and_replaced(
    serve: Launcher, place: str, what: str, who: str
) -> None:
    server = in_a_hurry(serve)
    before = full(server, 1)
    file = put(server, "hang", place)
    os.kill(before[0], signal.SIGKILL)
    server.log.search(what)
    server.log.search(who)
    file.unlink()

    replaced(server, before, 1)
    assert get(server, "/") == b"up"


def test_a_template_that_hangs_when_it_is_started_again_is_given_up_and_replaced(
    serve: Launcher,
) -> None:
    server = in_a_hurry(serve)
    before = full(server, 1)
    file = put(server, "hang", "import")
    os.kill(template(server), signal.SIGKILL)
    server.log.search(LOADING)
    server.log.search(r"template \(pid \d+\) killed by SIGKILL; the workers go on")
    file.unlink()

    assert full(server, 1) == before, "a second after its start, which is over"
    os.kill(before[0], signal.SIGKILL)
    replaced(server, before, 1)
    assert get(server, "/") == b"up"


# The interpreter of the template says that it starts, and waits.
EARLY = """
import os, pathlib, sys, time
if any("template" in word for word in sys.orig_argv):
    pathlib.Path("starting").write_text(str(os.getpid()))
    while not pathlib.Path("go").exists():
        time.sleep(0.01)
"""


def test_a_template_asked_for_its_stacks_too_early_goes_on(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(EARLY)
    (tmp_path / "app.py").write_text(HEAD.replace("kore.config.start_timeout = 1\n", ""))
    server = Server([*KORE, "app.py"], tmp_path, {"PYTHONPATH": str(tmp_path)})
    try:
        starting = tmp_path / "starting"
        procs.until(lambda: starting.exists() and starting.read_text(), what="a template")
        os.kill(int(starting.read_text()), STACK_DUMP_SIGNAL)
        (tmp_path / "go").touch()
        server.learn_port()

        assert server.log.text().count("most recent call first") == 1
    finally:
        server.kill()
