"""The parent with templates and workers of two lines, for what real ones hardly ever do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import procs

RUN = """
import pathlib, sys
from dataclasses import replace
from kore._process.parent.launcher import LaunchOptions
from kore._process.parent.parent import Parent
from kore._process.roles import TEMPLATE, WORKER
template, worker = sys.argv[1:]
options = LaunchOptions(
    "app.py", template=replace(TEMPLATE, main=template), worker=replace(WORKER, main=worker)
)

class Told(Parent):
    # Lets the workers know when the start is over: before, each end of one would be a failed start.
    def activate(self, generation):
        super().activate(generation)
        pathlib.Path("started").touch()

sys.exit(Told(options).run())
"""
APP = """
import kore
kore.server("http", ip="127.0.0.1", port="0", tls=False)
kore.domain("*", attach="http")
kore.config.workers = 2
"""
COMMON = """
import os, pathlib, random, socket, sys, time
from kore._process.template import template
from kore._process.ipc.channel import Channel
from kore._process.ipc.messages import *

real_fork = template.Template._fork_twice

def once(name):
    # True for the first process that asks, whichever it is.
    try:
        pathlib.Path(name).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True

def channel():
    return Channel(socket.socket(fileno=int(sys.argv[1])), takes_descriptors=True)

def configured(channel):
    import kore
    from kore import _app
    channel.send(ConfigLoaded(_app.load("app.py").plain()))

def worker(params):
    # Serves nobody; the third one to start ends the server.
    names = ("first", "second")
    leaves = not any(once(name) for name in names)
    params.channel.send(Ready())
    while not pathlib.Path("started").exists():
        time.sleep(0.01)
    if leaves:
        params.channel.send(Shutdown())
    elif params.number == 1:
        os._exit(1)
    while not params.channel.eof:
        if params.channel.receive():
            return 0
        time.sleep(0.01)
    return 1
"""
REAL = "kore._process.template.template:main"
FAKE = "fakes:main"


class Run:
    """A parent that ran to its end."""

    def __init__(self, directory: Path, source: str, template: str, worker: str) -> None:
        for name, text in (("app", APP), ("fakes", COMMON + source), ("run", RUN)):
            (directory / f"{name}.py").write_text(text)
        path = os.pathsep.join([str(directory), *filter(None, sys.path)])
        with subprocess.Popen(
            [sys.executable, "run.py", template, worker],
            cwd=directory,
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            self.said, _ = process.communicate(timeout=50)
        self.status = process.returncode
        procs.until(lambda: not procs.session(process.pid), what=f"all gone\n{self.said}")


def run(
    directory: Path, source: str = "", template: str = REAL, worker: str = "fakes:worker"
) -> Run:
    return Run(directory, source, template, worker)


def test_a_dead_worker_is_replaced_until_one_asks_for_the_end(tmp_path: Path) -> None:
    ended = run(tmp_path)

    assert ended.status == 0, ended.said
    assert ended.said.count("restarting worker 1") == 1


def test_a_worker_that_ends_before_it_is_ready_is_a_failed_start(tmp_path: Path) -> None:
    ended = run(tmp_path, "def short(params):\n    return 0\n", worker="fakes:short")

    assert ended.status == 1
    assert "failed to start: exited with status 0" in ended.said


@pytest.mark.parametrize(
    ("sends", "reason"),
    [
        ("ConfigLoaded({})", "invalid configuration message"),
        (
            "ConfigLoaded({'name': 1, 'settings': [], 'servers': {}})",
            "invalid configuration message",
        ),
        ("FatalError('no licence')", "no licence"),
        ("Ready(), FatalError('enough')", "a template may not send Ready"),
        ("Forked(1, 1), FatalError('enough')", "worker 1 was not ordered"),
        ("NotForked(7, 'x'), FatalError('enough')", "worker 7 was not ordered"),
    ],
)
def test_a_template_that_talks_nonsense_is_a_failed_start(
    tmp_path: Path, sends: str, reason: str
) -> None:
    ended = run(
        tmp_path,
        "def main():\n    talk = channel()\n"
        f"    for message in ({sends},):\n        talk.send(message)\n    time.sleep(60)\n",
        FAKE,
    )

    assert ended.status == 1
    assert reason in ended.said


def test_a_template_cannot_have_others_killed(tmp_path: Path) -> None:
    source = """
def main():
    talk = channel()
    configured(talk)
    while not talk.receive():
        time.sleep(0.01)
    for pid in (1, os.getpid(), os.getppid()):
        talk.send(Forked(1, pid))
    time.sleep(0.2)
    os._exit(1)
"""
    ended = run(tmp_path, source, FAKE)

    assert ended.status == 1
    assert "broke the protocol: pid 1 is not a child of the parent" in ended.said


@pytest.mark.parametrize("seed", range(3))
def test_a_template_may_send_any_bytes(tmp_path: Path, seed: int) -> None:
    source = f"""
def main():
    rng = random.Random({seed})
    talk = channel()
    configured(talk)
    talk.socket.setblocking(True)
    for _ in range(1000):
        data = bytearray(rng.randbytes(rng.choice([1, 16, 60, 5000, 140000])))
        if len(data) > 15:
            HEADER.pack_into(data, 0, 1, rng.choice([1, 2, 3, 4, 5, 8]), 0, 0, len(data) - 16)
        talk.socket.send(data)
"""
    ended = run(tmp_path, source, FAKE)

    assert ended.status == 1
    assert "template" in ended.said
    assert "goes on breaking the protocol, killed" in ended.said


def test_a_worker_that_cannot_be_forked_is_a_failed_start(tmp_path: Path) -> None:
    source = """
def _fork_twice(self, order):
    raise OSError(11, "Resource temporarily unavailable")

def main():
    template.Template._fork_twice = _fork_twice
    template.main()
"""
    ended = run(tmp_path, source, FAKE)

    assert ended.status == 1
    assert "failed to start: cannot be forked: Resource temporarily unavailable" in ended.said


def test_a_worker_that_cannot_be_forked_again_is_tried_again(tmp_path: Path) -> None:
    source = """
forks = []

def _fork_twice(self, order):
    forks.append(order)
    if len(forks) == 3:
        raise OSError(11, "Resource temporarily unavailable")
    return real_fork(self, order)

def main():
    template.Template._fork_twice = _fork_twice
    template.main()
"""
    ended = run(tmp_path, source, FAKE)

    assert ended.status == 0, ended.said
    assert "worker 1 cannot be forked: Resource temporarily unavailable" in ended.said
    assert ended.said.count("restarting worker 1") == 2


def test_the_end_of_a_worker_may_be_known_before_its_pid(tmp_path: Path) -> None:
    source = """
forks = []

def _fork_twice(self, order):
    forks.append(order)
    pid = real_fork(self, order)
    if len(forks) == 3:
        time.sleep(0.3)
    return pid

def main():
    template.Template._fork_twice = _fork_twice
    template.main()

def short(params):
    # Not at its first start, which would be a failed one of the whole server.
    if params.number == 1 and not once("begun") and once("short"):
        return 5
    return worker(params)
"""
    ended = run(tmp_path, source, FAKE, "fakes:short")

    assert ended.status == 0, ended.said
    assert "exited with status 5" in ended.said


def test_template_may_die_before_it_reports_a_fork(tmp_path: Path) -> None:
    """Nobody knows the worker then; it ends by itself, and another one takes the place."""
    source = """
forks = []

def _fork_twice(self, order):
    forks.append(order)
    dies = len(forks) == 3 and once("dead")
    pid = real_fork(self, order)
    if dies:
        time.sleep(0.1)
        os._exit(9)
    return pid

def main():
    template.Template._fork_twice = _fork_twice
    template.main()

def third(params):
    # The unknown one must not be who ends the server.
    while pathlib.Path("dead").exists() and once("unknown"):
        while not params.channel.eof:
            params.channel.receive()
            time.sleep(0.01)
        pathlib.Path("gone").touch()
        return 1
    return worker(params)
"""
    ended = run(tmp_path, source, FAKE, "fakes:third")

    assert ended.status == 0, ended.said
    assert "exited with status 9; the workers go on" in ended.said
