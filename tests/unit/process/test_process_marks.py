"""Marks of processes: what a worker forks and what it starts have different ones."""

import os
import subprocess
import sys

from kore._process.process_marks import FORKED, MARK, PROGRAM, derive_mark, new_mark

# Marks itself as worker 7; prints its marks as the kernel and as programs see them.
SCRIPT = """
import os
from kore._process.process_marks import MARK, mark_worker
mark_worker(7)
initial = open("/proc/self/environ", "rb").read().split(b"\\0")
print(*(entry.decode().partition("=")[2] for entry in initial if entry.startswith(MARK.encode())))
print(os.environ.get(MARK, ""))
"""


def run(mark: str | None) -> list[str]:
    """Return what a process with this mark prints."""
    environ = {name: value for name, value in os.environ.items() if name != MARK}
    if mark is not None:
        environ[MARK] = mark
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environ, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_marks_of_spawned_processes_differ() -> None:
    assert new_mark() != new_mark()
    assert new_mark().startswith(f"{os.getpid()}-")


def test_mark_of_a_worker_is_as_long_as_that_of_its_template() -> None:
    template = new_mark()

    assert len(derive_mark(template, PROGRAM, 1)) == len(template)
    assert derive_mark(template, PROGRAM, 1) != derive_mark(template, PROGRAM, 2)


def test_worker_has_one_mark_for_forks_and_one_for_programs() -> None:
    template = new_mark()

    assert run(template) == [derive_mark(template, FORKED, 7), derive_mark(template, PROGRAM, 7)]


def test_process_without_a_mark_gets_none() -> None:
    assert run(None) == ["", ""]
