"""`kodev info` and `kodev reload` find a server that has no pid file."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.fix_serve import KORE, RUNNING, Server
from tests.process.test_kodev import APP, kodev, place

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
    assert f"start the application by `kore {start}`, not by python itself" in run.stderr


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
def test_words_of_other_servers_are_answered(place: Path, arguments: list[str], said: str) -> None:
    (place / "some.conf").touch()
    run = subprocess.run([*KORE, *arguments], cwd=place, capture_output=True, text=True, timeout=30)

    assert run.returncode == 1
    assert said in run.stderr
    assert "Traceback" not in run.stderr
