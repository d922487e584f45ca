"""A project with a configuration file, and the command that serves or checks it."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.fix_serve import RUNNING, Server

CONF = """
workers 1
python_path ./lib
python_import ./src/hello.py loaded
server plain {
    bind 127.0.0.1 0
    tls no
}
domain * {
    attach plain
    route / {
        handler index   # of hello.py
    }
    route ^/user/([a-z]+)$ {
        handler koreapp.user
        methods get
    }
    route /module {
        handler hello.index
    }
}
"""
HELLO = """
import kore
import words

class App:
    async def user(self, req, name):
        req.response(200, f"{words.GREETING} {name}")

koreapp = App()

def index(req):
    req.response(200, b"hello world")

def loaded(action):
    kore.log(kore.LOG_INFO, f"loaded({'LOAD' if action == kore.MODULE_LOAD else 'UNLOAD'})")
    return kore.RESULT_OK

def kore_parent_configure(args):
    print(f"configure {args}", flush=True)

def kore_worker_configure():
    kore.log(kore.LOG_INFO, "worker configure")

async def kore_worker_teardown():
    kore.log(kore.LOG_INFO, "worker teardown")

def kore_parent_teardown():
    print("parent teardown", flush=True)
"""
PRIVSEP = "privsep worker {\n    runas nobody\n    root /var/empty\n}\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a directory with a configuration and its modules."""
    for name in ("src", "lib"):
        (tmp_path / name).mkdir()
    (tmp_path / "kore.conf").write_text(CONF)
    (tmp_path / "src" / "hello.py").write_text(HELLO)
    (tmp_path / "lib" / "words.py").write_text('GREETING = "hi"\n')
    return tmp_path


@contextlib.contextmanager
def serving(directory: Path, *arguments: str) -> Iterator[Server]:
    server = Server([sys.executable, "-m", "kore", *arguments], directory, {})
    try:
        server.learn_port()
        RUNNING.append(server)
        yield server
        if server in RUNNING:
            server.stop()
    finally:
        server.kill()


def kore(directory: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "kore", *arguments],
        cwd=directory,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=30,
    )
