"""The run itself: every server in turn, round after round; the best of each counts."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import lifecycle
import load
from idle import Idle
from idle import measured as measured_idle
from install import Unusable
from peers import Peer
from serving import running
from workloads import WORKLOADS, Workload

IDLE_CONNECTIONS = 10_000
STARTS = 5


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run: servers with the directory of their programs, workloads, how long."""

    peers: list[tuple[Peer, Path]]
    workloads: tuple[str, ...]
    rounds: int
    seconds: int
    server_core: int
    load_core: int

    def serving(self, workload: str) -> Iterator[tuple[Peer, Path]]:
        """Return the servers that know a workload, in the order of the table."""
        return ((peer, home) for peer, home in self.peers if workload in peer.serves)


@dataclass(slots=True)
class Results:
    """What came of it, by workload and server; and why something is missing."""

    loads: dict[str, dict[str, list[load.Run]]] = field(default_factory=dict)
    idle: dict[str, Idle] = field(default_factory=dict)
    start: dict[str, float] = field(default_factory=dict)
    worker: int | None = None
    reload: lifecycle.Reload | None = None
    missing: dict[str, str] = field(default_factory=dict)

    def best(self, workload: str) -> dict[str, load.Run]:
        """Return the run of each server that cost the least, the cheapest server first."""
        best = {
            name: min(runs, key=lambda run: run.cpu)
            for name, runs in self.loads.get(workload, {}).items()
        }
        return dict(sorted(best.items(), key=lambda item: item[1].cpu))

    @contextmanager
    def noting(self, peer: Peer, workload: str) -> Iterator[bool]:
        """Note why a server fails in the block, and go on; yield whether it is fit to try."""
        where = f"{peer.title}, {workload}"
        try:
            yield where not in self.missing
        except (Unusable, load.LoadError, OSError) as error:
            self.missing[where] = str(error)
            _say(f"{where}: {error}")


def measured(plan: Plan) -> Results:
    """Run the plan."""
    results = Results()
    for name in plan.workloads:
        if name in WORKLOADS:
            _loads(plan, WORKLOADS[name], results)
        else:
            OTHERS[name](plan, results)
    return results


def _loads(plan: Plan, workload: Workload, results: Results) -> None:
    runs = results.loads.setdefault(workload.name, {})
    for turn in range(plan.rounds):
        for peer, home in plan.serving(workload.name):
            with results.noting(peer, workload.name) as fit:
                if not fit:
                    continue
                run = _loaded(plan, workload, peer, home)
                runs.setdefault(peer.name, []).append(run)
                what = f"{workload.name} {turn + 1}/{plan.rounds} {peer.name}"
                _say(f"{what}: {run.cpu:.2f} µs, {run.rate:,.0f}/s, busy {run.busy:.0%}")


def _loaded(plan: Plan, workload: Workload, peer: Peer, home: Path) -> load.Run:
    with running(peer, home, plan.server_core, WORKLOAD=workload.name) as server:
        server.check(workload)
        return load.drive(server, workload, plan.seconds, plan.load_core)


def _idle(plan: Plan, results: Results) -> None:
    for peer, home in plan.serving("idle"):
        with results.noting(peer, "idle"), running(peer, home, plan.server_core) as server:
            found = results.idle[peer.name] = measured_idle(server, IDLE_CONNECTIONS)
            _say(f"idle {peer.name}: {found.pss:,.0f} bytes each, {found.alive} open")


def _start(plan: Plan, results: Results) -> None:
    for _ in range(STARTS):
        for peer, home in plan.serving("start"):
            with results.noting(peer, "start") as fit:
                if not fit:
                    continue
                took = lifecycle.start_time(peer, home)
                results.start[peer.name] = min(took, results.start.get(peer.name, took))
    for name, took in results.start.items():
        _say(f"start {name}: {took:.3f} s")


def _worker(plan: Plan, results: Results) -> None:
    for peer, home in plan.serving("worker"):
        with results.noting(peer, "worker"):
            results.worker = lifecycle.further_worker(peer, home)
            _say(f"a further worker of {peer.name}: {results.worker / 1e6:.2f} MB private")


def _reload(plan: Plan, results: Results) -> None:
    for peer, home in plan.serving("reload"):
        with results.noting(peer, "reload"):
            felt = results.reload = lifecycle.reload_under_load(peer, home)
            _say(f"{felt.reloads} reloads of {peer.name}: {felt.failed} of {felt.requests} failed")
            if felt.reasons:
                results.missing[f"{peer.title}, requests failed in a reload"] = "; ".join(
                    sorted(felt.reasons)
                )


OTHERS: dict[str, Callable[[Plan, Results], None]] = {
    "idle": _idle,
    "start": _start,
    "worker": _worker,
    "reload": _reload,
}


def _say(line: str) -> None:
    print(line, flush=True)
