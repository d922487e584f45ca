"""The scenarios against this server, and against C Kore when KORE names its program."""

import json
import os
from pathlib import Path

import pytest

from tests.helpers.fix_serve import Launcher, Server
from tests.helpers.ports import free_port
from tests.parity.scenarios import SCENARIOS, Scenario

APP = Path(__file__).with_name("parity_app.py")


C_KORE = os.environ.get("KORE", "")


@pytest.fixture(scope="module", params=["ours", "upstream"] if C_KORE else ["ours"])
def server(request: pytest.FixtureRequest, serve_module: Launcher) -> Server:
    if request.param == "ours":
        return serve_module(APP)
    # It cannot say which port it was given.
    return serve_module(APP, command=[C_KORE, "-nr"], port=free_port())


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_both_servers_do_the_same(server: Server, scenario: Scenario) -> None:
    if scenario.name == "exception":
        with server.expecting("on purpose", errors=None):
            compare(server, scenario)
    else:
        compare(server, scenario)


def compare(server: Server, scenario: Scenario) -> None:
    """Send the request, and look at what the scenario names."""
    with server.connect() as client:
        answer = client.ask(scenario.request)
        assert answer.status == scenario.status
        if scenario.end:
            assert client.until_ended() == scenario.end
    if scenario.body is not None:
        assert answer.body == scenario.body
    if scenario.chunks is not None:
        assert answer.chunks == scenario.chunks
    for name, value in scenario.fields.items():
        assert answer.get(name) == value, name
    said = json.loads(answer.body) if scenario.json else {}
    assert {name: said[name] for name in scenario.json} == scenario.json
