"""Applications that python itself is asked to run: they are told of the command `kore`."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

HOOK: Final = "import kore\ndef kore_parent_configure(args):\n    kore.setname('x')\n"
CLASS: Final = (
    "import kore\nclass App:\n    def configure(self, args): kore.setname('x')\nkoreapp = App"
)
CALLS: Final = {
    "setting": "import kore\nkore.config.workers = 1\n",
    "route": "import kore\n@kore.route('/')\ndef index(req): pass\n",
    "task": "import kore\nasync def work(): pass\nkore.task_create(work())\n",
    "function": "import kore\ndef main():\n    kore.domain('*')\nmain()\n",
    "hook": HOOK,
    "class": CLASS,
    "object": CLASS + "()\n",
}


def run(directory: Path, *arguments: str) -> str:
    """Return what Python says of a program; it may say nothing else."""
    command = [sys.executable, *arguments]
    run = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    assert run.stdout == ""
    return run.stderr


@pytest.mark.parametrize("program", CALLS)
@pytest.mark.parametrize("way", [["app.py"], ["-m", "app"], ["./app.py"]])
def test_program_gets_a_hint_how_to_start_it(tmp_path: Path, program: str, way: list[str]) -> None:
    (tmp_path / "app.py").write_text(CALLS[program])
    last = run(tmp_path, *way).splitlines()[-1]
    assert last.endswith(": start the application by `kore app.py`, not by python itself")


@pytest.mark.parametrize("way", [["shop"], ["-m", "shop"]])
def test_package_gets_a_hint_how_to_start_it(tmp_path: Path, way: list[str]) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").write_text("")
    (tmp_path / "shop" / "__main__.py").write_text(CALLS["setting"])
    assert "start the application by `kore shop`" in run(tmp_path, *way)


@pytest.mark.parametrize("way", [["app.py", "migrate"], ["-c", "import app"]])
def test_program_that_does_something_else_gets_no_hint(tmp_path: Path, way: list[str]) -> None:
    (tmp_path / "app.py").write_text(HOOK)
    assert run(tmp_path, *way) == ""
