"""The files that `kodev create` writes: an application, a test, a README."""

import json
from collections.abc import Mapping
from importlib import metadata
from types import MappingProxyType
from typing import Any, Final

DISTRIBUTION: Final = "kore-server"

APP: Final = '''\
"""NAME, an application for kore. `kodev run` serves it."""

import json
import os

import kore


class App:
    def configure(self, args):
        port = os.environ.get("PORT", "8888")
        kore.server(ip="127.0.0.1", port=port, tls=False)
        site = kore.domain("*")
        site.route("/", self.index, methods=["get"])
        site.route("^/hello/([a-z]+)$", self.hello, methods=["get"])
        # What a parameter must be: without a name that fits it is not there.
        site.route("/greet", self.greet, methods=["post"], post={"name": "^[A-Za-z ]{1,40}$"})

    async def workerstart(self):
        # Databases and other connections of this worker are opened here.
        kore.log(kore.LOG_INFO, f"worker {kore.worker()} is ready")

    async def index(self, req):
        req.response_header("content-type", "text/html; charset=utf-8")
        req.response(200, "<!doctype html><title>NAME</title><h1>It works</h1>\\n")

    def hello(self, req, name):
        req.response(200, f"hello {name}\\n")

    def greet(self, req):
        req.populate_post()
        name = req.argument("name")
        if name is None:
            req.response(400, "which name?\\n")
            return
        req.response_header("content-type", "application/json")
        req.response(200, json.dumps({"hello": name}))


koreapp = App()
'''

TEST: Final = '''\
"""Start the real server on a free port, and ask it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def address():
    """The address of a server that runs as long as these tests."""
    command = [sys.executable, "-m", "kore", "app.py"]
    with subprocess.Popen(
        command, cwd=PROJECT, env={**os.environ, "PORT": "0"}, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            for line in server.stdout:
                if found := re.search(r"serving http on (127\\.0\\.0\\.1:\\d+)", line):
                    break
            else:
                pytest.fail("the server did not start; `kore -t app.py` says why")
            yield f"http://{found[1]}"
        finally:
            server.terminate()
            server.communicate()


def get(url, data=None):
    """Return the status and the body of a response."""
    try:
        with urlopen(url, data, timeout=10) as response:
            return response.status, response.read()
    except HTTPError as error:
        with error:
            return error.code, error.read()


def test_the_first_page(address):
    status, body = get(address + "/")

    assert status == 200
    assert b"It works" in body


def test_a_path_with_a_name_in_it(address):
    assert get(address + "/hello/ada") == (200, b"hello ada\\n")
    assert get(address + "/hello/ADA")[0] == 404


def test_a_form(address):
    status, body = get(address + "/greet", b"name=Ada+Lovelace")

    assert (status, json.loads(body)) == (200, {"hello": "Ada Lovelace"})
    assert get(address + "/greet", b"name=%3Cscript%3E")[0] == 400
'''

README: Final = """\
# NAME

    kodev run           serve it on http://127.0.0.1:8888, and load it anew when a file changes
    kodev run --tls     the same on https://localhost:8888, with a certificate for this machine
    python -m pytest    start it on a free port, and test it
    kodev info          what it is, whether it runs, and where
    kore -t app.py      say what is wrong with it, start nothing

What it needs: `pip install -r requirements.txt`

`app.py` is all of it: `configure()` says where to listen and which paths there are, methods
answer. In production: `kore -d app.py` runs in the background and writes `kore.pid`,
`kodev reload` has it load new code without dropping a request. For TLS, leave out `tls=False`
and write `kore.domain("example.org", cert="fullchain.pem", key="privkey.pem")`.
"""

IGNORE: Final = """\
__pycache__/
.pytest_cache/
.venv/
kore.pid
tmp_files/
"""

REQUIREMENTS: Final = """\
KORE
pytest
"""

FILES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "app.py": APP,
        "tests/test_app.py": TEST,
        "README.md": README,
        "requirements.txt": REQUIREMENTS,
        ".gitignore": IGNORE,
    }
)


def render_files(name: str) -> dict[str, str]:
    """Return the contents of the files of a new project, by path."""
    found = {path: text.replace("NAME", name) for path, text in FILES.items()}
    found["requirements.txt"] = REQUIREMENTS.replace("KORE", format_requirement())
    return found


def format_requirement(distribution: str = DISTRIBUTION) -> str:
    """Return the line that installs the installed kore (PEP 610), or a comment.

    Never the bare name: in an index it may be a foreign project.
    """
    try:
        text = metadata.distribution(distribution).read_text("direct_url.json")
        origin = json.loads(text or "{}")
        url = _pin_url(origin)
    except (metadata.PackageNotFoundError, ValueError, AttributeError, TypeError, KeyError):
        url = ""
    if not url:
        return "# kore itself: install it as you did here"
    editable = origin.get("dir_info", {}).get("editable")
    return f"-e {url}" if editable else f"{distribution} @ {url}"


def _pin_url(origin: Mapping[str, Any]) -> str:
    """Return the URL a distribution was installed from, with its commit or hash, or nothing."""
    url = str(origin.get("url", ""))
    if not url.isprintable() or any(c.isspace() for c in url):
        return ""
    if version := origin.get("vcs_info"):
        return f"{version['vcs']}+{url}@{version['commit_id']}"
    found = origin.get("archive_info", {}).get("hash", "")
    return f"{url}#{found}" if found else url
