"""Requests over TLS by the host of the handshake and that of the request: 200, 404, 421; HSTS.

Cookies, origins and the access log, too, as far as they depend on TLS.
"""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from kore._core.refusals import REFUSALS
from tests.helpers.build import get, request
from tests.helpers.fix_serve import Launcher, Server
from tests.helpers.procs import until
from tests.helpers.raw_client import Client
from tests.helpers.served_certificates import ServedCertificate, SessionCertificates
from tests.helpers.tls_client import TlsClient, trusting

APP: Final = """
import json
import kore

def index(req):
    req.response_cookie("session", "x")
    if req.path == "/own":
        req.response_header("strict-transport-security", "max-age=1")
    req.response(200, f"{req.host} {req.protocol}")

def socket(req):
    req.websocket_handshake(origins=["same"])

LOG = ("access.log", '{"args":"$args","status":$status,"cn":"$ssl_client_cn",'
       '"sni":"$ssl_server_name","scheme":"$scheme","refusal":"$refusal",'
       '"tls":"$ssl_protocol $ssl_cipher"}')
for name in ("a.test", "b.test", "*.wild.test", "localhost"):
    domain = kore.domain(name, attach="http")
    domain.accesslog = LOG
    domain.route("^/(own)?$", lambda req, *_: index(req), methods=["get"])
    domain.route("/ws", socket, methods=["get"])
verified = kore.domain("verified.test", attach="http", cert=CERT, key=KEY, client_verify=CA)
verified.accesslog = LOG
verified.route("/", index, methods=["get"])
"""

Connect = Callable[..., TlsClient]


NAMES: Final = ("a.test", "b.test", "*.wild.test", "localhost", "verified.test")


@pytest.fixture(scope="module")
def tls(
    certificates: SessionCertificates, tmp_path_factory: pytest.TempPathFactory
) -> ServedCertificate:
    """Return a certificate with all names of the domains."""
    made = certificates.authority.issue(*NAMES).write(tmp_path_factory.mktemp("hosts"), "server")
    return ServedCertificate(str(made.certificate), str(made.key), certificates.ca_file)


@pytest.fixture(scope="module")
def server(
    serve_module: Launcher, tls: ServedCertificate, certificates: SessionCertificates
) -> Server:
    app = APP.replace("CERT", repr(tls.certificate)).replace("KEY", repr(tls.key))
    app = app.replace("CA", repr(certificates.ca_file))
    return serve_module(app, tls=tls, settings={"http_hsts_enable": 5})


@pytest.fixture
def connect(server: Server, certificates: SessionCertificates) -> Iterator[Connect]:
    clients: list[TlsClient] = []

    def connect(server_name: str, *, certified: bool = False) -> TlsClient:
        context = trusting(certificates.ca_file)
        context.check_hostname = False
        if certified:
            files = certificates.client("Ann Lee")
            context.load_cert_chain(files.certificate, files.key)
        clients.append(
            TlsClient(server.address, ["GET"], context=context, server_name=server_name)
        )
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


@pytest.mark.parametrize(
    ("server_name", "host", "certified", "status"),
    [
        ("a.test", "a.test", False, 200),
        ("a.test", "A.TEST.:8443", False, 200),
        ("A.Test", "a.test", False, 200),
        ("x.wild.test", "x.wild.test", False, 200),
        ("x.wild.test", "y.wild.test", False, 200),
        ("a.test", "b.test", False, 421),
        ("a.test", "x.wild.test", False, 421),
        ("a.test", "unknown.test", False, 421),
        ("a.test", "verified.test", False, 421),
        ("a.test", "verified.test", True, 421),
        ("", "a.test", False, 200),
        ("", "b.test", False, 200),
        ("", "127.0.0.1", False, 404),
        ("", "verified.test", False, 421),
        ("", "verified.test", True, 421),
        ("verified.test", "verified.test", True, 200),
        ("verified.test", "a.test", True, 421),
    ],
)
def test_a_request_has_the_host_of_its_handshake(
    connect: Connect, server_name: str, host: str, certified: bool, status: int
) -> None:
    client = connect(server_name, certified=certified)

    answer = client.ask(request(host=host))

    assert answer.status == status
    if status == 200:
        assert answer.body == f"{host} https".encode()


def test_a_misdirected_request_leaves_the_connection_to_its_host(connect: Connect) -> None:
    client = connect("a.test")

    assert client.ask(request(host="b.test")).status == 421
    assert client.ask(request(host="a.test")).status == 200


def test_http_1_0_without_a_host_gets_the_domain_of_the_handshake(connect: Connect) -> None:
    client = connect("b.test")

    assert client.ask(request(version="HTTP/1.0", host=None)).body == b" https"


def test_curl_sees_421_for_another_host(server: Server, certificates: SessionCertificates) -> None:
    port = server.address[1]
    command = ["curl", "-sS", "--cacert", certificates.ca_file, "--noproxy", "*"]
    connect = ["--connect-to", f"::127.0.0.1:{port}", "-o", "/dev/null", "-w", "%{http_code}"]

    statuses = [
        subprocess.check_output([*command, *connect, *more, "https://a.test/"], text=True)
        for more in ([], ["-H", "Host: b.test"], ["-H", "Host: verified.test"])
    ]

    assert statuses == ["200", "421", "421"]


def read_log(server: Server, **values: str) -> list[dict[str, object]]:
    """Return the lines with these values."""
    path: Path = server.log.path.parent / "access.log"
    lines = map(json.loads, path.read_text().splitlines())
    return [line for line in lines if line.items() >= values.items()]


def test_the_access_log_has_names_of_the_handshake_and_reasons(
    server: Server, connect: Connect
) -> None:
    client = connect("verified.test", certified=True)
    client.ask(request("GET", "/?logged", host="verified.test"))
    client.ask(request("GET", "/?logged", host="a.test"))

    until(lambda: len(read_log(server, args="logged")) == 2, what="two lines")
    good, bad = read_log(server, args="logged")

    assert (good["status"], good["cn"], good["sni"]) == (200, "Ann Lee", "verified.test")
    assert good["scheme"] == "https"
    assert re.fullmatch(r"TLSv1\.[23] [A-Z0-9_-]+", str(good["tls"]))
    assert bad["status"] == 421
    assert bad["refusal"] == REFUSALS["MISDIRECTED"].text
    server.log.wait("refused with 421: the TLS handshake was not for this host (RFC 9110 7.4)")


def test_http_without_tls_gets_one_sentence_and_a_line_in_the_log(server: Server) -> None:
    with Client(server.address, ["GET"]) as client:
        answer = client.ask(request(host="a.test"))
        client.wait(lambda: False)

    assert answer.status == 400
    assert b"https" in answer.body.lower() or b"TLS" in answer.body
    assert client.end == "closed"
    reason = REFUSALS["PLAINTEXT"].text
    until(lambda: read_log(server, refusal=reason), what="a line")
    assert read_log(server, refusal=reason)[0]["status"] == 400


# Strict-Transport-Security


@pytest.mark.parametrize(
    ("server_name", "raw", "expected"),
    [
        ("a.test", request(host="a.test"), ["max-age=5"]),
        ("a.test", request("GET", "/nothing", host="a.test"), ["max-age=5"]),
        ("a.test", b"nonsense\r\n\r\n", ["max-age=5"]),
        ("a.test", request("GET", "/own", host="a.test"), ["max-age=1"]),
        ("localhost", request(host="localhost"), []),
        ("", request(host="a.test"), []),
    ],
)
def test_hsts_is_sent_for_hosts_with_names(
    connect: Connect, server_name: str, raw: bytes, expected: list[str]
) -> None:
    client = connect(server_name)

    assert client.ask(raw).all("strict-transport-security") == expected


# Cookies and origins


def test_cookies_are_secure(connect: Connect) -> None:
    client = connect("a.test")

    (cookie,) = client.ask(request(host="a.test")).all("set-cookie")

    assert "; Secure" in cookie


@pytest.mark.parametrize(("origin", "status"), [("https://a.test", 101), ("http://a.test", 403)])
def test_a_page_without_tls_may_not_connect_to_a_websocket(
    connect: Connect, origin: str, status: int
) -> None:
    client = connect("a.test")
    fields = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13")
    key = "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg=="

    client.send(request("GET", "/ws", *fields, key, f"Origin: {origin}", host="a.test"))
    client.wait(lambda: client.reader.answers)

    (answer,) = client.reader.answers
    assert answer.status == status
    assert answer.all("strict-transport-security") == ["max-age=5"]


# Redirects of a server without TLS

REDIRECTING: Final = """
import kore
kore.server("plain", ip="127.0.0.1", port=0, tls=False, redirect_https=True)
kore.domain("a.test", attach="http").route("/", lambda req: req.response(200, b"secure"))
site = kore.domain("*", attach="plain")
site.route("^/", lambda req: req.response(200, b"plain"))
"""


@pytest.fixture(scope="module")
def redirecting(serve_module: Launcher, tls: ServedCertificate) -> Server:
    return serve_module(REDIRECTING, tls=tls)


def ask_plain(server: Server, *arguments: str) -> list[str]:
    """Return status, location and body of what curl gets from the server without TLS."""
    found = server.log.search(r"plain serving http on 127\.0\.0\.1:(\d+)")
    url = f"http://127.0.0.1:{found[1]}"
    *others, path = arguments
    told = ["curl", "-sS", "--noproxy", "*", "-w", "\n%{http_code}\n%header{location}", *others]
    body, status, location = subprocess.check_output([*told, url + path], text=True).split("\n")
    return [status, location, body]


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
def test_a_host_with_tls_is_redirected(redirecting: Server, method: str) -> None:
    port = redirecting.address[1]

    status, location, _ = ask_plain(
        redirecting, "-X", method, "-H", "Host: A.test:80", "/x/y?a=b&c=%20"
    )

    assert (status, location) == ("308", f"https://a.test:{port}/x/y?a=b&c=%20")


def test_other_hosts_and_challenges_are_served(redirecting: Server) -> None:
    challenge = "/.well-known/acme-challenge/token"

    assert ask_plain(redirecting, "/") == ["200", "", "plain"]
    assert ask_plain(redirecting, "-H", "Host: a.test", challenge) == ["200", "", "plain"]


def test_the_log_says_which_server_has_tls(redirecting: Server) -> None:
    assert redirecting.log.search(r"http serving https on 127\.0\.0\.1:\d+")


def test_a_request_for_a_redirect_may_be_followed_by_another(redirecting: Server) -> None:
    port = redirecting.log.search(r"plain serving http on 127\.0\.0\.1:(\d+)")[1]

    with Client(("127.0.0.1", int(port)), ["GET", "GET"]) as client:
        client.send(request(host="a.test") + get())
        assert [answer.status for answer in client.answers(2)] == [308, 200]
