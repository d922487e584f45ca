"""Drive wrk, from its own core, and read what it counted."""

import json
import os
import resource
import shutil
import subprocess
import tempfile
from dataclasses import dataclass

import measure
from peers import HERE
from serving import Server
from workloads import Workload

MISSING = "wrk is needed to make the load: apt install wrk"
WARM_UP = 1  # second


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one workload against one server. Microseconds per request; bytes."""

    cpu: float
    user: float
    system: float
    client: float  # CPU of wrk
    rate: float
    p99: float | None  # unknown when pipelined
    busy: float
    wrong: int
    memory: measure.Memory


class LoadError(Exception):
    """wrk did not do its work."""


def present() -> bool:
    """Say whether wrk can be run."""
    return shutil.which("wrk") is not None


def drive(server: Server, workload: Workload, seconds: int, core: int) -> Run:
    """Load a server for some seconds; return what it cost per request."""
    url = f"{server.peer.scheme}://127.0.0.1:{server.port}{workload.path}"
    run_wrk(url, workload, WARM_UP, core)
    before, client_before = measure.cpu(server.pid), _children_cpu()
    counted = run_wrk(url, workload, seconds, core)
    used = measure.cpu(server.pid).since(before)
    client_used = _children_cpu() - client_before
    requests = counted["requests"]
    if not requests:
        raise LoadError(f"{workload.name}: no request was answered")
    micro = 1e6 / requests
    return Run(
        cpu=used.total * micro,
        user=used.user * micro,
        system=used.system * micro,
        client=client_used * micro,
        rate=requests / counted["seconds"],
        # wrk corrects its latencies for coordinated omission and supposes one request at a time.
        p99=counted["p99"] if workload.depth == 1 else None,
        busy=used.total / counted["seconds"],
        wrong=int(counted["bad"] + counted["broken"]),
        memory=measure.memory(measure.tree(server.pid)),
    )


def _children_cpu() -> float:
    # wrk has been waited for, the server has not.
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run_wrk(url: str, workload: Workload, seconds: int, core: int) -> dict[str, float]:
    """Load a server for some seconds; return what wrk counted, latencies in microseconds."""
    words = ["taskset", "-c", str(core), "wrk", "-t1", f"-c{workload.connections}"]
    words += [f"-d{seconds}s", "-s", workload.script]
    with tempfile.NamedTemporaryFile() as body:
        body.write(workload.body or b"")
        body.flush()
        env = {**os.environ, "BODY": body.name, "CONTENT_TYPE": workload.content_type}
        done = subprocess.run(
            [*words, url], cwd=HERE / "lua", env=env, capture_output=True, text=True, check=False
        )
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            return dict(json.loads(line.removeprefix("RESULT ")))
    raise LoadError(f"wrk: {(done.stderr or done.stdout).strip()[-200:]}")
