"""Applications that are imported without a server: by their own tests, by tools that read them."""

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

import kore
from kore import _context
from kore.errors import KoreError

APP: Final = """
import kore

kore.config.workers = 2
kore.setname("shop")
kore.server(ip="127.0.0.1", port=0, tls=False)
kore.bind_unix("shop.sock")
kore.dbsetup("db", "dbname=shop")
kore.tracer(print)
kore.sigtrap(10)
kore.privsep("worker", root="/")
domain = kore.domain("*")
domain.redirect("^/old$", 301, "/")
jobs, lock = kore.queue(), kore.lock()
client = kore.httpclient("http://127.0.0.1:1/")

async def work():
    await jobs.pop()

kore.task_create(work())

@kore.prerequest
def count(req):
    pass

@kore.route("/", methods=["get"], get={"id": "^[0-9]+$"})
def index(req):
    req.response(200, str(total([1, 2])))

def total(prices):
    return sum(prices) * kore.config.workers

kore.app(total)
"""


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    (tmp_path / "shop_app.py").write_text(APP)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(_context.current, "unserved", None)
    return importlib.import_module("shop_app")


def test_unserved_functions_can_be_called(app: ModuleType) -> None:
    assert app.total([1, 2]) == 3 * 2
    assert kore.app() is app.total


def test_unserved_module_can_be_imported_again(app: ModuleType) -> None:
    importlib.reload(app)
    assert app.total([3]) == 6


def test_unserved_calls_are_checked(app: ModuleType, tmp_path: Path) -> None:
    for number, (line, error) in enumerate(
        [
            ("kore.config.wrokers = 1", "wrokers"),
            ("kore.server(ip='127.0.0.1')", "port"),
            ("kore.route('/', methods=['fetch'])(print)", "FETCH"),
        ]
    ):
        (tmp_path / f"wrong_{number}.py").write_text(f"import kore\n{line}\n")
        with pytest.raises(Exception, match=error):
            importlib.import_module(f"wrong_{number}")


def test_nothing_is_configured_after_the_import(app: ModuleType) -> None:
    with pytest.raises(KoreError, match="nothing is being configured"):
        kore.server(ip="127.0.0.1", port=1, tls=False)


def test_exec_does_not_count_as_an_import(app: ModuleType) -> None:
    code = compile("import kore\nkore.setname('x')\n", "somewhere", "exec")
    with pytest.raises(KoreError, match="nothing is being configured"):
        exec(code, {"__name__": "somewhere"})


def test_program_without_a_server_gets_a_hint(tmp_path: Path) -> None:
    (tmp_path / "shop_app.py").write_text(APP)
    done = subprocess.run(
        [sys.executable, "shop_app.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "nothing is being configured" in done.stderr


def test_pytest_of_a_project_imports_it(tmp_path: Path) -> None:
    (tmp_path / "shop_app.py").write_text(APP)
    (tmp_path / "test_shop.py").write_text(
        "import asyncio\nfrom shop_app import jobs, total\n\n"
        "def test_total():\n    assert total([2]) == 4\n\n"
        "def test_jobs():\n"
        "    async def run():\n        jobs.push(1)\n        return await jobs.pop()\n"
        "    assert asyncio.run(run()) == 1\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, "2 passed" in done.stdout) == (0, True), done.stdout
