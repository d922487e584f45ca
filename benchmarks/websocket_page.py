"""The page of a run with WebSockets, in Markdown."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import install
import machine
from peers import HERE, Peer
from report import table
from websocket_load import Idle, Run
from websocket_peers import BROADCAST, BROADCAST_TWO, IDLE, WORKS

KIB = 1024
MB = 1e6
IDLE_BYTES = 2 * KIB

METHOD = """\
One server, all its processes and threads on one core; its clients, one thread of C over epoll
(`websocket_load.c`), on the other. An echo goes back and forth, one message at a time for each
connection. A broadcast is sent by one of the clients, to all of them, when the one before has come
to all: what is counted is what the clients get, 1,000 messages for each that is sent. Messages are
binary, nothing is compressed, nothing is logged. The servers take turns, {rounds} rounds over all
of it, each started afresh; half a second warms them up, {seconds:g} s are measured, and the round
with the least CPU per message counts, because noise only ever adds. CPU is the kernel's own account
of all processes and threads of the server; its division into user and system time comes from 10 ms
ticks. The floor is a uvloop protocol that answers so many bytes with a frame made before."""

TWO_WORKERS = """\
None of the peers carries a message from one of its processes to the clients of another, so two
workers are kore's alone (`WEBSOCKET_BROADCAST_GLOBAL`); set it against the row above it, and
against the peers on one worker."""


@dataclass(slots=True)
class Results:
    """What came of a run, by work and server; and why something is missing."""

    runs: dict[str, dict[str, list[Run]]] = field(default_factory=dict)
    idle: dict[str, Idle] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def add(self, work: str, peer: str, run: Run) -> None:
        """Take in one more run."""
        self.runs.setdefault(work, {}).setdefault(peer, []).append(run)

    def best(self, work: str) -> dict[str, Run]:
        """Return the run of each server that cost the least, the cheapest server first."""
        best = {
            name: min(runs, key=lambda run: run.cpu)
            for name, runs in self.runs.get(work, {}).items()
        }
        return dict(sorted(best.items(), key=lambda item: item[1].cpu))


@dataclass(frozen=True, slots=True)
class Page:
    """What the page needs beside the results."""

    day: str
    python: Path
    titles: dict[str, str]
    theirs: list[tuple[Peer, Path]]
    rounds: int
    seconds: float
    busy: tuple[float, float]  # the machine's load when the run began and when it ended

    def title(self, name: str) -> str:
        """Return how a server is called in a table."""
        return f"**{self.titles[name]}**" if name == "kore" else self.titles[name]

    def facts(self) -> list[tuple[str, str]]:
        """Return what matters of the machine and the programs."""
        said = machine.described(install.full_version(self.python))
        facts = [fact for fact in said if fact[0] != "load generator"]
        facts.append(("ours", machine.packages(install.versions(self.python), machine.OWN)))
        busy = "{:.1f} when the run began, {:.1f} when it ended".format(*self.busy)
        facts.append(("load average", busy))
        if self.theirs:
            needed = sorted({name for peer, _ in self.theirs for name in peer.needs})
            installed = install.versions(self.theirs[0][1] / "python")
            facts.append(("peers", machine.packages(installed, needed)))
        return facts


def written(page: Page, results: Results) -> str:
    """Return the whole page."""
    parts = [
        f"# WebSockets, {page.day}, Python {install.series(page.python)}",
        table(("machine", ""), page.facts()),
        METHOD.format(rounds=page.rounds, seconds=page.seconds),
    ]
    for name in WORKS:
        if results.best(name):
            parts += [f"## {WORKS[name].title}", _work(page, results.best(name))]
        if name == BROADCAST_TWO and results.best(name):
            parts.append(TWO_WORKERS)
    if results.idle:
        parts += [f"## {WORKS[IDLE].title}, after a message each", _idle(page, results)]
    verdicts = _verdicts(page, results)
    if verdicts:
        head = ("row", "target", "measured", "met")
        parts += ["## Targets", table(head, verdicts)]
    if results.missing:
        lines = "\n".join(f"- {where}: {why}" for where, why in results.missing.items())
        parts += ["## Not measured", lines.replace(str(HERE.parent), ".")]
    return "\n\n".join(parts) + "\n"


def _work(page: Page, best: dict[str, Run]) -> str:
    head = (
        "server", "messages per CPU second", "CPU µs each", "user", "system", "messages/s",
        "core busy", "RSS MB", "/ kore",
    )  # fmt: skip
    ours = best.get("kore")
    rows = [
        (
            page.title(name),
            f"{1e6 / run.cpu:,.0f}",
            f"{run.cpu:.2f}",
            f"{run.user:.2f}",
            f"{run.system:.2f}",
            f"{run.rate:,.0f}",
            f"{run.busy:.0%}",
            f"{run.memory.rss / MB:.1f}",
            f"{run.cpu / ours.cpu:.2f}" if ours else "-",
        )
        for name, run in best.items()
    ]
    return table(head, rows)


def _idle(page: Page, results: Results) -> str:
    ordered = sorted(results.idle.items(), key=lambda item: item[1].rss)
    rows = [
        (page.title(name), f"{found.rss / KIB:.2f}", f"{found.pss / KIB:.2f}", f"{found.count:,}")
        for name, found in ordered
    ]
    return table(("server", "KiB each (RSS)", "KiB each (PSS)", "connections"), rows)


def _verdicts(page: Page, results: Results) -> Iterable[Sequence[str]]:
    rows = []
    for name, work in WORKS.items():
        best = results.best(name)
        # Two workers of ours are set against one of theirs.
        others = results.best(BROADCAST if name == BROADCAST_TWO else name)
        peers = {one: run.cpu for one, run in others.items() if one not in {"kore", "floor"}}
        if "kore" in best and peers:
            next_best = min(peers, key=lambda one: peers[one])
            ours, theirs = best["kore"].cpu, peers[next_best]
            found = f"{ours:.2f} µs; {page.titles[next_best]} {theirs:.2f} µs"
            bar = "less CPU than every peer" + " on one" * (name == BROADCAST_TWO)
            rows.append((work.title, bar, found, _yes(met=ours < theirs)))
    if "kore" in results.idle:
        each = results.idle["kore"].rss
        bar = f"at most {IDLE_BYTES // KIB} KiB"
        rows.append((WORKS[IDLE].title, bar, f"{each / KIB:.2f} KiB", _yes(met=each <= IDLE_BYTES)))
    return rows


def _yes(*, met: bool) -> str:
    return "yes" if met else "**no**"
