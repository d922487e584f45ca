import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kore._process.privsep import STACK_DUMP_SIGNAL

# Starts a process with descriptor 9 of a pipe, and prints what that writes there.
SCRIPT = """
import os, sys
from kore._process.spawn import spawn
read, write = os.pipe()
pid = spawn("spawned:main", ["an argument"], descriptors={"channel": write})
os.close(write)
print(open(read).read())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
SPAWNED = """
import json, os, signal, sys
def main():
    keep = max(int(n) for n in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{n}"))
    os.write(keep, json.dumps({
        "arguments": sys.argv[1:], "keep": keep, "dev": sys.flags.dev_mode,
        "optimize": sys.flags.optimize, "x": sys._xoptions, "warnings": sys.warnoptions,
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())), "path": sys.path,
    }).encode())
"""


def spawned(directory: Path, *flags: str) -> dict[str, object]:
    (directory / "spawned.py").write_text(SPAWNED)
    run = subprocess.run(
        [sys.executable, *flags, "-c", SCRIPT],
        env={
            **os.environ,
            "PYTHONPATH": f"{directory}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
        },
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert run.returncode == 0, run.stderr
    found: dict[str, object] = json.loads(run.stdout)
    return found


def test_process_gets_its_descriptors_and_arguments(tmp_path: Path) -> None:
    found = spawned(tmp_path)

    assert found["arguments"] == [str(found["keep"]), "an argument"]


def test_signals_of_terminals_and_for_stack_dumps_are_blocked_at_first(tmp_path: Path) -> None:
    blocked = set(spawned(tmp_path)["blocked"])  # type: ignore[call-overload]

    assert blocked >= {2, 3, 1, STACK_DUMP_SIGNAL}


@pytest.mark.parametrize(
    ("flags", "name", "expected"),
    [
        (["-X", "dev"], "dev", True),
        (["-O"], "optimize", 1),
        (["-OO"], "optimize", 2),
        (["-X", "utf8=1"], "x", {"utf8": "1"}),
        (["-W", "error::ResourceWarning"], "warnings", ["error::ResourceWarning"]),
    ],
)
def test_interpreter_options_are_passed_on(
    tmp_path: Path, flags: list[str], name: str, expected: object
) -> None:
    assert spawned(tmp_path, *flags)[name] == expected


def test_the_working_directory_is_not_searched_for_modules(tmp_path: Path) -> None:
    assert "" not in spawned(tmp_path)["path"]  # type: ignore[operator]
