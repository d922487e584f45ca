"""Programs and files written for Kore 3: more addresses, star imports, RESULT_OK, names."""

import socket
from pathlib import Path
from typing import Final

from tests.helpers import procs
from tests.helpers.build import get
from tests.helpers.fix_serve import Server
from tests.helpers.raw_client import Client
from tests.parity.test_programs import running

STAR: Final = """
from kore import *

config.workers = 1
bind("127.0.0.1", "0")
bind_unix("first.sock")
mailbox = queue()
order = lock()
PATH = CURLOPT_URL


def five(req, value):
    return RESULT_OK if value == "5" else RESULT_ERROR


@route("/", methods=["get"], get={"id": five})
async def index(req):
    async with order:
        mailbox.push(b"id %a" % req.argument("id") if req.populate_get() else b"")
        req.response(200, await mailbox.pop())


async def verify(req, value):
    return RESULT_OK if value == "sesame" else None


@route("/door", methods=["get"], auth={"type": "header", "value": "x-key", "verify": verify})
def door(req):
    req.response(200, b"in")


class App:
    def configure(self, args):
        bind_unix("second.sock")
        domain("*")

    def workerstart(self):
        setname("web")


koreapp = App()
"""

FILE: Final = """
bind 127.0.0.1 0
bind_unix file.sock
python_import ./page.py
domain * {
    static / page
}
"""
PAGE: Final = """
import kore

def kore_parent_configure(args):
    kore.bind_unix("page.sock")

def page(req):
    req.response(200, b"page")
"""


def over_unix(path: Path, request: bytes) -> bytes:
    """Return the body of an answer over a Unix socket."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        sock.sendall(request)
        answer = b""
        while b"\r\n\r\n" not in answer or not answer.partition(b"\r\n\r\n")[2]:
            answer += sock.recv(65536)
    return answer.partition(b"\r\n\r\n")[2]


def asked(server: Server, *requests: bytes) -> list[tuple[int, bytes]]:
    server.learn_port()
    with server.connect() as client:
        assert isinstance(client, Client)
        answers = [client.ask(request) for request in requests]
    return [(answer.status, answer.body) for answer in answers]


def test_a_program_of_kore_3_with_a_star_import(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(STAR)
    with running(tmp_path, "-rn", "app.py") as server:
        door = [get("/door"), get("/door", "x-key: no"), get("/door", "x-key: sesame")]
        found = asked(server, get("/?id=5"), get("/?id=6"), *door)
        assert found[:2] == [(200, b"id '5'"), (200, b"id None")]
        assert [status for status, _ in found[2:]] == [403, 403, 200]
        for name in ("first.sock", "second.sock"):
            assert over_unix(tmp_path / name, get("/?id=5")) == b"id '5'"
        assert "did not return" not in server.log.text()
        assert procs.title(server.worker) == "web [wrk 1]"


def test_a_file_of_kore_3_without_certificates_is_plain_http(tmp_path: Path) -> None:
    (tmp_path / "kore.conf").write_text(FILE)
    (tmp_path / "page.py").write_text(PAGE)
    with running(tmp_path, "-rnc", "kore.conf") as server:
        assert asked(server, get("/")) == [(200, b"page")]
        for name in ("file.sock", "page.sock"):
            assert over_unix(tmp_path / name, get("/")) == b"page"
        assert "without certificates it serves plain HTTP" in server.log.text()
