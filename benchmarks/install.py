"""The environments of a run: ours as it is, the peers' made on demand."""

import json
import subprocess
from pathlib import Path

from peers import HERE, Peer

REQUIREMENTS = HERE / "requirements.txt"
VERSIONS = (
    "import importlib.metadata as m, json;"
    "print(json.dumps({d.metadata['Name'].lower(): d.version for d in m.distributions()}))"
)


class Unusable(Exception):  # noqa: N818 - says that a server is, not that the harness failed
    """A server cannot run here; the text says why and is printed in the page."""


def series(python: Path) -> str:
    """Return `3.11` of an interpreter."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    return _output(python, "-c", code).strip()


def full_version(python: Path) -> str:
    """Return `3.11.7` of an interpreter."""
    return _output(python, "-c", "import platform; print(platform.python_version())").strip()


def versions(python: Path) -> dict[str, str]:
    """Return what is installed beside *python*: name and version."""
    return dict(json.loads(_output(python, "-c", VERSIONS)))


def peers_python(python: Path) -> Path:
    """Return the interpreter of the peers, of the same version as ours; make it if need be."""
    home = HERE / ".peers" / series(python)
    if not (home / "bin" / "python").exists():
        print(f"making {home.relative_to(HERE.parent)} for the peers", flush=True)
        subprocess.run([python, "-m", "venv", home], check=True)
    return home / "bin" / "python"


def require(peer: Peer, python: Path) -> None:
    """Install what *peer* needs, in the pinned versions, or say why that cannot be."""
    present = versions(python)
    pinned = _pinned()
    wanted = [f"{name}=={pinned[name]}" for name in peer.needs]
    if all(present.get(name) == pinned[name] for name in peer.needs):
        return
    print(f"installing {' '.join(wanted)}", flush=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*pip, *wanted], capture_output=True, text=True, check=False)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise Unusable(f"pip cannot install it: {last[0]}")


def _pinned() -> dict[str, str]:
    lines = REQUIREMENTS.read_text().splitlines()
    return dict(line.split("==") for line in lines if "==" in line)


def _output(python: Path, *words: str) -> str:
    return subprocess.run([python, *words], capture_output=True, text=True, check=True).stdout
