"""Who may ask, and what the application wants before any handler runs."""

import pytest

from tests.helpers.build import get, post
from tests.helpers.fix_worker import ThreadLauncher, ThreadServer

APP = """
import asyncio

domain = kore.domain("*", attach="http")

def secret(req, value):
    req.user = "ada"
    return value == "secret"

async def secret_later(req, value):
    await asyncio.sleep(0.01)
    return secret(req, value)

def truthy(req, value):
    return "yes"

def fails(req, value):
    raise LookupError("no verdict")

def by_argument(req):
    req.populate_get()
    return req.argument("token") == "secret"

def answers(req):
    req.response(401, b"who are you?")
    return False

def page(req):
    req.response(200, getattr(req, "user", "nobody"))

def shown(req):
    req.populate_get()
    req.response(200, req.argument("token"))

@kore.route("/", methods=["get"])
def index(req):
    req.response(200, b"hello world")

COOKIE = {"type": "cookie", "value": "session", "verify": secret}
HEADER = {"type": "header", "value": "X-Key", "verify": secret}
domain.route("/cookie", page, methods=["get"], auth=COOKIE)
domain.route("/cookie-later", page, methods=["get"], auth={**COOKIE, "verify": secret_later})
domain.route("/header", page, methods=["get"], auth=HEADER)
domain.route("/header-later", page, methods=["get"], auth={**HEADER, "verify": secret_later})
domain.route("/login-first", page, methods=["get"], auth={**COOKIE, "redirect": "/login"})
domain.route("/truthy", page, methods=["get"], auth={**HEADER, "verify": truthy})
domain.route("/fails", page, methods=["get"], auth={**HEADER, "verify": fails})
domain.route("/body", page, methods=["post"], auth=HEADER)
domain.route("/request", shown, methods=["get"], get={"token": "^[a-z]+$"},
             auth={"type": "request", "verify": by_argument})
domain.route("/answers", page, methods=["get"], auth={"type": "request", "verify": answers})
domain.route("/needs", page, methods=["get"], get={"id": "."}, required=["id"], auth=HEADER)
"""

PREREQUESTS = """
import asyncio

domain = kore.domain("*", attach="http")

@kore.prerequest
def first(req):
    req.seen = ["first"]
    if req.path == "/stop":
        req.response(503, b"stopped")
        return False
    if req.path == "/silent":
        return False

@kore.prerequest
async def second(req):
    await asyncio.sleep(0.005)
    req.seen.append("second")
    if req.path == "/stop-later":
        req.response(503, b"stopped later")
        return False
    if req.path == "/silent-later":
        return False
    if req.path == "/fails":
        raise LookupError("in the prerequest")

def verify(req, value):
    return value == "secret"

def page(req, *captures):
    req.seen.append("handler")
    req.response(200, " ".join(req.seen))

async def page_later(req, *captures):
    await asyncio.sleep(0)
    page(req)

domain.route("^/later/(.*)$", page_later, methods=["get"])
AUTH = {"type": "header", "value": "x", "verify": verify}
domain.route("/auth", page, methods=["get"], auth=AUTH)
domain.route("^/", page, methods=["get"])
"""


@pytest.fixture(scope="module")
def server(serve_thread: ThreadLauncher, loop: str) -> ThreadServer:
    return serve_thread(APP, loop=loop)


@pytest.fixture(scope="module")
def guarded(serve_thread: ThreadLauncher, loop: str) -> ThreadServer:
    return serve_thread(PREREQUESTS, loop=loop, beside=True)


def ask(server: ThreadServer, target: str, *fields: str) -> tuple[int, bytes]:
    with server.connect() as client:
        answer = client.ask(get(target, *fields))
        assert answer.get("connection") == "keep-alive"
        return answer.status, answer.body


FORBIDDEN = (403, b"403 Forbidden\n")


@pytest.mark.parametrize("later", ["", "-later"])
def test_valid_credentials_are_accepted(server: ThreadServer, later: str) -> None:
    assert ask(server, f"/cookie{later}", "Cookie: x=y; session=secret") == (200, b"ada")
    assert ask(server, f"/header{later}", "x-key: secret") == (200, b"ada")


@pytest.mark.parametrize("later", ["", "-later"])
@pytest.mark.parametrize(
    "cookie",
    [
        "x=y",
        "session=wrong",
        "session=",
        "sessionX=secret",
        "SESSION=secret",
        "session=x; session=secret",
    ],
)
def test_invalid_credentials_are_refused(server: ThreadServer, later: str, cookie: str) -> None:
    assert ask(server, f"/cookie{later}", f"Cookie: {cookie}") == FORBIDDEN
    assert ask(server, f"/header{later}", "x-key: wrong") == FORBIDDEN
    assert ask(server, f"/header{later}") == FORBIDDEN


def test_a_cookie_in_a_second_field_counts(server: ThreadServer) -> None:
    assert ask(server, "/cookie", "Cookie: x=y", "Cookie: session=secret")[0] == 200


def test_a_redirect_sends_clients_to_the_login(server: ThreadServer) -> None:
    with server.connect() as client:
        answer = client.ask(get("/login-first"))
        inside = client.ask(get("/login-first", "Cookie: session=secret"))

    assert (answer.status, answer.get("location"), answer.body) == (302, "/login", b"")
    assert (inside.status, inside.body) == (200, b"ada")


def test_a_verdict_is_true_or_it_is_none(server: ThreadServer) -> None:
    with server.expecting("validator did not return True/False", errors=0):
        assert ask(server, "/truthy", "x-key: any") == FORBIDDEN


def test_raising_verify_function_refuses(server: ThreadServer) -> None:
    with server.expecting("LookupError('no verdict') in route '/fails'"):
        assert ask(server, "/fails", "x-key: any")[0] == 500


def test_a_request_with_a_body_is_refused_in_step(server: ThreadServer) -> None:
    with server.connect() as client:
        refused = client.ask(post(b"x" * 1000, target="/body"))

        assert refused.status == 403
        assert client.ask(post(b"x", -1, "x-key: secret", target="/body")).body == b"ada"


def test_verify_function_of_a_request_sees_its_parameters(server: ThreadServer) -> None:
    assert ask(server, "/request?token=secret") == (200, b"secret")
    assert ask(server, "/request?token=wrong") == FORBIDDEN
    assert ask(server, "/request") == FORBIDDEN


def test_a_judge_may_answer_by_itself(server: ThreadServer) -> None:
    assert ask(server, "/answers") == (401, b"who are you?")


def test_refused_client_gets_no_parameter_errors(server: ThreadServer) -> None:
    assert ask(server, "/needs") == FORBIDDEN
    assert ask(server, "/needs", "x-key: secret")[0] == 400


def test_prerequests_run_in_order_before_handlers_of_all_kinds(guarded: ThreadServer) -> None:
    assert ask(guarded, "/any") == (200, b"first second handler")
    assert ask(guarded, "/later/any") == (200, b"first second handler")


def test_a_prerequest_that_answers_and_says_false_is_the_last(guarded: ThreadServer) -> None:
    assert ask(guarded, "/stop") == (503, b"stopped")
    assert ask(guarded, "/stop-later") == (503, b"stopped later")


@pytest.mark.parametrize(("path", "name"), [("/silent", "first"), ("/silent-later", "second")])
def test_prerequest_that_stops_without_a_response_is_an_error(
    guarded: ThreadServer, path: str, name: str
) -> None:
    with guarded.expecting(f"no response: prerequest '{name}' stopped route '^/'", errors=0):
        assert ask(guarded, path)[0] == 500


def test_failing_prerequest_is_a_500(guarded: ThreadServer) -> None:
    with guarded.expecting("LookupError('in the prerequest') in route '^/'"):
        assert ask(guarded, "/fails")[0] == 500


def test_authentication_comes_before_prerequests(guarded: ThreadServer) -> None:
    assert ask(guarded, "/auth") == FORBIDDEN
    assert ask(guarded, "/auth", "x: secret") == (200, b"first second handler")


def test_prerequests_run_only_for_handlers(guarded: ThreadServer) -> None:
    with guarded.connect() as client:
        assert client.ask(post(b"", target="/stop")).status == 405
