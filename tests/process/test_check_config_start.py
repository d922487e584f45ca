"""`kore -t` and a start refuse the same, and for the same reason."""

import os
from pathlib import Path

import pytest

from tests.helpers import procs
from tests.helpers.fix_serve import KORE, Server
from tests.process.conf_project import kore, serving

SERVER = "import kore\nkore.config.workers = 1\nkore.server(ip='127.0.0.1', port=0, tls=False)\n"
PACKAGE = """
import kore
class App:
    def configure(self, args):
        kore.config.workers = 1
        kore.config.logfile = "logs/kore.log"
        kore.server(ip="127.0.0.1", port=0, tls=False)
        kore.domain("*").route("/", lambda req: req.response(200))
koreapp = App()
"""
LOGS = "for n in range(300): kore.domain(f'd{n}.example.com', accesslog=f'log{n}')\n"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (SERVER + LOGS, "301 servers and access logs are more than a worker can be handed"),
        (SERVER + "kore.server('u', path='nowhere/sock', tls=False)\n", "No such file or direct"),
        (SERVER + "kore.server('u', path='app.py/sock', tls=False)\n", "failed to bind to"),
        (SERVER + "kore.server('u', path='app.py', tls=False)\n", "not a socket is in the way"),
        (
            SERVER.replace("port=0", "port=9")
            + "kore.server('u', ip='127.0.0.1', port=9, tls=False)\n",
            "is already the address",
        ),
        (
            SERVER.replace("port=0", "port=9")
            + "kore.server('u', ip='0.0.0.0', port=9, tls=False)\n",
            "two servers have this address",
        ),
        (SERVER.replace("127.0.0.1", "nowhere.invalid"), "failed to bind to"),
        (SERVER + "kore.config.logfile = 'link'\n", "logfile link: No such file or directory"),
        (SERVER + "kore.config.logfile = 'x' * 300\n", "File name too long"),
    ],
)
def test_check_refuses_what_a_start_would_refuse(tmp_path: Path, source: str, reason: str) -> None:
    (tmp_path / "app.py").write_text(source)
    (tmp_path / "link").symlink_to("nowhere/log")

    tried, started = kore(tmp_path, "-t", "app.py"), kore(tmp_path, "app.py")

    assert (tried.returncode, started.returncode) == (1, 1)
    assert reason in tried.stderr
    said = tried.stderr.rstrip().splitlines()[-1].removeprefix("fatal: ")
    assert said in started.stderr + started.stdout


@pytest.mark.parametrize("beside", [True, False])
def test_relative_paths_of_a_package_are_those_of_the_start(tmp_path: Path, beside: bool) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").write_text(PACKAGE)
    (tmp_path / "logs" if beside else tmp_path / "shop" / "logs").mkdir()

    tried = kore(tmp_path, "-t", "shop")

    if not beside:
        assert "logfile logs/kore.log: No such file or directory" in tried.stderr
        assert tried.stderr in kore(tmp_path, "shop").stderr
        return
    assert (tried.returncode, tried.stderr) == (0, "")
    server = Server([*KORE, "shop"], tmp_path, {})
    try:
        log = tmp_path / "logs" / "kore.log"
        procs.until(lambda: log.exists() and "all worker" in log.read_text(), what="its log")
    finally:
        server.process.terminate()
        server.process.wait(30)
        server.kill()


NAMES = [b"caf\xe9", "no\u00a0break".encode(), b"two\nlines", b"x\x1b[31m"]
EVERYWHERE = """
import kore, os
kore.config.workers = 1
kore.config.pidfile = os.path.abspath("kore.pid")
kore.server("http", ip="127.0.0.1", port=0, tls=False)
kore.server("unix", path="sock", tls=False)
kore.domain("*", attach="http", accesslog="access.log").filemaps({"/": "."})
"""


@pytest.mark.parametrize("name", NAMES)
def test_directories_may_have_any_name(tmp_path: Path, name: bytes) -> None:
    place = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    place.mkdir()
    (place / "app.py").write_text(EVERYWHERE)
    app = f"{place.name}/app.py"
    printed = kore(tmp_path, "--print-config", app)
    assert printed.returncode == 0, printed.stderr

    assert kore(place, "-t", "app.py").stdout == "configuration ok\n"
    with serving(tmp_path, app):
        assert (tmp_path / "access.log").exists()
        assert (tmp_path / "kore.pid").exists()
    with serving(place, "app.py") as server, server.connect() as client:
        assert client.ask(b"GET /app.py HTTP/1.1\r\nhost: x\r\n\r\n").status == 200
        assert (place / "access.log").exists()


def test_linked_application_imports_from_the_targets_directory(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "helper.py").write_text("PORT = 0\n")
    source = "import helper\n" + SERVER.replace("port=0", "port=helper.PORT")
    (tmp_path / "real" / "main.py").write_text(source)
    (tmp_path / "app.py").symlink_to("real/main.py")

    assert kore(tmp_path, "-t", "app.py").returncode == 0
