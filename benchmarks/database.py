"""Measure queries of kore and its peers, PostgreSQL on the same machine: `make bench-database`."""

import argparse
import json
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

import install
import load
import machine
from peers import APPS, GRANIAN, HERE, UVICORN, Peer
from rounds import Results
from serving import running
from workloads import Workload, static_directory

sys.path.insert(0, str(HERE.parent))

from tests.helpers import postgres

SCHEMA = APPS / "database.sql"
DRIVERS = {"asyncpg": ("asyncpg",), "psycopg": ("psycopg", "psycopg-binary", "psycopg-pool")}
FRAMEWORKS = {
    "granian (RSGI)": (f"{GRANIAN} --interface rsgi database_rsgi:app", ("granian", "uvloop")),
    "starlette on uvicorn": (
        UVICORN.replace("--lifespan off", "--lifespan on") + " database_starlette:app",
        ("starlette", "uvicorn", "uvloop", "httptools"),
    ),
    "aiohttp": ("{bin}/python database_aiohttp.py", ("aiohttp", "uvloop")),
    "blacksheep on granian": (
        f"{GRANIAN} --interface asgi database_blacksheep:app",
        ("blacksheep", "granian", "uvloop"),
    ),
    "sanic": ("{bin}/python database_sanic.py", ("sanic", "uvloop")),
}
KORE = Peer("kore", "kore", "{bin}/kore -q database_kore.py", ours=True)
PEERS = [
    KORE,
    *(
        Peer(f"{framework}, {driver}", f"{framework}, {driver}", command, (*needs, *modules))
        for framework, (command, needs) in FRAMEWORKS.items()
        for driver, modules in DRIVERS.items()
    ),
]


def worlds(count: int) -> Workload:
    """Return what checks an answer of so many worlds."""

    def right(body: bytes) -> bool:
        found = json.loads(body)
        return len(found if count > 1 else [found]) == count

    return right


WORKLOADS = [
    Workload("single", "1 query", "/db", worlds(1)),
    Workload("sequence", "20 queries, one after the other", "/sequence?queries=20", worlds(20)),
    Workload("queries", "20 queries in one go", "/queries?queries=20", worlds(20)),
    Workload("fortunes", "fortunes", "/fortunes", lambda body: body.count(b"<tr>") == 14),
    Workload("updates", "20 updates", "/updates?queries=20", worlds(20)),
]
METHOD = """\
CPU time of the server's own processes per request in microseconds, user and system; less is better.
PostgreSQL runs on the same machine, reached by its Unix socket, and does not count. One server
process on core {server}, PostgreSQL and wrk on what is left: `wrk -t1 -c64 -d{seconds}s`. Each
server has 16 connections, open before the first request. The servers take turns, {rounds} rounds,
each with a fresh start; the round with the least CPU counts. Every answer is checked before it is
timed. All encode JSON with the standard library, and render fortunes by the same function.

The peers use their drivers as their pages advise, with what is known to make them fast: asyncpg
without the query that resets a connection after each use, psycopg compiled and preparing
statements on their second use. *In one go* is `dbpipeline()`, asyncpg's `fetchmany()`, psycopg's
`pipeline()`, which each updates' reading uses, too; one after the other they wait for each
result."""


def main() -> None:
    """Run, print, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--only", default="", help="part of a server's name")
    parser.add_argument("--workload", default="")
    parser.add_argument("--write", action="store_true", help="into results/")
    options = parser.parse_args()
    workloads = [each for each in WORKLOADS if options.workload in each.name]
    peers = [each for each in PEERS if each.ours or options.only in each.name]
    with postgres.running() as server:
        server.sql(SCHEMA.read_text())
        results = measured(options, server, peers, workloads)
    text = page(options, results, workloads)
    print(text)
    if options.write:
        series = ".".join(platform.python_version_tuple()[:2])
        name = f"{datetime.now(UTC):%Y-%m-%d}-database-python{series}.md"
        (HERE / "results" / name).write_text(text)


def measured(options, server, peers, workloads) -> Results:
    """Measure all, round after round."""
    results = Results()
    static_directory()  # granian is told of it
    ours = Path(sys.executable).absolute()
    ready = {peer.name: ours.parent for peer in peers if peer.ours}
    for peer in (peer for peer in peers if not peer.ours):
        try:
            theirs = install.peers_python(ours)
            install.require(peer, theirs)
            ready[peer.name] = theirs.parent
        except install.Unusable as error:
            results.missing[peer.name] = str(error)
    for turn in range(options.rounds):
        for peer in (peer for peer in peers if peer.name in ready):
            with results.noting(peer, "all") as fit:
                if fit:
                    round_of(options, server, peer, ready[peer.name], workloads, results)
            print(f"round {turn + 1}: {peer.name}", file=sys.stderr, flush=True)
    return results


def round_of(options, server, peer, home, workloads, results) -> None:
    """Measure one server once, with all workloads."""
    driver = peer.name.rpartition(", ")[2]
    environment = {"DRIVER": driver, "PGSOCKETS": str(server.sockets), "DSN": server.dsn}
    with running(peer, home, 0, **environment) as running_server:
        for workload in workloads:
            running_server.check(workload)
            run = load.drive(running_server, workload, options.seconds, 1)
            results.loads.setdefault(workload.name, {}).setdefault(peer.name, []).append(run)


def page(options, results: Results, workloads) -> str:
    """Return the page."""
    lines = [
        f"# Database, {datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}\n",
        "| machine |  |\n|---|---|",
        *(f"| {name} | {value} |" for name, value in machine.described(platform.python_version())),
        "",
        METHOD.format(server=0, seconds=options.seconds, rounds=options.rounds),
    ]
    for workload in workloads:
        lines += [
            f"\n## {workload.title}\n",
            "| server | CPU per request, µs | user | system | requests/s | kore / it |",
            "|---|---|---|---|---|---|",
        ]
        best = results.best(workload.name)
        for name, run in best.items():
            ratio = best["kore"].cpu / run.cpu if "kore" in best else 0
            shown = f"**{name}**" if name == "kore" else name
            lines.append(
                f"| {shown} | {run.cpu:.1f} | {run.user:.1f} | {run.system:.1f} "
                f"| {run.rate:,.0f} | {ratio:.2f} |"
            )
    if results.missing:
        lines += ["\n## Not measured\n", *(f"- {k}: {v}" for k, v in results.missing.items())]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
