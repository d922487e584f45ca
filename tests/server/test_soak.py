"""A server after minutes of every kind of client: nothing leaked, nothing logged, still serving."""

import os
import time

import pytest

from tests.helpers import procs, soak_clients
from tests.helpers.build import get
from tests.helpers.fix_serve import Launcher, Server
from tests.helpers.soak_clients import SoakClients

SECONDS = int(os.environ.get("SOAK_SECONDS", "120"))
WARM_UP = 10  # pools, caches and allocators take their share once
MAY_GROW = 4 << 20

SHORT_LIMITS = {"http_header_timeout": 2, "http_body_timeout": 2, "http_keepalive_time": 3}


def visited(server: Server, seconds: float) -> SoakClients:
    """Let the crowd in for a while, and wait until the last of it is gone."""
    with SoakClients(server, threads=16) as visitors:
        time.sleep(seconds)
    return visitors


def sockets(server: Server) -> dict[int, int]:
    """Return how many sockets each worker has open."""
    return {
        pid: sum(name.startswith("socket:") for name in procs.descriptors(pid))
        for pid in server.workers
    }


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 120)
def test_a_crowd_of_all_manners_leaves_nothing_behind(serve: Launcher, loop: str) -> None:
    server = serve(soak_clients.APP, settings={"workers": 2, **SHORT_LIMITS}, loop=loop)
    procs.until(lambda: len(server.workers) == 2, what="two workers")
    workers, at_start = server.workers, sockets(server)
    visited(server, WARM_UP)
    procs.until(lambda: sockets(server) == at_start, what="all connections closed")
    descriptors = {pid: procs.descriptors(pid) for pid in workers}
    memory = {pid: procs.resident(pid) for pid in workers}

    visitors = visited(server, SECONDS)

    assert not visitors.problems, "\n".join(visitors.problems[:20])
    assert all(visitors.visits[visit.__name__] > 10 for visit in soak_clients.VISITS)
    procs.until(lambda: sockets(server) == at_start, what="all connections closed")
    assert server.workers == workers
    assert {pid: len(procs.descriptors(pid)) for pid in workers} == {
        pid: len(names) for pid, names in descriptors.items()
    }
    grown = {pid: procs.resident(pid) - memory[pid] for pid in workers}
    assert max(grown.values()) < MAY_GROW, grown
    server.log.check()
    for _ in range(10):
        with server.connect() as client:
            assert client.ask(get()).body == b"hello world"
