"""Measure WebSockets, ours and the peers', in one run: `make bench-websockets`, or `--help`."""

import argparse
import os
import sys
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import idle
import install
import websocket_load
import websocket_page
from install import Unusable
from peers import HERE, Peer
from selection import select_names
from serving import running
from websocket_load import Work
from websocket_page import Results
from websocket_peers import IDLE, PEERS, WORKS

# The clients hold one end of each idle connection, and a little more.
DESCRIPTORS = WORKS[IDLE].clients + 500


@dataclass(frozen=True, slots=True)
class Bench:
    """A run: who, what, how long, where; and what came of it."""

    peers: list[tuple[Peer, Path]]
    works: list[Work]
    rounds: int
    seconds: float
    server_core: int
    load_core: int
    results: Results = field(default_factory=Results)

    def run(self) -> None:
        """Let all servers take their turns."""
        for turn in range(self.rounds):
            for work in self.works:
                for peer, home in self.peers:
                    # Memory is not noisy.
                    if work.name in peer.serves and (turn == 0 or work.name != IDLE):
                        self.once(turn, work, peer, home)

    def once(self, turn: int, work: Work, peer: Peer, home: Path) -> None:
        """Run one kind of work on one server, started for it."""
        where = f"{peer.title}, {work.title}"
        if where in self.results.missing:
            return
        extra = {"BYTES": str(work.size), "WORKERS": str(work.workers)}
        try:
            with running(peer, home, self.server_core, **extra) as server:
                if work.name == IDLE:
                    found = websocket_load.silent(server, work, self.load_core)
                    self.results.idle[peer.name] = found
                    said = f"{found.rss:,.0f} bytes each"
                else:
                    run = websocket_load.drive(server, work, self.seconds, self.load_core)
                    self.results.add(work.name, peer.name, run)
                    said = f"{run.cpu:.2f} µs, {run.rate:,.0f}/s, busy {run.busy:.0%}"
        except (Unusable, OSError) as error:
            self.results.missing[where] = said = str(error)
        print(f"{turn + 1}/{self.rounds} {work.name} {peer.name}: {said}", flush=True)


def main() -> int:
    """Run, print, and write the page."""
    options = _options()
    try:
        websocket_load.build()
    except Unusable as problem:
        print(f"bench: {problem}", file=sys.stderr)
        return 1
    if len(os.sched_getaffinity(0)) < 2:
        print("bench: two cores are needed, one for the server and one for its clients")
        return 1
    idle.raise_descriptor_limit(DESCRIPTORS)
    bench = _bench(options)
    before = os.getloadavg()[0]
    bench.run()
    _publish(options, bench, (before, os.getloadavg()[0]))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure WebSockets in one run.")
    add = parser.add_argument
    add("--rounds", type=int, default=4, help="rounds over all servers (default 4)")
    add("--seconds", type=float, default=1.5, help="seconds of load in a round (default 1.5)")
    add("--only", default="", metavar="NAME,…", help=f"only these of: {', '.join(PEERS)}")
    add("--work", default="", metavar="NAME,…", help=f"only these of: {', '.join(WORKS)}")
    add(
        "--python", type=Path, default=Path(sys.executable), metavar="PATH",
        help="interpreter kore is installed for; the floor and the peers run on the same version",
    )  # fmt: skip
    add("--out", type=Path, metavar="FILE", help="write the page there")
    add("--write", action="store_true", help="write it to results/DATE-websockets.md")
    options = parser.parse_args()
    options.only = select_names(parser, options.only, PEERS)
    options.work = select_names(parser, options.work, WORKS)
    return options


def _bench(options: argparse.Namespace) -> Bench:
    server_core, load_core, *_ = sorted(os.sched_getaffinity(0))
    works = [WORKS[name] for name in options.work]
    # Not resolved: a link to the interpreter is what makes an environment.
    python = options.python.absolute()
    bench = Bench([], works, options.rounds, options.seconds, server_core, load_core)
    for name in options.only:
        try:
            bench.peers.append((PEERS[name], _home(PEERS[name], python)))
        except Unusable as error:
            bench.results.missing[PEERS[name].title] = str(error)
            print(f"{PEERS[name].title}: {error}")
    return bench


def _home(peer: Peer, python: Path) -> Path:
    """Return the directory of the programs a server is started with, all it needs installed."""
    if peer.ours:
        return python.parent
    theirs = install.peers_python(python)
    install.require(peer, theirs)
    return theirs.parent


def _publish(options: argparse.Namespace, bench: Bench, busy: tuple[float, float]) -> None:
    day = f"{datetime.now().astimezone():%Y-%m-%d}"
    python = options.python.absolute()
    text = websocket_page.written(
        websocket_page.Page(
            day=day,
            python=python,
            titles={name: peer.title for name, peer in PEERS.items()},
            theirs=[(peer, home) for peer, home in bench.peers if not peer.ours],
            rounds=bench.rounds,
            seconds=bench.seconds,
            busy=busy,
        ),
        bench.results,
    )
    print("\n" + text)
    out = options.out or (HERE / "results" / f"{day}-websockets.md" if options.write else None)
    if out is not None:
        out.write_text(text)
        print(f"written: {out}")


if __name__ == "__main__":
    sys.exit(main())
