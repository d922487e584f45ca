"""The packaged Autobahn|Testsuite in an environment of its own: it needs a Python 2.7."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PLACE: Final = ROOT / "build" / "autobahn"
SUITE: Final = "autobahntestsuite==25.10.1"
# The last one that makes environments of 2.7.
VIRTUALENV: Final = "virtualenv==20.15.1"
HELP: Final = """\
the Autobahn|Testsuite runs on Python 2.7, and there is none here. Any with pip will do:
  pyenv install 2.7.18 && make autobahn
  make autobahn PYTHON27=/path/to/python2.7
  WSTEST=/path/to/wstest make autobahn     (one that is installed already)"""


def wstest() -> Path:
    """Return the program, installed if need be. Exits with an explanation where it cannot."""
    given = os.environ.get("WSTEST")
    program = Path(given) if given else PLACE / "venv" / "bin" / "wstest"
    if not program.exists():
        if given:
            raise SystemExit(f"autobahn: there is no {given} (WSTEST)")
        install(python27(), PLACE / "venv")
    return program


def python27() -> str:
    """Return an interpreter: the one that is named, on the path, or of pyenv."""
    named = [os.environ.get("PYTHON27", ""), shutil.which("python2.7") or ""]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = sorted(map(str, pyenv.glob("versions/2.7*/bin/python2.7")))
    for candidate in filter(None, [*named, *found]):
        code = "import sys; print(sys.version_info[:2] == (2, 7))"
        done = subprocess.run([candidate, "-c", code], capture_output=True, check=False)
        if done.stdout.strip() == b"True":
            return candidate
    raise SystemExit(f"autobahn: {HELP}")


def install(python: str, place: Path) -> None:
    """Make the environment; nothing is left of one that fails halfway."""
    print(f"autobahn: installing {SUITE} with {python}", flush=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    quiet = ["-q", "--disable-pip-version-check"]
    with tempfile.TemporaryDirectory() as tools:
        run(python, "-m", "pip", "install", *quiet, VIRTUALENV, "--target", tools)
        env = {**os.environ, "PYTHONPATH": tools, "PYTHONNOUSERSITE": "1"}
        run(python, "-m", "virtualenv", "-q", str(place), env=env)
    try:
        run(str(place / "bin" / "pip"), "install", *quiet, SUITE)
    except SystemExit:
        shutil.rmtree(place)
        raise


def run(*command: str, env: dict[str, str] | None = None) -> None:
    """Run a command; its failure is ours."""
    if subprocess.run(command, env=env, check=False).returncode:
        raise SystemExit(f"autobahn: {' '.join(command)} failed")
