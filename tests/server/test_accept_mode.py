"""How clients are shared out among workers."""

import pytest

from tests.helpers.build import get
from tests.helpers.fix_serve import Launcher

APP = """
import os, pathlib, time

kore.domain("*", attach="http")

@kore.route("/", methods=["get"])
def index(req):
    req.response(200, str(os.getpid()))

@kore.route("/block", methods=["get"])
def block(req):
    print("blocked", flush=True)
    while not pathlib.Path("go").exists():
        time.sleep(0.01)
    req.response(200, b"")
"""


def test_blocked_worker_delays_no_client_in_shared_mode(serve: Launcher) -> None:
    server = serve(APP, settings={"workers": 2, "accept_mode": "shared"})
    with server.connect() as blocker:
        blocker.send(get("/block"))
        # Who was accepted with it waits with it.
        server.log.wait("blocked")
        for _ in range(20):
            with server.connect() as client:
                assert client.ask(get("/")).status == 200

        server.log.path.with_name("go").touch()
        assert blocker.answer().status == 200


@pytest.mark.parametrize("mode", ["spread", "shared"])
def test_every_client_is_served_in_both_modes(serve: Launcher, mode: str) -> None:
    server = serve(APP, settings={"workers": 3, "accept_mode": mode})
    pids = set()
    for _ in range(60):
        with server.connect() as client:
            pids.add(client.ask(get("/")).body)

    assert 1 <= len(pids) <= 3
    assert mode == "shared" or len(pids) == 3
