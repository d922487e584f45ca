"""A reload serves what is in the sources, whatever `__pycache__` says."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import procs
from tests.helpers.fix_serve import Launcher, Server
from tests.process.process_helpers import get
from tests.process.test_kodev import answers, place, run, save
from tests.unit.test_bytecode import bytecode, plant

__all__ = ["place"]

APP = """
import helper
WORD = "app"
domain = kore.domain("*", attach="http")
domain.route("/", lambda req: req.response(200, WORD + helper.WORD), methods=["get"])
def late(req):
    import lazy
    req.response(200, lazy.WORD)
domain.route("/late", late, methods=["get"])
"""


def started(serve: Launcher, prefix: str = "") -> Server:
    """Serve the application, which finds its other modules beside its own directory."""
    cache = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": prefix}
    return serve(APP, PYTHONPATH=str(serve.directory), **cache)


def edit(path: Path, old: str, new: str) -> None:
    """Change a file, but neither its size nor the second of its time."""
    status = path.stat()
    path.write_text(path.read_text().replace(old, new))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size


def reload(server: Server) -> None:
    os.kill(server.process.pid, signal.SIGHUP)


@pytest.mark.parametrize("prefix", ["", "cache"])
def test_an_edit_of_the_same_size_and_second_is_served(serve: Launcher, prefix: str) -> None:
    for name in ("helper", "lazy"):
        (serve.directory / f"{name}.py").write_text("WORD = 'one'\n")
    server = started(serve, prefix)
    assert get(server, "/") == b"appone"
    assert get(server, "/late") == b"one"

    for number, (name, old, new) in enumerate(
        [
            ("helper.py", "'one'", "'two'"),
            ("serve-0/app.py", '"app"', '"pap"'),
            ("lazy.py", "'one'", "'six'"),
            ("helper.py", "'two'", "'ten'"),
        ]
    ):
        edit(serve.directory / name, old, new)
        reload(server)
        expected = [b"apptwo", b"paptwo", b"paptwo", b"papten"][number]
        procs.until(lambda e=expected: get(server, "/") == e, what=f"{name} as it is now")
    procs.until(lambda: get(server, "/late") == b"six", what="the new lazy module")


def test_bytecode_written_since_the_start_is_not_read(serve: Launcher) -> None:
    helper = serve.directory / "helper.py"
    helper.write_text("WORD = 'source'\n")
    os.utime(helper, (1, 1))
    server = started(serve)
    assert get(server, "/") == b"appsource"
    plant(helper)
    old = server.workers
    reload(server)
    procs.until(lambda: not set(old) & set(server.workers), what="new workers")

    assert get(server, "/") == b"appsource"


def test_a_cache_that_cannot_be_written_is_no_error(serve: Launcher) -> None:
    (serve.directory / "helper.py").write_text("WORD = 'one'\n")
    (serve.directory / "__pycache__").write_text("in the way")
    server = started(serve)
    edit(serve.directory / "helper.py", "one", "two")
    reload(server)

    procs.until(lambda: get(server, "/") == b"apptwo", what="the new code")


def test_development_leaves_no_bytecode(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "")
    with run(place) as server:
        server.learn_port()
        for word in ("third", "forth", "fifth"):
            save(place, word)
            procs.until(lambda w=word: answers(server, w.encode()), what=word)
    assert not (place / "__pycache__").exists()


@pytest.mark.parametrize("option", ["-t", "--print-config"])
def test_a_check_neither_reads_stale_bytecode_nor_writes_any(place: Path, option: str) -> None:
    app = place / "app.py"
    app.write_text(app.read_text() + "1 / 0  # source\n")
    app.write_text(app.read_text().replace("1 / 0  # source", "source = None  # "))
    plant(app)
    app.write_text(app.read_text().replace("source = None  # ", "raise TypeError  "))
    before = bytecode(app).read_bytes()
    words = [sys.executable, "-m", "kore", option, "app.py"]

    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}

    done = subprocess.run(words, cwd=place, env=env, capture_output=True)

    assert done.returncode == 1
    assert b"TypeError" in done.stderr
    assert bytecode(app).read_bytes() == before
