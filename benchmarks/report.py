"""The page of a run, in Markdown."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import targets
from load import Run
from peers import HERE
from rounds import Plan, Results
from workloads import OTHERS, WORKLOADS

MB = 1e6
KIB = 1024

METHOD = """\
One server process serves from core {server_core}, wrk loads it from core {load_core} with one
thread and 64 connections (`wrk -t1 -c64 -d{seconds}s`). The servers take turns, {rounds} rounds
over the whole list for each workload, and the round with the least CPU per request counts: on a
shared machine noise only ever adds. Each turn starts the server afresh, so that no idle server
disturbs the one that is measured and an unlucky layout of memory does not stay for all rounds; one
second of load warms it up. CPU is the kernel's own account of all processes and threads of the
server, in nanoseconds, over the requests wrk saw answered; its division into user and system time
comes from 10 ms ticks. A core that was not busy waited for wrk. Latency is wrk's, corrected for
coordinated omission, which it cannot do for pipelined requests. Memory is that of all processes of
the server after the load, PSS counting shared pages once. Every server's answer is checked before
it is timed. All applications encode JSON with the standard library. The floor is a uvloop protocol
that answers a constant without parsing."""


@dataclass(frozen=True, slots=True)
class Page:
    """What the page needs beside the results."""

    date: str
    series: str
    machine: Sequence[tuple[str, str]]
    titles: dict[str, str]
    chart: str | None = None


def written(page: Page, plan: Plan, results: Results) -> str:
    """Return the whole page."""
    parts = [
        f"# Benchmark of {page.date}, Python {page.series}",
        table(("machine", ""), page.machine),
        METHOD.format(
            server_core=plan.server_core,
            load_core=plan.load_core,
            seconds=plan.seconds,
            rounds=plan.rounds,
        ),
    ]
    if page.chart:
        parts.append(f"![CPU per request, plaintext]({page.chart})")
    parts += tables(page, results)
    if results.missing:
        parts += ["## Not measured", _missing(results)]
    return "\n\n".join(parts) + "\n"


def tables(page: Page, results: Results) -> list[str]:
    """Return the sections with figures, each its heading and its table."""
    parts: list[str] = []
    met = targets.verdicts(results)
    if met:
        parts += ["## Targets", _targets(met)]
    if any(results.loads.values()):
        parts += ["## CPU per request", _loads(page, results)]
    if results.idle:
        parts += [f"## {OTHERS['idle'].capitalize()}", _idle(page, results)]
    if results.start:
        parts += ["## Start to first answer, best of 5, not pinned", _start(page, results)]
    return parts


def _loads(page: Page, results: Results) -> str:
    head = (
        "workload", "server", "CPU µs", "user", "system", "client CPU µs", "requests/s", "p99 ms",
        "RSS MB", "PSS MB", "core busy", "/ floor", "/ kore", "not 2xx, or broken",
    )  # fmt: skip
    rows = [
        row
        for name in results.loads
        for row in _workload(WORKLOADS[name].title, page, results.best(name))
    ]
    return table(head, rows)


def _workload(title: str, page: Page, best: dict[str, Run]) -> Iterable[Sequence[str]]:
    for number, (name, run) in enumerate(best.items()):
        yield (
            title if number == 0 else "",
            _title(page, name),
            f"{run.cpu:.2f}",
            f"{run.user:.2f}",
            f"{run.system:.2f}",
            f"{run.client:.2f}",
            f"{run.rate:,.0f}",
            "-" if run.p99 is None else f"{run.p99 / 1000:.2f}",
            f"{run.memory.rss / MB:.1f}",
            f"{run.memory.pss / MB:.1f}",
            f"{run.busy:.0%}",
            _ratio(run, best.get("floor")),
            _ratio(run, best.get("kore")),
            f"{run.wrong:,}",
        )


def _ratio(run: Run, base: Run | None) -> str:
    return "-" if base is None else f"{run.cpu / base.cpu:.2f}"


def _idle(page: Page, results: Results) -> str:
    ours = results.idle.get("kore")
    ordered = sorted(results.idle.items(), key=lambda item: item[1].pss)
    rows = [
        (
            _title(page, name),
            f"{found.pss / KIB:.2f}",
            f"{found.private / KIB:.2f}",
            f"{found.alive:,}",
            f"{found.pss / ours.pss:.2f}" if ours else "-",
        )
        for name, found in ordered
    ]
    head = ("server", "KiB per connection (PSS)", "KiB private", "connections open", "/ kore")
    return table(head, rows)


def _start(page: Page, results: Results) -> str:
    ordered = sorted(results.start.items(), key=lambda item: item[1])
    return table(
        ("server", "seconds"), [(_title(page, name), f"{took:.3f}") for name, took in ordered]
    )


def _targets(met: list[targets.Verdict]) -> str:
    rows = [(each.what, each.bar, each.found, "yes" if each.met else "**no**") for each in met]
    return table(("what", "target", "measured", "met"), rows)


def _missing(results: Results) -> str:
    # Another reader's checkout is elsewhere.
    lines = (f"- {where}: {why}" for where, why in results.missing.items())
    return "\n".join(lines).replace(str(HERE.parent), ".")


def _title(page: Page, name: str) -> str:
    title = page.titles.get(name, name)
    return f"**{title}**" if name == "kore" else title


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table."""
    body = [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]
    return "\n".join([f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *body])
