"""The page of a run with TLS, in Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import install
import machine
from peers import HERE, Peer
from report import table
from tls_load import BESIDE_CONNECTIONS, BESIDE_RATE, IDLE_CONNECTIONS, Run
from tls_peers import BESIDE, IDLE, WORKS
from tls_targets import Results, verdicts

KIB = 1024

METHOD = """\
One server with one worker, all its processes and threads on one core; its clients on the other:
wrk with 64 keep-alive connections (8 for the file), and for handshakes a program in Python with
eight threads (`tls_clients.py`), each of which connects, sends one request and leaves. CPU is the
kernel's own account of all processes of the server: of kore those are the parent, the template, the
worker and the process that holds the private keys and signs. The servers take turns, {rounds}
rounds over all of it, each started afresh; {seconds} s are measured, and the round with the least
CPU counts, because noise only ever adds. The certificates are self-signed, of P-256 where nothing
else is said. nginx has tickets and no session cache. A session is resumed with a ticket."""
BESIDE_METHOD = """\
wrk sends plain requests on {connections} keep-alive connections to the same worker, as fast as they
are answered, alone and while {rate} connections a second do full handshakes (TLS 1.3, RSA-2048).
The clients of both share a core, so a part of the difference is theirs."""


@dataclass(frozen=True, slots=True)
class Page:
    """What the page needs beside the results."""

    day: str
    python: Path
    titles: dict[str, str]
    theirs: list[tuple[Peer, Path]]
    rounds: int
    seconds: int
    busy: tuple[float, float]  # the machine's load when the run began and when it ended

    def title(self, name: str) -> str:
        """Return how a server is called in a table."""
        return f"**{self.titles[name]}**" if name.startswith("kore") else self.titles[name]

    def facts(self) -> list[tuple[str, str]]:
        """Return what matters of the machine and the programs."""
        facts = machine.described(install.full_version(self.python))
        facts.append(("ours", machine.packages(install.versions(self.python), machine.OWN)))
        facts.append(("OpenSSL, nginx", machine.tls_programs()))
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
        f"# TLS, {page.day}, Python {install.series(page.python)}",
        table(("machine", ""), page.facts()),
        METHOD.format(rounds=page.rounds, seconds=page.seconds),
    ]
    met = verdicts(results)
    if met:
        rows = [(each.what, each.bar, each.found, "yes" if each.met else "**no**") for each in met]
        parts += ["## Targets", table(("what", "target", "measured", "met"), rows)]
    if results.runs:
        parts += ["## CPU", _runs(page, results)]
    if results.idle:
        parts += [f"## {IDLE_CONNECTIONS:,} idle connections, after a request each"]
        parts.append(_idle(page, results))
    if results.latencies:
        method = BESIDE_METHOD.format(connections=BESIDE_CONNECTIONS, rate=BESIDE_RATE)
        parts += [f"## {BESIDE.capitalize()}", method, _latencies(page, results)]
    if results.missing:
        lines = "\n".join(f"- {where}: {why}" for where, why in results.missing.items())
        parts += ["## Not measured", lines.replace(str(HERE.parent), ".")]
    return "\n\n".join(parts) + "\n"


def _runs(page: Page, results: Results) -> str:
    head = ("work", "server", "CPU µs", "a second", "core busy", "/ nginx", "failed")
    rows = [
        row for work in WORKS if work not in (IDLE, BESIDE) for row in _work(page, results, work)
    ]
    return table(head, rows)


def _work(page: Page, results: Results, work: str) -> list[Sequence[str]]:
    best = results.best(work)
    nginx = best.get("nginx", best.get("nginx-plain"))
    return [
        (
            work if number == 0 else "",
            page.title(name),
            f"{run.cpu:.2f}" if run.cpu < 100 else f"{run.cpu:.0f}",
            f"{run.rate:,.0f}",
            f"{run.busy:.0%}",
            _ratio(run, nginx),
            f"{run.wrong:,}",
        )
        for number, (name, run) in enumerate(best.items())
    ]


def _ratio(run: Run, base: Run | None) -> str:
    return "-" if base is None else f"{run.cpu / base.cpu:.2f}"


def _idle(page: Page, results: Results) -> str:
    ordered = sorted(results.idle.items(), key=lambda item: item[1])
    rows = [(page.title(name), f"{each / KIB:.1f}") for name, each in ordered]
    return table(("server", "KiB each (PSS)"), rows)


def _latencies(page: Page, results: Results) -> str:
    rows = []
    for name in results.latencies:
        found = results.latency(name)
        rows.append(
            (
                page.title(name),
                f"{found.alone:.2f}",
                f"{found.beside:.2f}",
                f"{found.beside / found.alone:.2f}",
                f"{found.handshake_rate:.0f}",
            )
        )
    head = ("server", "p99 ms alone", "p99 ms beside handshakes", "ratio", "handshakes/s")
    return table(head, rows)
