"""Methods that have no number reach the routes that name them."""

import pytest

from tests.helpers.build import get, post, request
from tests.helpers.fix_worker import ThreadLauncher, ThreadServer

APP = """
import kore

kore.config.workers = 1
site = kore.domain("*", attach="http")

def say(req, *captures):
    req.populate_get()
    words = [req.method, req.method_name, req.argument("depth"), *captures, req.body]
    req.response(207 if req.method == 0 else 200, "|".join(map(str, words)))

site.route("^/dav/(.*)$", say, methods=["get", "propfind"], qs={"depth": "^[0-9]$"})
site.route("/all", say, methods=["*"], qs={"depth": "."})
site.route("/page", say, methods=["get"])
"""


@pytest.fixture(scope="module")
def server(serve_thread: ThreadLauncher) -> ThreadServer:
    return serve_thread(APP)


@pytest.mark.parametrize(
    ("method", "target", "body", "status", "said"),
    [
        ("PROPFIND", "/dav/x?depth=1", b"<a/>", 207, "0|PROPFIND|1|x|b'<a/>'"),
        ("PROPFIND", "/dav/x?depth=y", b"", 207, "0|PROPFIND|None|x|b''"),
        ("PURGE", "/all?depth=2", b"", 207, "0|PURGE|2|b''"),
        ("GET", "/all", b"", 200, "1|GET|None|b''"),
    ],
)
def test_a_handler_gets_the_method_as_text(
    server: ThreadServer, method: str, target: str, body: bytes, status: int, said: str
) -> None:
    with server.connect() as client:
        answer = client.ask(post(body, target=target, method=method))

    assert (answer.status, answer.body.decode()) == (status, said)


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("PROPFIND", "/page", 405, "GET, HEAD, OPTIONS"),
        ("POST", "/dav/x", 405, "GET, HEAD, OPTIONS, PROPFIND"),
        ("OPTIONS", "/dav/x", 204, "GET, HEAD, OPTIONS, PROPFIND"),
        ("PROPFIND", "/none", 404, None),
        ("PURGE", "/page", 501, None),
        ("CONNECT", "/all", 501, None),
        ("propfind", "/dav/x", 501, None),
    ],
)
def test_where_no_route_takes_the_method_it_is_refused(
    server: ThreadServer, method: str, path: str, status: int, allow: str | None
) -> None:
    with server.connect() as client:
        answer = client.ask(request(method, path))

    assert (answer.status, answer.all("allow")) == (status, [allow] if allow else [])


def test_a_connection_goes_on_after_such_a_method(server: ThreadServer) -> None:
    with server.connect() as client:
        statuses = [client.ask(request("PURGE", path)).status for path in ("/all", "/none", "/all")]

        assert [*statuses, client.ask(get("/page")).status] == [207, 501, 207, 200]
