"""What a handler sees of a request."""

import json
import socket
from typing import Any

import pytest

from tests.helpers.build import get, post, request
from tests.helpers.fix_serve import Launcher, Server

APP = """
import json

domain = kore.domain("*", attach="http")

def report(req):
    req.response(200, json.dumps({
        "host": req.host, "path": req.path, "method": req.method, "agent": req.agent,
        "protocol": req.protocol, "body": req.body.decode("latin-1"), "headers": req.headers(),
        "found": {name: req.request_header(name) for name in ("X-One", "x-one", "X-TWO", "host",
                                                              "x-none", "x-empty", "x-latin")},
        "addr": req.connection.addr, "fd": req.connection.fd,
        "same": req.connection is req.connection,
        "query": getattr(req, "query", None),
    }))

kore.route("^/report(/.*)?$")(lambda req, *rest: report(req))

@kore.route("/read-only", methods=["get"])
def read_only(req):
    refused = []
    for name in ("host", "path", "agent", "method", "body", "protocol", "connection"):
        try:
            setattr(req, name, "x")
        except AttributeError:
            refused.append(name)
    req.response(200, json.dumps(refused))

@kore.route("/header-types", methods=["get"])
def header_types(req):
    for wrong in (1, None, b"x"):
        try:
            req.request_header(wrong)
        except TypeError:
            continue
        raise AssertionError(wrong)
    req.response(200, b"refused")
"""


@pytest.fixture(scope="module")
def server(serve_module: Launcher) -> Server:
    return serve_module(APP)


def seen(server: Server, wanted: bytes) -> dict[str, Any]:
    with server.connect() as client:
        return dict(json.loads(client.ask(wanted).body))


def test_a_request_tells_where_it_leads(server: Server) -> None:
    found = seen(server, get("/report?a=b&c=%20", "User-Agent: tester/1"))

    assert (found["host"], found["path"], found["protocol"]) == ("localhost", "/report", "http")
    assert found["agent"] == "tester/1"
    assert found["addr"] == "127.0.0.1"
    assert found["fd"] > 2
    assert found["same"] is True


@pytest.mark.parametrize(
    ("method", "number"),
    [("GET", 1), ("POST", 2), ("PUT", 4), ("DELETE", 16), ("OPTIONS", 64), ("PATCH", 128)],
)
def test_a_method_is_a_number(server: Server, method: str, number: int) -> None:
    assert seen(server, request(method, "/report", "Content-Length: 0"))["method"] == number


def test_a_request_without_an_agent_has_none(server: Server) -> None:
    assert seen(server, get("/report"))["agent"] is None


def test_the_host_keeps_its_port_and_the_path_its_case(server: Server) -> None:
    found = seen(server, request("GET", "/report/Some%20Thing/%C3%A9", host="LocalHost:8080"))

    assert found["host"].lower() == "localhost:8080"
    assert found["path"] == "/report/Some%20Thing/%C3%A9"


def test_an_absolute_target_replaces_the_host(server: Server) -> None:
    found = seen(server, get("http://other.invalid:81/report?x"))

    assert (found["host"], found["path"]) == ("other.invalid:81", "/report")


def test_header_names_are_looked_up_in_any_case(server: Server) -> None:
    found = seen(
        server,
        get("/report", "x-ONE:  one \t", "X-Two: a", "X-Two: b", "X-Empty:", "X-Latin: \xe9"),
    )["found"]

    assert (found["X-One"], found["x-one"]) == ("one", "one")
    assert found["X-TWO"] == "a"
    assert (found["host"], found["x-none"], found["x-empty"]) == ("localhost", None, "")
    assert found["x-latin"] == "\xe9"


def test_all_headers_are_a_dictionary_of_lower_case_names(server: Server) -> None:
    headers = seen(server, get("/report", "X-One: 1", "ACCEPT: text/plain", "X-Two: b"))["headers"]

    assert headers == {"host": "localhost", "x-one": "1", "accept": "text/plain", "x-two": "b"}
    assert next(iter(headers)) == "host"


def test_of_a_repeated_header_the_dictionary_has_one(server: Server) -> None:
    assert seen(server, get("/report", "X-Two: a", "X-Two: b"))["headers"]["x-two"] == "b"


def test_a_body_is_there_for_every_method_that_sent_one(server: Server) -> None:
    assert seen(server, post(b"\x00\xffabc", target="/report"))["body"] == "\x00\xffabc"


def test_request_attributes_are_read_only(server: Server) -> None:
    with server.connect() as client:
        refused = json.loads(client.ask(get("/read-only")).body)

    assert refused == ["host", "path", "agent", "method", "body", "protocol", "connection"]


def test_a_header_is_asked_for_by_text(server: Server) -> None:
    with server.connect() as client:
        assert client.ask(get("/header-types")).body == b"refused"


def test_a_unix_socket_serves_clients_without_an_address(serve: Launcher) -> None:
    server = serve("""
        kore.server(name="local", path="local.sock", tls=False)
        domain = kore.domain("*", attach="local")
        domain.route("/", lambda req: req.response(200, req.connection.addr), methods=["get"])
    """)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(server.log.path.with_name("local.sock")))
        client.sendall(get("/", "Connection: close"))
        answer = b"".join(iter(lambda: client.recv(65536), b""))

    assert answer.endswith(b"\r\n\r\n-")
