"""The figures that TLS is to reach, and whether a run reached them."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from targets import KIB, Verdict
from tls_load import Latency, Run
from tls_peers import BESIDE, FILE, FULL, IDLE, KEEP_ALIVE, PLAIN

# Kore's CPU over that of others, at most.
OVER = {"nginx": 1.0, "granian": 0.45, "uvicorn": 0.4}
DIFFERENCE_OVER_NGINX = 1.1
HANDSHAKE_OVER_NGINX = 1.2
FILE_OVER_NGINX = 1.0
IDLE_OVER_NGINX = 1.0
BESIDE_OVER_ALONE = 1.5


@dataclass(slots=True)
class Results:
    """What came of a run, by work and server; and why something is missing."""

    runs: dict[str, dict[str, list[Run]]] = field(default_factory=dict)
    idle: dict[str, float] = field(default_factory=dict)
    latencies: dict[str, list[Latency]] = field(default_factory=dict)
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

    def latency(self, peer: str) -> Latency:
        """Return the round with the lowest ratio: noise of the machine only adds."""
        return min(self.latencies[peer], key=lambda each: each.beside / each.alone)


def verdicts(results: Results) -> list[Verdict]:
    """Return the targets this run can speak about."""
    found = [_over(results, KEEP_ALIVE, peer, bar) for peer, bar in OVER.items()]
    found.append(_difference(results))
    found += [_over(results, work, "nginx", HANDSHAKE_OVER_NGINX) for work in FULL]
    found.append(_over(results, FILE, "nginx", FILE_OVER_NGINX))
    found += [*_idle(results), *_beside(results)]
    return [verdict for verdict in found if verdict is not None]


def _over(results: Results, work: str, peer: str, bar: float) -> Verdict | None:
    best = results.best(work)
    if "kore" not in best or peer not in best:
        return None
    ratio = best["kore"].cpu / best[peer].cpu
    return Verdict(work, f"CPU at most {bar} times {peer}", f"{ratio:.2f} times", ratio <= bar)


def _difference(results: Results) -> Verdict | None:
    over_tls, plain = results.best(KEEP_ALIVE), results.best(PLAIN)
    names = {*over_tls, *plain}
    if not names >= {"kore", "nginx", "kore-plain", "nginx-plain"}:
        return None
    ours, theirs = (over_tls[name].cpu - plain[f"{name}-plain"].cpu for name in ("kore", "nginx"))
    bar = f"at most {DIFFERENCE_OVER_NGINX} times nginx's"
    is_met = ours <= DIFFERENCE_OVER_NGINX * theirs
    return Verdict("what TLS adds to a request", bar, f"{ours:.2f} µs; {theirs:.2f} µs", is_met)


def _idle(results: Results) -> Iterator[Verdict]:
    if {"kore", "nginx"} <= results.idle.keys():
        ratio = results.idle["kore"] / results.idle["nginx"]
        found = f"{results.idle['kore'] / KIB:.1f} KiB, {ratio:.2f} times"
        bar = f"memory at most {IDLE_OVER_NGINX} times nginx"
        yield Verdict(IDLE, bar, found, ratio <= IDLE_OVER_NGINX)


def _beside(results: Results) -> Iterator[Verdict]:
    if "kore" in results.latencies:
        latency = results.latency("kore")
        ratio = latency.beside / latency.alone
        bar = f"99th percentile at most {BESIDE_OVER_ALONE} times that without"
        yield Verdict(BESIDE, bar, f"{ratio:.2f} times", ratio <= BESIDE_OVER_ALONE)
