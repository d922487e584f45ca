"""The start of a server and its memory, ours beside others. `make bench-start`.

Each server is started, asked until it answers, left alone for a moment, looked at and stopped; all
of them in turns, so that a busy moment of the machine meets each of them.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import install
import measure
from peers import PEERS, Peer, named_by
from report import table
from serving import Server

MB = 1e6
# After its first response a server may still be starting something.
SETTLE = 0.3

METHOD = """\
{rounds} rounds in turns: best and median. Start: from the start of the program to its first
response. CPU: of all its processes until then. PSS: of all its processes, one worker, after the
first response; what processes share is divided among them, also with others of the machine. All
have their bytecode written before, as pip leaves it."""


@dataclass(slots=True)
class Starts:
    """What was measured of one server, a value for each round."""

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    pss: list[float] = field(default_factory=list)
    # Of each process in the last round, the parent first.
    processes: list[float] = field(default_factory=list)


def main() -> int:
    """Measure, and print the table."""
    options = _parse_options()
    servers = list(_choose_servers(options))
    found = {peer.name: Starts() for peer, _ in servers}
    for number in range(options.rounds + 1):
        for peer, home in servers:
            starts = Starts() if number == 0 else found[peer.name]  # the first writes bytecode
            _measure_start(peer, home, starts)
    print(METHOD.format(rounds=options.rounds) + "\n")
    head = ("server", "start s", "median", "CPU s", "median", "PSS MB", "median", "by process")
    rows = [(peer.title, *_format(found[peer.name])) for peer, _ in servers]
    print(table(head, rows))
    return 0


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--rounds", type=int, default=10, help="starts of each server (default 10)")
    add(
        "--python",
        type=Path,
        default=Path(sys.executable),
        help="interpreter kore is installed for",
    )
    add(
        "--base", type=Path, metavar="PATH",
        help="the interpreter of another environment with kore, which is measured as `base`",
    )  # fmt: skip
    add(
        "--peer", action="append", default=[], type=named_by, metavar="NAME=COMMAND",
        help="measure this too; {port} in the command, or PORT in its environment, is its port",
    )  # fmt: skip
    return parser.parse_args()


def _choose_servers(options: argparse.Namespace) -> Iterator[tuple[Peer, Path]]:
    # Not resolved: a link to the interpreter is what makes an environment.
    ours = options.python.absolute()
    kore = replace(PEERS["kore"], command="{bin}/kore -q hello_app.py")
    yield kore, ours.parent
    if options.base:
        yield replace(kore, name="base", title="base"), options.base.absolute().parent
    yield PEERS["floor"], ours.parent
    try:
        theirs = install.peers_python(ours)
        install.require(PEERS["uvicorn"], theirs)
        yield PEERS["uvicorn"], theirs.parent
    except install.Unusable as error:
        print(f"uvicorn: {error}", file=sys.stderr)
    for peer in options.peer:
        yield peer, ours.parent


def _measure_start(peer: Peer, home: Path, starts: Starts) -> None:
    server = Server(peer, home, None, {})
    try:
        starts.seconds.append(server.wait())
        starts.cpu.append(measure.cpu(server.pid).total)
        time.sleep(SETTLE)
        starts.processes = [measure.memory([pid]).pss / MB for pid in measure.tree(server.pid)]
        starts.pss.append(sum(starts.processes))
    finally:
        server.stop()


def _format(starts: Starts) -> Iterator[str]:
    for values, digits in ((starts.seconds, 3), (starts.cpu, 3), (starts.pss, 1)):
        yield f"{min(values):.{digits}f}"
        yield f"{statistics.median(values):.{digits}f}"
    yield " + ".join(f"{each:.1f}" for each in starts.processes)


if __name__ == "__main__":
    sys.exit(main())
