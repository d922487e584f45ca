"""Files with two paths, by filemap_index and filemap_ext: both are protected alike."""

from pathlib import Path

import pytest

from tests.helpers.build import get, request
from tests.helpers.fix_worker import ThreadLauncher, ThreadServer
from tests.helpers.response_reader import Answer

APP = """
import asyncio
import kore

kore.config.filemap_ext = ".html"

async def verify_later(req, value):
    await asyncio.sleep(0)
    return value == "s3cret"

def verify(req, value):
    return value == "s3cret"

KEY = {"type": "header", "value": "x-key", "verify": verify}
LATER = {**KEY, "verify": verify_later}
LOGIN = {**KEY, "redirect": "/login"}

def own(req, *captures):
    req.response(200, b"route")

site = kore.domain("*", attach="http")
site.return_("^/refused[.]html$", 451)
site.redirect("^/moved/index[.]html$", 301, "/moved/")
site.return_("^/moved/index[.]html$", 451)
site.route("/secret.html", own, methods=["get"], auth=KEY)
site.route("/get-only.html", own, methods=["post"], auth=KEY)
site.route("^/(late)r?[.]html$", own, methods=["get"], auth=LATER)
site.route("/login-first/index.html", own, auth=LOGIN)
site.route("/open.html", own, methods=["get"])
site.route("^/open[.]html$", own, methods=["get"], auth=KEY)
site.route("/%c3%bcber/index.html", own, methods=["get"], auth=KEY)
site.filemaps({"/": "www"})
site.route("/behind.html", own, methods=["get"], auth=KEY)
"""
FILES = (
    "refused.html",
    "moved/index.html",
    "secret.html",
    "get-only.html",
    "late.html",
    "later.html",
    "login-first/index.html",
    "open.html",
    "\u00fcber/index.html",
    "behind.html",
    "index.html",
)


@pytest.fixture(scope="module")
def server(serve_thread: ThreadLauncher, tmp_path_factory: pytest.TempPathFactory) -> ThreadServer:
    www: Path = tmp_path_factory.mktemp("site") / "www"
    for name in FILES:
        (www / name).parent.mkdir(parents=True, exist_ok=True)
        (www / name).write_text(f"content of {name}")
    return serve_thread(APP.replace('"www', f'"{www}'))


def ask(server: ThreadServer, method: str, path: str, *fields: str) -> Answer:
    with server.connect(method) as client:
        return client.ask(request(method, path, *fields))


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/refused.html", 451),
        ("/refused", 451),
        ("/%72efused", 451),
        ("/moved/", 200),
        ("/moved/index", 200),
        ("/secret", 403),
        ("/s%65cret", 403),
        ("/get-only", 200),
        ("/late", 403),
        ("/later", 403),
        ("/login-first/", 302),
        ("/login-first/index", 302),
        ("/open", 200),
        ("/%C3%BCber/", 403),
        ("/%c3%bc%62er/index", 403),
        ("/behind", 200),
        ("/", 200),
        ("/secret/", 404),
        ("/none", 404),
    ],
)
def test_authentication_covers_a_files_second_path(
    server: ThreadServer, method: str, path: str, status: int
) -> None:
    answer = ask(server, method, path)

    assert answer.status == status
    assert (b"content of" in answer.body) == (status == 200 and method == "GET")


@pytest.mark.parametrize("path", ["/secret", "/late", "/later", "/login-first/", "/%C3%BCber/"])
def test_a_request_that_may_gets_the_file_for_itself(server: ThreadServer, path: str) -> None:
    answer = ask(server, "GET", path, "X-Key: s3cret")

    assert answer.status == 200
    assert answer.body.startswith(b"content of ")
    assert answer.get("cache-control") == "private"


def test_other_files_of_the_map_are_for_all(server: ThreadServer) -> None:
    with server.connect() as client:
        answer = client.ask(get("/"))

    assert answer.body == b"content of index.html"
    assert answer.get("cache-control") is None
