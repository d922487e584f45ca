"""What a domain answers before any route: redirects and refusals; pages for errors; hsts."""

from pathlib import Path

import pytest

from tests.helpers.build import get, post, request
from tests.helpers.fix_serve import Launcher
from tests.helpers.fix_worker import ThreadLauncher, ThreadServer

APP = """
domain = kore.domain("a.test", attach="http")
domain.redirect("^/old/(.*)$", 301, "/new/$1?$qs")
domain.redirect("^/(.*)/$", 308, "/$1")
domain.redirect("^/away(.*)$", 302, "https://b.test$1")
domain.redirect("^/([^/]*)/sub$", 303, "https://$1.b.test/")
domain.return_("^/(secret|old)", 403)
domain.return_("^/gone", 410)
domain.return_("^/teapot", 418)
domain.return_("^/odd", 599)
domain.redirect("^/gone/too", 301, "/never")
domain.route("/old/route", lambda req: req.response(200, b"never"))
domain.route("/route", lambda req: req.response(200, b"route"))
domain.route("^/captured/(.)$", lambda req, one: req.response(200, one))

plain = kore.domain("plain.test", attach="http")
plain.route("/old/x", lambda req: req.response(200, b"plain"))
"""


@pytest.fixture(scope="module")
def server(serve_thread: ThreadLauncher) -> ThreadServer:
    return serve_thread(APP)


def at(path: str, *fields: str, method: str = "GET", host: str = "a.test") -> bytes:
    return request(method, path, *fields, host=host)


@pytest.mark.parametrize(
    ("path", "status", "location"),
    [
        ("/old/a/b", 301, "/new/a/b"),
        ("/old/a?x=1&y=$1", 301, "/new/a?x=1&y=$1"),
        ("/old/route", 301, "/new/route"),
        ("/a/b/", 308, "/a/b"),
        ("//evil.test/", 308, "/evil.test"),
        ("/away/x", 302, "https://b.test/x"),
        ("/away.evil.test", 302, "https://b.test/.evil.test"),
        ("/a/sub", 303, "https://a.b.test/"),
    ],
)
def test_clients_are_redirected(
    server: ThreadServer, path: str, status: int, location: str
) -> None:
    with server.connect() as client:
        answer = client.ask(at(path))
        assert (answer.status, answer.get("location"), answer.body) == (status, location, b"")
        assert answer.get("content-length") == "0"
        # The connection goes on.
        assert client.ask(at("/route")).body == b"route"


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "DELETE", "PATCH"])
def test_a_redirect_is_for_every_method(server: ThreadServer, method: str) -> None:
    with server.connect() as client:
        assert client.ask(at("/old/x", method=method)).status == 301


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/secret", 403, b"403 Forbidden\n"),
        ("/old", 403, b"403 Forbidden\n"),
        ("/gone/too", 410, b"410 Gone\n"),
        ("/teapot", 418, b"418 I'm a Teapot\n"),
        ("/odd", 599, b"599\n"),
        # No name of a host begins so.
        ("/a%2fb/sub", 404, b"404 Not Found\n"),
    ],
)
def test_paths_are_refused(server: ThreadServer, path: str, status: int, body: bytes) -> None:
    with server.connect() as client:
        answer = client.ask(at(path))
        assert (answer.status, answer.get("location"), answer.body) == (status, None, body)
        assert client.ask(at("/route")).body == b"route"


def test_routes_and_other_domains_are_as_without(server: ThreadServer) -> None:
    with server.connect() as client:
        assert client.ask(at("/captured/x")).body == b"x"
        assert client.ask(at("/nothing")).status == 404
        assert client.ask(at("/old/x", host="plain.test")).body == b"plain"
        # Not about a path.
        assert client.ask(at("*", method="OPTIONS")).status == 204


def test_body_of_a_redirected_request_is_not_read_as_a_request(server: ThreadServer) -> None:
    inner = at("/route")
    with server.connect() as client:
        answer = client.ask(
            request("POST", "/old/x", f"Content-Length: {len(inner)}", host="a.test", body=inner)
        )
        assert answer.status == 301
        assert client.ask(at("/captured/y")).body == b"y"
    with server.connect() as client:
        client.send(request("POST", "/secret", "Content-Length: 900000", host="a.test"), inner)
        assert client.answer().status == 403
        client.send(inner)
        assert client.until_ended() == "closed"
        assert len(client.reader.final) == 1


PRETTY = """
domain = kore.domain("*", attach="http")
domain.return_("^/refused", 451)

@kore.route("/empty")
def empty(req):
    req.response(int(req.query["status"][0]))

@kore.route("/said")
def said(req):
    req.response(404, b"not here")

@kore.route("/typed")
def typed(req):
    req.response_header("content-type", "application/json")
    req.response(400, b"")

@kore.route("/pieces")
def pieces(req):
    req.response(500, iter([b"a", b"b"]))

@kore.route("/length", methods=["head"])
def length(req):
    req.response_header("content-length", "77")
    req.response(404)

@kore.route("/echo", methods=["post"])
def echo(req):
    req.response(200, req.body)
"""
HTML = "text/html; charset=utf-8"


@pytest.fixture(scope="module")
def pretty(serve_thread: ThreadLauncher) -> ThreadServer:
    settings = {"http_pretty_error": True, "http_server_version": "", "http_hsts_enable": 5}
    return serve_thread(PRETTY, settings=settings, beside=True)


@pytest.mark.parametrize(
    ("wanted", "status", "title"),
    [
        (get("/nothing"), 404, "404 Not Found"),
        (get("/refused"), 451, "451 Unavailable For Legal Reasons"),
        (get("/empty?status=500"), 500, "500 Internal Server Error"),
        (get("/empty?status=418"), 418, "418 I&#x27;m a Teapot"),
        (get("/empty?status=599"), 599, "599"),
        (get("/echo"), 405, "405 Method Not Allowed"),
        (post(length=2_000_000), 413, "413 Content Too Large"),
        (b"GET\r\n\r\n", 400, "400 Bad Request"),
        (get("/", "X: " + "x" * 20_000), 431, "431 Request Header Fields Too Large"),
    ],
)
def test_an_error_with_nothing_to_say_is_a_page(
    pretty: ThreadServer, wanted: bytes, status: int, title: str
) -> None:
    with pretty.connect() as client:
        answer = client.ask(wanted)

    assert (answer.status, answer.get("content-type")) == (status, HTML)
    assert f"<h1>{title}</h1>" in answer.body.decode()
    assert answer.body.startswith(b"<!DOCTYPE html>")


def test_a_range_behind_the_end_of_a_file_is_a_page_that_says_where_the_end_is(
    serve: Launcher, tmp_path: Path
) -> None:
    (tmp_path / "digits").write_bytes(b"0123456789")
    app = f'kore.domain("*", attach="http").filemaps({{"/": "{tmp_path}"}})\n'
    server = serve(app, settings={"http_pretty_error": True})

    with server.connect() as client:
        answer = client.ask(get("/digits", "Range: bytes=10-"))

    assert (answer.status, answer.get("content-type")) == (416, HTML)
    assert answer.get("content-range") == "bytes */10"
    assert b"<h1>416 Range Not Satisfiable</h1>" in answer.body


def test_responses_of_the_application_are_unchanged(pretty: ThreadServer) -> None:
    with pretty.connect() as client:
        assert client.ask(get("/said")).body == b"not here"
        typed = client.ask(get("/typed"))
        assert (typed.body, typed.get("content-type")) == (b"", "application/json")
        assert client.ask(get("/pieces")).body == b"ab"
        assert client.ask(get("/empty?status=399")).body == b""
        assert client.ask(get("/empty?status=204")).body == b""


def test_head_has_the_length_of_the_page_and_not_the_page(pretty: ThreadServer) -> None:
    with pretty.connect() as client:
        page = client.ask(get("/nothing"))
        head = client.ask(request("HEAD", "/nothing"))
        assert head.get("content-length") == str(len(page.body))
        assert client.ask(request("HEAD", "/length")).get("content-length") == "77"
        assert client.ask(get("/said")).status == 404


def test_a_server_without_a_name_sends_none_and_without_tls_no_demand_for_it(
    pretty: ThreadServer, server: ThreadServer
) -> None:
    with pretty.connect() as client:
        answer = client.ask(get("/said"))
        assert answer.get("server") is None
        assert answer.get("date") is not None
        assert answer.get("strict-transport-security") is None
    with server.connect() as client:
        assert (client.ask(at("/route")).get("server") or "").startswith("kore (")
