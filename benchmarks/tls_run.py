"""Measure TLS, ours and the peers', in one run: `make bench-tls`, or `--help`."""

import argparse
import os
import sys
import tempfile
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import idle
import install
import load
import tls_load
import tls_page
from install import Unusable
from peers import HERE, Peer
from selection import select_names
from serving import find_free_port, running
from tls_peers import BESIDE, FILE, HANDSHAKES, IDLE, KINDS, WORKS, Certificate, issue, peers
from tls_targets import Results
from workloads import WORKLOADS, static_directory

DESCRIPTORS = tls_load.IDLE_CONNECTIONS + 500
# The key of the certificate, where a kind of work does not name it.
DEFAULT_KIND = "P-256"
BESIDE_KIND = "RSA-2048"


@dataclass(slots=True)
class Bench:
    """A run: who, what, how long, where; and what came of it."""

    homes: dict[str, Path]  # the directory of the programs of each server
    works: list[str]
    rounds: int
    seconds: int
    certificates: dict[str, Certificate]
    results: Results = field(default_factory=Results)

    def run(self) -> None:
        """Let all servers take their turns."""
        for turn in range(self.rounds):
            for work in self.works:
                # Memory is not noisy.
                if turn == 0 or work != IDLE:
                    self.run_work(turn, work)

    def run_work(self, turn: int, work: str) -> None:
        """Run one kind of work on each server that knows it."""
        kind = DEFAULT_KIND
        if work in HANDSHAKES:
            kind = HANDSHAKES[work].kind
        elif work == BESIDE:
            kind = BESIDE_KIND
        for peer in peers(self.certificates[kind]).values():
            if peer.name not in self.homes or work not in peer.serves:
                continue
            where = f"{peer.title}, {work}"
            if where in self.results.missing:
                continue
            try:
                said = self.run_once(work, peer, self.certificates[kind])
            except (Unusable, OSError, load.LoadError) as error:
                self.results.missing[where] = said = str(error)
            print(f"{turn + 1}/{self.rounds} {work}, {peer.name}: {said}", flush=True)

    def run_once(self, work: str, peer: Peer, files: Certificate) -> str:
        """Run one kind of work on one server, started for it; return a line about it."""
        server_core, load_core = tls_load.cores()
        extra = {"CERTIFICATE": str(files.certificate), "KEY": str(files.key)}
        plain_port = find_free_port()
        if work == BESIDE:
            extra["PLAIN_PORT"] = str(plain_port)
        with running(peer, self.homes[peer.name], server_core, **extra) as server:
            if work == IDLE:
                each = self.results.idle[peer.name] = tls_load.measure_idle(server)
                return f"{each:,.0f} bytes each"
            if work == BESIDE:
                found = tls_load.measure_latency(server, plain_port, self.seconds, load_core)
                self.results.latencies.setdefault(peer.name, []).append(found)
                return f"p99 {found.alone:.2f} ms alone, {found.beside:.2f} ms beside"
            if work in HANDSHAKES:
                run = tls_load.shake_hands(server, HANDSHAKES[work], self.seconds, load_core)
            else:
                workload = tls_load.FILE_WORKLOAD if work == FILE else WORKLOADS["plaintext"]
                server.check(workload)
                run = tls_load.drive(server, workload, self.seconds, load_core)
            self.results.add(work, peer.name, run)
            return f"{run.cpu:.2f} µs, {run.rate:,.0f}/s, busy {run.busy:.0%}"


def main() -> int:
    """Run, print, and write the page."""
    if not load.present():
        print(f"bench: {load.MISSING}", file=sys.stderr)
        return 1
    if len(os.sched_getaffinity(0)) < 2:
        print("bench: two cores are needed, one for the server and one for its clients")
        return 1
    with tempfile.TemporaryDirectory(prefix="bench-tls-") as place:
        certificates = {kind: issue(kind, Path(place)) for kind in KINDS}
        _measure(_options(peers(certificates[DEFAULT_KIND])), certificates)
    return 0


def _measure(options: argparse.Namespace, certificates: dict[str, Certificate]) -> None:
    idle.raise_descriptor_limit(DESCRIPTORS)
    static_directory()
    # Not resolved: a link to the interpreter is what makes an environment.
    python = options.python.absolute()
    bench = Bench({}, list(options.work), options.rounds, options.seconds, certificates)
    known = peers(certificates[DEFAULT_KIND])
    for name in options.only:
        try:
            bench.homes[name] = _home(known[name], python)
        except Unusable as error:
            bench.results.missing[known[name].title] = str(error)
            print(f"{known[name].title}: {error}")
    before = os.getloadavg()[0]
    bench.run()
    _publish(options, bench, known, (before, os.getloadavg()[0]))


def _options(known: Collection[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure TLS in one run.")
    add = parser.add_argument
    add("--rounds", type=int, default=4, help="rounds over all servers (default 4)")
    add("--seconds", type=int, default=2, help="seconds of load in a round (default 2)")
    add("--only", default="", metavar="NAME,…", help=f"only these of: {', '.join(known)}")
    add("--work", default="", metavar="NAME;…", help=f"only these of: {'; '.join(WORKS)}")
    add(
        "--python", type=Path, default=Path(sys.executable), metavar="PATH",
        help="interpreter kore is installed for; the peers run on the same version",
    )  # fmt: skip
    add("--out", type=Path, metavar="FILE", help="write the page there")
    add("--write", action="store_true", help="write it to results/DATE-tls.md")
    options = parser.parse_args()
    options.only = select_names(parser, options.only, known)
    options.work = select_names(parser, options.work, WORKS, ";")
    return options


def _home(peer: Peer, python: Path) -> Path:
    """Return the directory of the programs a server is started with, all it needs installed."""
    if peer.ours:
        return python.parent
    theirs = install.peers_python(python)
    install.require(peer, theirs)
    return theirs.parent


def _publish(
    options: argparse.Namespace, bench: Bench, known: dict[str, Peer], busy: tuple[float, float]
) -> None:
    day = f"{datetime.now().astimezone():%Y-%m-%d}"
    page = tls_page.Page(
        day=day,
        python=options.python.absolute(),
        titles={name: peer.title for name, peer in known.items()},
        theirs=[(known[name], home) for name, home in bench.homes.items() if not known[name].ours],
        rounds=bench.rounds,
        seconds=bench.seconds,
        busy=busy,
    )
    text = tls_page.written(page, bench.results)
    print("\n" + text)
    out = options.out or (HERE / "results" / f"{day}-tls.md" if options.write else None)
    if out is not None:
        out.write_text(text)
        print(f"written: {out}")


if __name__ == "__main__":
    sys.exit(main())
