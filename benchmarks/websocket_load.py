"""Drive websocket_load, from its own core, and set what it counts against what the server used."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import measure
from install import Unusable
from peers import HERE
from serving import Server

SOURCE = HERE / "websocket_load.c"
PROGRAM = HERE / ".peers" / "websocket_load"
WARM_UP = 0.5  # second
# Slow servers take a while for 10,000 handshakes.
PATIENCE = 60.0
SETTLE = 0.5


@dataclass(frozen=True, slots=True)
class Work:
    """What the clients do: a mode of websocket_load, how many they are, how large a message is."""

    name: str
    title: str
    mode: str
    clients: int
    size: int
    path: str = "/echo"
    workers: int = 1


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one kind of work. Microseconds of CPU per message that a client got; bytes."""

    cpu: float
    user: float
    system: float
    rate: float
    busy: float
    memory: measure.Memory


@dataclass(frozen=True, slots=True)
class Idle:
    """Bytes that a silent WebSocket costs, and how many there were."""

    count: int
    rss: float
    pss: float


class Clients:
    """The running program."""

    def __init__(self, server: Server, work: Work, core: int):
        words = ["taskset", "-c", str(core), str(PROGRAM), work.mode, str(server.port)]
        self.process = subprocess.Popen(
            [*words, work.path, str(work.clients), str(work.size)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )  # fmt: skip

    def counted(self) -> tuple[int, float]:
        """Return how many messages have come, and when that was."""
        self._say()
        words = self.heard().split()
        return int(words[0]), float(words[1])

    def heard(self) -> str:
        """Return what it says next; Unusable if that is an error."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        if not line or line.startswith("error"):
            raise Unusable(line.removeprefix("error: ") or "the load generator has ended")
        return line

    def stop(self) -> None:
        """End it."""
        self.process.kill()
        self.process.communicate()

    def _say(self) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write("\n")
        except BrokenPipeError:
            raise Unusable(self.heard()) from None


def build() -> None:
    """Compile the load generator, unless it is there and new. Unusable without a compiler."""
    if PROGRAM.exists() and PROGRAM.stat().st_mtime > SOURCE.stat().st_mtime:
        return
    compiler = os.environ.get("CC") or shutil.which("cc")
    if compiler is None:
        raise Unusable("a C compiler is needed to build the load generator: apt install gcc")
    PROGRAM.parent.mkdir(exist_ok=True)
    compile_it(compiler, SOURCE, PROGRAM)


def compile_it(compiler: str, source: Path, program: Path) -> None:
    """Make a program of one file."""
    words = [compiler, "-O2", "-o", str(program), str(source)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unusable(f"{source.name}: {done.stderr.strip()[-200:]}")


@contextmanager
def clients(server: Server, work: Work, core: int) -> Iterator[Clients]:
    """Let the clients work for the length of a block, which begins when all are connected."""
    running = Clients(server, work, core)
    try:
        running.heard()
        yield running
    finally:
        running.stop()


def drive(server: Server, work: Work, seconds: float, core: int) -> Run:
    """Load a server for some seconds; return what it cost per message."""
    with clients(server, work, core) as load:
        time.sleep(WARM_UP)
        before, began = load.counted()
        used_before = measure.cpu(server.pid)
        time.sleep(seconds)
        after, ended = load.counted()
        used = measure.cpu(server.pid).since(used_before)
        memory = measure.memory(measure.tree(server.pid))
    messages = after - before
    if not messages:
        raise Unusable("no message came back")
    micro = 1e6 / messages
    return Run(
        cpu=used.total * micro,
        user=used.user * micro,
        system=used.system * micro,
        rate=messages / (ended - began),
        busy=used.total / (ended - began),
        memory=memory,
    )


def silent(server: Server, work: Work, core: int) -> Idle:
    """Return the memory of WebSockets that have had one message each, and nothing since."""
    # What the first ones make the server allocate once is not a connection's.
    with clients(server, Work("", "", "idle", 100, work.size), core) as load:
        _all_answered(load, 100)
    time.sleep(SETTLE)
    before = measure.memory(measure.tree(server.pid))
    with clients(server, work, core) as load:
        _all_answered(load, work.clients)
        time.sleep(SETTLE)
        after = measure.memory(measure.tree(server.pid))
        count, _ = load.counted()
    return Idle(count, (after.rss - before.rss) / count, (after.pss - before.pss) / count)


def _all_answered(load: Clients, count: int) -> None:
    until = time.perf_counter() + PATIENCE
    while load.counted()[0] < count:
        if time.perf_counter() > until:
            raise Unusable(f"not all of {count} clients were answered")
        time.sleep(0.05)
