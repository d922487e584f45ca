"""kore.sendobj() from worker to worker, and multiprocessing beside it. `make bench-objects`."""

import argparse
import multiprocessing
import os
import platform
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import machine
import measure
from serving import _free_port as free_port

HERE = Path(__file__).parent
PATIENCE = 30.0
SIZES = {"100 B": 100, "100 KiB": 100 * 1024}
SEND = {"100 B": 20_000, "100 KiB": 1_000}
ECHO = {"100 B": 1_000, "100 KiB": 300}

METHOD = """\
Two processes that send each other a tuple of a text, a small dict and bytes. `kore.sendobj`: from
worker 1 to worker 2 through the parent, encoded as data, sent as fast as the receiver's window
allows, until all of it is handled. `multiprocessing.Queue`, `multiprocessing.Pipe`: pickled, from
process to process without a third one, blocking; none of the two tells the sender what became of
it. {rounds} rounds in turns; the best counts. CPU is that of all processes
taking part."""


@dataclass(frozen=True, slots=True)
class Result:
    """Seconds, and CPU seconds, for one operation."""

    seconds: float
    cpu: float


Way = Callable[[str, int, int], Result]


# kore


@contextmanager
def kore() -> Iterator[Way]:
    """Start a server, and yield what measures it."""
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "kore", str(HERE / "apps" / "objects_app.py")],
        env={**os.environ, "PORT": str(port)},
        stdout=subprocess.DEVNULL,
    )

    def ask(path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=600) as answer:
            body: bytes = answer.read()
            return body

    def way(what: str, count: int, size: int) -> Result:
        before = measure.cpu(server.pid)
        seconds = float(ask(f"/{what}/{count}/{size}"))
        return Result(seconds / count, measure.cpu(server.pid).since(before).total / count)

    try:
        wait(lambda: ask("/"))
        yield way
    finally:
        server.terminate()
        server.wait()


def wait(tried: Callable[[], object]) -> None:
    """Wait for a server's first answer."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            tried()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return


# multiprocessing


def value(size: int) -> tuple[str, dict[str, object], bytes]:
    """Return what is sent."""
    return ("data", {"id": 4711, "name": "an object"}, bytes(size - 36))


def answer(take: Callable[[], Any], give: Callable[[Any], object]) -> None:
    """Be the other process: send everything back, or only the end."""
    while True:
        what, obj = take()
        if what in {"echo", "end"}:
            give(obj)
        if what == "over":
            return


@contextmanager
def pipe() -> Iterator[Way]:
    """Yield what measures a pipe."""
    ours, theirs = multiprocessing.Pipe()
    with partner(theirs.recv, theirs.send) as pid:
        yield lambda what, count, size: exchanged(ours.send, ours.recv, pid, (what, count, size))
        ours.send(("over", None))


@contextmanager
def queue() -> Iterator[Way]:
    """Yield what measures a pair of queues."""
    there: Any = multiprocessing.Queue()
    back: Any = multiprocessing.Queue()
    with partner(there.get, back.put) as pid:
        yield lambda what, count, size: exchanged(there.put, back.get, pid, (what, count, size))
        there.put(("over", None))


@contextmanager
def partner(take: Callable[[], Any], give: Callable[[Any], object]) -> Iterator[int]:
    """Run the other process."""
    process = multiprocessing.get_context("fork").Process(target=answer, args=(take, give))
    process.start()
    yield process.pid or 0
    process.join()


def exchanged(
    give: Callable[[Any], object], take: Callable[[], Any], pid: int, job: tuple[str, int, int]
) -> Result:
    """Send as often as the job says; wait for each answer, or for the last."""
    what, count, size = job
    obj, before = value(size), used(pid)
    began = time.perf_counter()
    for number in range(count):
        give((what if what == "echo" or number < count - 1 else "end", obj))
        if what == "echo":
            take()
    if what != "echo":
        take()
    seconds = time.perf_counter() - began
    return Result(seconds / count, (used(pid) - before) / count)


def used(pid: int) -> float:
    """Return the CPU seconds of this process and the other."""
    return time.process_time() + measure.cpu(pid).total


# The page


def measured(rounds: int) -> dict[tuple[str, str, str], Result]:
    """Return the best of some rounds, by operation, size and way."""
    best: dict[tuple[str, str, str], Result] = {}
    ways = {"kore.sendobj": kore, "multiprocessing.Pipe": pipe, "multiprocessing.Queue": queue}
    for _ in range(rounds):
        for name, start in ways.items():
            with start() as way:
                for what, counts in (("send", SEND), ("echo", ECHO)):
                    for title, size in SIZES.items():
                        found = way(what, counts[title], size)
                        key = (what, title, name)
                        best[key] = min(found, best.get(key, found), key=lambda it: it.seconds)
    return best


def page(rounds: int) -> str:
    """Measure, and return the page."""
    rows = [
        row for row in machine.described(platform.python_version()) if row[0] != "load generator"
    ]
    lines = [
        f"# Objects between workers, {datetime.now(UTC):%Y-%m-%d}\n",
        "| machine |  |\n|---|---|",
        *(f"| {name} | {value} |" for name, value in rows),
        "",
        METHOD.format(rounds=rounds),
        "\n| operation | size | way | per second | µs each | CPU µs each | MB/s |",
        "|---|---|---|---|---|---|---|",
    ]
    for (what, title, name), found in sorted(measured(rounds).items(), reverse=True):
        rate = 1 / found.seconds
        operation = "one way" if what == "send" else "there and back"
        volume = f"{SIZES[title] * rate / 1e6:.0f}"
        lines.append(
            f"| {operation} | {title} | {name} | {rate:,.0f} | {found.seconds * 1e6:.1f} | "
            f"{found.cpu * 1e6:.1f} | {volume} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the page, or write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="into results/")
    options = parser.parse_args()
    text = page(options.rounds)
    print(text)
    if options.write:
        (HERE / "results" / f"{datetime.now(UTC):%Y-%m-%d}-objects.md").write_text(text)


if __name__ == "__main__":
    main()
