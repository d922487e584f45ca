"""Measure kore and its peers in one run: `make bench`, or `run.py --help`."""

import argparse
import os
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import chart
import idle
import install
import load
import machine
import report
from peers import HERE, PEERS, Peer, named_by
from rounds import IDLE_CONNECTIONS, Plan, Results, measured
from selection import select_names
from workloads import OTHERS, WORKLOADS, static_directory

RESULTS = HERE / "results"
# The run holds one end of each idle connection, and a little more.
DESCRIPTORS = IDLE_CONNECTIONS + 500


def main() -> int:
    """Run, print, and write the page."""
    options = _options()
    problem = _unready()
    if problem:
        print(f"bench: {problem}", file=sys.stderr)
        return 1
    idle.raise_descriptor_limit(DESCRIPTORS)
    missing: dict[str, str] = {}
    plan = _plan(options, missing)
    results = measured(plan)
    results.missing = missing | results.missing
    _publish(options, plan, results)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure kore and its peers in one run.")
    add = parser.add_argument
    add("--rounds", type=int, help="rounds over all servers (default 8)")
    add("--seconds", type=int, help="seconds of load in a round (default 3)")
    add("--only", default="", metavar="NAME,…", help=f"only these of: {', '.join(PEERS)}")
    every = ", ".join((*WORKLOADS, *OTHERS))
    add("--workload", default="", metavar="NAME,…", help=f"only these of: {every}")
    add(
        "--peer", action="append", default=[], type=_peer, metavar="NAME=COMMAND",
        help="measure this too; {port} in the command, or PORT in its environment, is its port",
    )  # fmt: skip
    add(
        "--python", type=Path, default=Path(sys.executable), metavar="PATH",
        help="interpreter kore is installed for; the floor and the peers run on the same version",
    )  # fmt: skip
    add("--quick", action="store_true", help="2 rounds of 1 second, and no page")
    add("--out", type=Path, metavar="FILE", help="the page (default benchmarks/results/DATE.md)")
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.quick else 8)
    options.seconds = options.seconds or (1 if options.quick else 3)
    options.only = select_names(parser, options.only, PEERS)
    options.workload = select_names(parser, options.workload, {**WORKLOADS, **OTHERS})
    return options


def _peer(option: str) -> Peer:
    try:
        return named_by(option)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _unready() -> str | None:
    if not load.present():
        return load.MISSING
    if len(os.sched_getaffinity(0)) < 2:
        return "two cores are needed, one for the server and one for wrk"
    return None


def _plan(options: argparse.Namespace, missing: dict[str, str]) -> Plan:
    static_directory()
    server_core, load_core, *_ = sorted(os.sched_getaffinity(0))
    # Not resolved: a link to the interpreter is what makes an environment.
    ours = options.python.absolute()
    chosen = [PEERS[name] for name in PEERS if name in options.only]
    ready: list[tuple[Peer, Path]] = []
    for peer in (*chosen, *options.peer):
        try:
            ready.append((peer, _home(peer, ours)))
        except install.Unusable as error:
            missing[peer.title] = str(error)
            print(f"{peer.title}: {error}")
    return Plan(ready, options.workload, options.rounds, options.seconds, server_core, load_core)


def _home(peer: Peer, ours: Path) -> Path:
    """Return the directory of the programs a server is started with, all it needs installed."""
    if peer.name not in PEERS:
        return ours.parent
    if not peer.ours:
        theirs = install.peers_python(ours)
        install.require(peer, theirs)
        return theirs.parent
    if peer.name == "kore" and not (ours.parent / "kore").exists():
        raise install.Unusable(f"not installed for {ours.name}: make .venv/.built, or --python")
    return ours.parent


def _publish(options: argparse.Namespace, plan: Plan, results: Results) -> None:
    page = _page(options, plan)
    print("\n" + "\n\n".join(report.tables(page, results)))
    out = options.out or (None if options.quick else _dated(page, options.python))
    if out is None:
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    picture = _chart(page, results)
    if picture:
        drawing = out.with_suffix(".svg")
        drawing.write_text(picture)
        page = replace(page, chart=drawing.name)
    out.write_text(report.written(page, plan, results))
    print(f"\nwritten: {out}")


def _page(options: argparse.Namespace, plan: Plan) -> report.Page:
    python = options.python.absolute()
    facts = machine.described(install.full_version(python))
    facts.append(("ours", machine.packages(install.versions(python), machine.OWN)))
    theirs = [home for peer, home in plan.peers if not peer.ours and peer.name in PEERS]
    if theirs:
        needed = sorted({name for peer, _ in plan.peers for name in peer.needs})
        facts.append(("peers", machine.packages(install.versions(theirs[0] / "python"), needed)))
    return report.Page(
        date=f"{datetime.now().astimezone():%Y-%m-%d}",
        series=install.series(python),
        machine=facts,
        titles={peer.name: peer.title for peer, _ in plan.peers},
    )


def _dated(page: report.Page, python: Path) -> Path:
    other = "" if python.absolute() == Path(sys.executable) else f"-python{page.series}"
    return RESULTS / f"{page.date}{other}.md"


def _chart(page: report.Page, results: Results) -> str | None:
    best = results.best("plaintext")
    if not best:
        return None
    bars = [
        chart.Bar(page.titles.get(name, name), run.user, run.system, name == "kore")
        for name, run in best.items()
    ]
    title = "CPU per request, plaintext, 64 keep-alive connections"
    return chart.drawn(title, f"µs, less is better; {page.date}, Python {page.series}", bars)


if __name__ == "__main__":
    sys.exit(main())
