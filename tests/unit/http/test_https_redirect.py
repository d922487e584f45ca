"""Hosts that a server with TLS has are redirected to it, others are not."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from kore._http.https_redirect import HttpsRedirect, SecureDomain, choose_port


@dataclass
class FakeRequest:
    """What a redirect reads, and what it says."""

    bare_host: str = "a.test"
    path: str = "/"
    query_string: str = ""
    is_star: bool = False
    access_log: Any = None
    said: dict[str, Any] = field(default_factory=dict)

    def refuse(self, status: int, allow: str = "") -> None:
        raise NotImplementedError

    def response_header(self, name: str, value: str) -> None:
        self.said[name] = value

    def response(self, status: int, body: bytes | None = None) -> None:
        self.said["status"] = status


DOMAINS = (
    SecureDomain("a.test", 443, "log"),
    SecureDomain("*.wild.test", 8443),
    SecureDomain("[::1]", 443),
)


def ask(request: FakeRequest) -> dict[str, Any]:
    """Return what a redirect says; {} if the routes of the server decide."""
    reached: list[FakeRequest] = []
    assert HttpsRedirect(DOMAINS, reached.append).resolve(request) is None
    assert bool(reached) != bool(request.said)
    return request.said


@pytest.mark.parametrize(
    ("request_", "location"),
    [
        (FakeRequest(), "https://a.test/"),
        (FakeRequest(path="/a/b", query_string="c=d&e"), "https://a.test/a/b?c=d&e"),
        (FakeRequest(path="//evil.test/x"), "https://a.test//evil.test/x"),
        (FakeRequest("x.wild.test", "/y"), "https://x.wild.test:8443/y"),
        (FakeRequest("[0:0::1]"), "https://[0:0::1]/"),
        (FakeRequest(path="/.well-known/other"), "https://a.test/.well-known/other"),
    ],
)
def test_a_host_with_tls_is_redirected(request_: FakeRequest, location: str) -> None:
    assert ask(request_) == {"location": location, "status": 308}


@pytest.mark.parametrize(
    "request_",
    [
        FakeRequest("b.test"),
        FakeRequest("wild.test"),
        FakeRequest(""),
        FakeRequest(path="*", is_star=True),
        FakeRequest(path="/.well-known/acme-challenge/token"),
    ],
)
def test_other_requests_get_the_routes_of_the_server(request_: FakeRequest) -> None:
    assert ask(request_) == {}


def test_a_redirect_is_logged_where_its_host_is() -> None:
    request = FakeRequest()

    ask(request)

    assert request.access_log == "log"


def test_the_usual_port_is_preferred() -> None:
    assert choose_port([8443, 443]) == 443
    assert choose_port([8443, 9443]) == 8443
    assert choose_port([]) == 443
