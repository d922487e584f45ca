"""Which processes that a dead child has left are killed: by their marks, groups and sessions."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from kore._process.parent.orphans import kill_leftovers, kill_leftovers_of_worker
from kore._process.process_marks import FORKED, MARK, PROGRAM, derive_mark, new_mark
from tests.helpers.procs import PATIENCE

TEMPLATE = new_mark()
# As the command line of what multiprocessing starts.
MULTIPROCESSING = "from multiprocessing.spawn import spawn_main; import time; time.sleep(100)"
SLEEP = "import time; time.sleep(100)"


class Started:
    """Children of this process, each with a mark in its environment."""

    def __init__(self) -> None:
        self.all: list[subprocess.Popen[bytes]] = []

    def start(self, mark: str, code: str = SLEEP, **options: Any) -> subprocess.Popen[bytes]:
        environ = {**os.environ, MARK: mark} if mark else dict(os.environ)
        child = subprocess.Popen([sys.executable, "-S", "-c", code], env=environ, **options)
        self.all.append(child)
        return child

    def known_except(self, *children: subprocess.Popen[bytes]) -> set[int]:
        """Return our children but for those: they count as orphans that were adopted."""
        with open(f"/proc/self/task/{os.getpid()}/children") as file:  # noqa: PTH123
            return set(map(int, file.read().split())) - {child.pid for child in children}


@pytest.fixture
def started() -> Iterator[Started]:
    started = Started()
    yield started
    for child in started.all:
        child.kill()
        child.wait()


def was_killed(child: subprocess.Popen[bytes], *, expected: bool = True) -> bool:
    """Return whether a child was killed; one that was not is alive."""
    try:
        return child.wait(PATIENCE if expected else 0.2) == -signal.SIGKILL
    except subprocess.TimeoutExpired:
        return False


@pytest.mark.parametrize(
    ("mark", "code", "options", "killed"),
    [
        (derive_mark(TEMPLATE, FORKED, 1), SLEEP, {}, True),
        (derive_mark(TEMPLATE, FORKED, 2), SLEEP, {}, False),
        (derive_mark(TEMPLATE, PROGRAM, 1), SLEEP, {}, False),
        (derive_mark(TEMPLATE, PROGRAM, 1), SLEEP, {"process_group": 0}, True),
        (derive_mark(TEMPLATE, PROGRAM, 1), MULTIPROCESSING, {}, True),
        (derive_mark(TEMPLATE, FORKED, 1), SLEEP, {"start_new_session": True}, False),
        (TEMPLATE, SLEEP, {}, False),
        ("", SLEEP, {}, False),
    ],
    ids=["forked", "of-another", "program", "group", "spawn", "session", "template", "unmarked"],
)
def test_of_a_worker_is_killed_what_was_not_to_outlive_it(
    started: Started, mark: str, code: str, options: dict[str, Any], killed: bool
) -> None:
    child = started.start(mark, code, **options)

    kill_leftovers_of_worker(TEMPLATE, 1, started.known_except(child))

    assert was_killed(child, expected=killed) == killed


def test_of_a_spawned_process_all_is_killed(started: Started) -> None:
    ours, other = started.start(TEMPLATE), started.start(new_mark())

    kill_leftovers(TEMPLATE, started.known_except(ours, other))

    assert was_killed(ours)
    assert not was_killed(other, expected=False)


def test_our_own_children_are_left_alone(started: Started) -> None:
    child = started.start(TEMPLATE)

    kill_leftovers(TEMPLATE, started.known_except())

    assert not was_killed(child, expected=False)


def test_descendants_of_an_orphan_are_found(started: Started) -> None:
    code = (
        "import os, subprocess, sys, time\n"
        f"os.environ[{MARK!r}] = {TEMPLATE!r}\n"
        "child = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(100)'])\n"
        "print(child.pid, flush=True)\n"
        "print(child.wait(), flush=True)\n"
    )
    orphan = started.start("", code, stdout=subprocess.PIPE)
    assert orphan.stdout is not None
    orphan.stdout.readline()

    kill_leftovers(TEMPLATE, started.known_except(orphan))

    assert orphan.stdout.readline() == b"-9\n"
    orphan.stdout.close()
