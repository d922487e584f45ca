"""How clients are shared out among workers."""

import time

import pytest

from tests.helpers.build import get
from tests.helpers.fix_serve import Launcher

APP = """
import os, time

kore.domain("*", attach="http")

@kore.route("/", methods=["get"])
def index(req):
    req.response(200, str(os.getpid()))

@kore.route("/block", methods=["get"])
def block(req):
    time.sleep(3)
    req.response(200, b"")
"""


def test_in_shared_mode_a_blocked_worker_holds_nobody_up(serve: Launcher) -> None:
    server = serve(APP, settings={"workers": 2, "accept_mode": "shared"})
    with server.connect() as blocker:
        blocker.send(get("/block"))
        time.sleep(0.3)  # until it blocks: who was accepted with it waits with it
        start = time.monotonic()
        for _ in range(20):
            with server.connect() as client:
                assert client.ask(get("/")).status == 200

        assert time.monotonic() - start < 2


@pytest.mark.parametrize("mode", ["spread", "shared"])
def test_every_client_is_served_in_both_modes(serve: Launcher, mode: str) -> None:
    server = serve(APP, settings={"workers": 3, "accept_mode": mode})
    pids = set()
    for _ in range(60):
        with server.connect() as client:
            pids.add(client.ask(get("/")).body)

    assert 1 <= len(pids) <= 3
    assert mode == "shared" or len(pids) == 3
