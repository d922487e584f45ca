"""The path of a map without the slash at its end."""

from pathlib import Path

import pytest

from tests.helpers.build import request
from tests.helpers.fix_serve import Launcher, Server

APP = """
def own(req):
    req.response(200, b"route")

alone = kore.domain("alone.test", attach="http")
alone.filemaps({"/s/": "maps/s", "/deep/er/": "maps/s"})
alone.route("/s/own", own)

both = kore.domain("both.test", attach="http")
both.route("^/route$", own, methods=["get"])
both.filemaps({"/s/": "maps/s", "/": "maps/root", "/file/": "maps/s", "/route/": "maps/s"})
both.filemaps({"/posted/": "maps/s"})
both.route("/posted", own, methods=["post"])
"""


@pytest.fixture(scope="module")
def server(serve_module: Launcher, tmp_path_factory: pytest.TempPathFactory) -> Server:
    maps: Path = tmp_path_factory.mktemp("site") / "maps"
    (maps / "s").mkdir(parents=True)
    (maps / "s" / "x").write_text("x")
    (maps / "root").mkdir()
    (maps / "root" / "file").write_text("a file")
    return serve_module(APP.replace('"maps', f'"{maps}'))


@pytest.mark.parametrize(
    ("host", "method", "target", "status", "said"),
    [
        ("alone", "GET", "/s", 301, "/s/"),
        ("alone", "HEAD", "/s?a=b", 301, "/s/?a=b"),
        ("alone", "GET", "/%73", 301, "/s/"),
        ("alone", "GET", "/deep/er", 301, "/deep/er/"),
        ("alone", "GET", "/deep", 404, None),
        ("alone", "GET", "//s", 404, None),
        ("alone", "POST", "/s", 405, None),
        ("alone", "OPTIONS", "/s", 204, None),
        ("alone", "GET", "/s/x/", 404, None),
        ("both", "GET", "/s", 301, "/s/"),
        ("both", "GET", "/posted?q", 301, "/posted/?q"),
        ("both", "POST", "/posted", 200, None),
        ("both", "PUT", "/posted", 405, None),
        ("both", "GET", "/file", 200, None),
        ("both", "GET", "/route", 200, None),
        ("both", "GET", "/none", 404, None),
        ("both", "GET", "/s/s", 404, None),
    ],
)
def test_the_path_of_a_map_without_its_slash_leads_there(
    server: Server, host: str, method: str, target: str, status: int, said: str | None
) -> None:
    with server.connect(method) as client:
        answer = client.ask(request(method, target, host=f"{host}.test"))

    assert (answer.status, answer.get("location")) == (status, said)
