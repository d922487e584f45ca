"""Which handler a request reaches: domains, paths, methods, captures."""

import pytest

from tests.helpers.build import get, post, request
from tests.helpers.fix_serve import Launcher
from tests.helpers.fix_worker import ThreadLauncher, ThreadServer

APP = """
import kore

def says(what):
    def handler(req, *captures):
        req.response(200, "|".join([what, *captures]))
    return handler

exact = kore.domain("exact.test", attach="http")
exact.route("/", says("exact"), methods=["get"])
exact.route("/one", says("one get"), methods=["get"])
exact.route("/one", says("one post"), methods=["post", "put"])
exact.route("/any", says("any"))
exact.route("/own-options", says("own"), methods=["get", "options"])
exact.route("/a-b_c.d~e", says("unreserved"), methods=["get"])
exact.route("/first", says("literal first"), methods=["get"])
exact.route("^/first", says("regex second"), methods=["get"])
exact.route("^/second", says("regex first"), methods=["get"])
exact.route("/second", says("literal second"), methods=["get"])
exact.route("^/user/([[:alpha:]]+)/([0-9]+)$", says("user"), methods=["get"])
exact.route("^/maybe/(a)?(b)?/c$", says("maybe"), methods=["get"])
exact.route("part", says("unanchored"), methods=["get"])
exact.route("^/mixed/(x+)$", says("mixed get"), methods=["get"])
exact.route("^/mixed/(.*)$", says("mixed post"), methods=["post"])

wild = kore.domain("*.wild.test", attach="http")
wild.route("/", says("wild"), methods=["get"])

class Methods:
    def __init__(self, name):
        self.name = name

    async def show(self, req):
        req.response(200, f"method of {self.name}")

single = kore.domain("object.test", attach="http")
single.route("/", Methods("an object").show, methods=["get"])

@kore.route("/decorated", domain="object.test.", methods=["get"])
def decorated(req):
    req.response(200, b"decorated")

kore.domain("B\u00fccher.example", attach="http")

@kore.route("/", domain="b\u00fccher.example", methods=["get"])
def another_script(req):
    req.response(200, b"another script")

kore.domain("[fe80::*]", attach="http").route("/", says("address"), methods=["get"])
"""


@pytest.fixture(scope="module")
def server(serve_thread: ThreadLauncher) -> ThreadServer:
    return serve_thread(APP)


def reached(server: ThreadServer, wanted: bytes) -> str | int:
    """Return what the handler says, or the status when there is none."""
    with server.connect() as client:
        answer = client.ask(wanted)
    return answer.body.decode() if answer.status == 200 else answer.status


def at(path: str, host: str = "exact.test") -> bytes:
    return request("GET", path, host=host)


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("exact.test", "exact"),
        ("EXACT.test", "exact"),
        ("exact.test:8080", "exact"),
        ("other.test", 404),
        ("exact.test.", "exact"),
        ("Exact.test.:8080", "exact"),
        ("exact.test..", 404),
        (".", 404),
        ("a.wild.test.", "wild"),
        ("xn--bcher-kva.wild.test", "wild"),
        ("xn--bcher-kva.example", "another script"),
        ("[fe80::1]", "address"),
        ("f", 404),
        ("[ff]", 404),
        ("xexact.test", 404),
        ("a.wild.test", "wild"),
        ("A.B.Wild.Test:1", "wild"),
        ("wild.test", 404),
        ("object.test", "method of an object"),
        ("127.0.0.1", 404),
    ],
)
def test_the_host_selects_the_domain(server: ThreadServer, host: str, found: str | int) -> None:
    assert reached(server, at("/", host)) == found


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/one", "one get"),
        ("/one?query=x", "one get"),
        ("/one/", 404),
        ("/On%65", 404),
        ("/on%65", "one get"),
        ("/%6Fne", "one get"),
        ("/one%2F", 404),
        ("/a%2Db%5Fc%2Ed%7Ee", "unreserved"),
        ("/first", "literal first"),
        ("/first-more", "regex second"),
        ("/second", "regex first"),
        ("/user/joe/42", "user|joe|42"),
        ("/user/%6Aoe/42", "user|joe|42"),
        ("/user/joe/", 404),
        ("/user/joe/42/", 404),
        ("/maybe/ab/c", "maybe|a|b"),
        ("/maybe/a/c", "maybe|a"),
        ("/maybe//c", "maybe"),
        ("/a/part/of", "unanchored"),
        ("/mixed/xx", "mixed get|xx"),
    ],
)
def test_the_path_selects_the_route(server: ThreadServer, path: str, found: str | int) -> None:
    assert reached(server, at(path)) == found


def test_a_path_may_have_a_route_for_each_method(server: ThreadServer) -> None:
    said = [
        reached(server, request(method, "/one", "Content-Length: 0", host="exact.test"))
        for method in ("GET", "POST", "PUT", "DELETE")
    ]

    assert said == ["one get", "one post", "one post", 405]


def test_route_with_a_matching_method_is_found_behind_others(server: ThreadServer) -> None:
    wanted = request("POST", "/mixed/xx", "Content-Length: 0", host="exact.test")

    assert reached(server, wanted) == "mixed post|xx"


def test_a_route_without_methods_has_them_all(server: ThreadServer) -> None:
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        wanted = request(method, "/any", "Content-Length: 0", host="exact.test")
        assert reached(server, wanted) == "any", method


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/one", {"GET", "HEAD", "POST", "PUT"}),
        ("/user/joe/1", {"GET", "HEAD"}),
        ("/mixed/yy", {"POST"}),
    ],
)
def test_allow_names_the_methods_of_all_routes_of_the_path(
    server: ThreadServer, path: str, allowed: set[str]
) -> None:
    with server.connect() as client:
        refused = client.ask(request("DELETE", path, host="exact.test"))
        options = client.ask(request("OPTIONS", path, host="exact.test"))

    assert (refused.status, options.status) == (405, 204)
    assert refused.tokens - {"OPTIONS"} == allowed
    assert options.tokens == allowed | {"OPTIONS"}


def test_options_of_its_own_are_the_routes_business(server: ThreadServer) -> None:
    assert reached(server, request("OPTIONS", "/own-options", host="exact.test")) == "own"


def test_options_of_nothing_is_not_found(server: ThreadServer) -> None:
    assert reached(server, request("OPTIONS", "/nothing", host="exact.test")) == 404


def test_a_decorated_function_serves_the_domain_it_names(server: ThreadServer) -> None:
    assert reached(server, at("/decorated", "object.test")) == "decorated"
    assert reached(server, at("/decorated", "exact.test")) == 404


def test_an_absolute_target_selects_the_domain(server: ThreadServer) -> None:
    wanted = request("GET", "http://a.wild.test/", host="exact.test")

    assert reached(server, wanted) == "wild"


def test_absolute_target_of_an_unknown_host_is_404(server: ThreadServer) -> None:
    assert reached(server, request("GET", "http://no.test/", host="exact.test")) in (404, 421)


def test_an_old_client_without_a_host_gets_the_first_domain(server: ThreadServer) -> None:
    with server.connect() as client:
        client.send(request("GET", "/", version="HTTP/1.0", host=None))
        client.until_ended()

    assert [answer.body for answer in client.reader.final] == [b"exact"]


def test_an_unknown_host_keeps_the_connection_in_step(server: ThreadServer) -> None:
    with server.connect() as client:
        assert client.ask(at("/", "other.test")).status == 404
        answer = client.ask(at("/one"))

    assert answer.body == b"one get"


def test_the_class_form_of_an_application_serves(serve: Launcher) -> None:
    server = serve("""
        class App:
            def configure(self, args):
                kore.config.http_keepalive_time = 5
                domain = kore.domain("*", attach="http")
                domain.route("/", self.index, methods=["get"])
                domain.route("^/user/([a-z]+)$", self.user, methods=["get"])

            def index(self, req):
                req.response(200, b"hello world")

            async def user(self, req, name):
                req.response_header("content-type", "text/plain")
                req.response(200, f"hello {name}".encode())

        koreapp = App()
    """)
    with server.connect() as client:
        index, user = client.ask(get("/")), client.ask(get("/user/joe"))
        wrong = client.ask(post(b"", target="/user/joe"))

    assert (index.body, index.get("keep-alive")) == (b"hello world", "timeout=5")
    assert (user.body, user.get("content-type")) == (b"hello joe", "text/plain")
    assert wrong.status == 405
