"""The opening handshake, as a library's client asks for it and as it must not be asked for."""

from collections.abc import Mapping

import pytest
from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.http11 import Response
from websockets.uri import parse_uri

from kore._websocket.handshake import check_handshake, choose_protocol, compute_accept_key

GOOD = {
    "upgrade": ["websocket"],
    "connection": ["keep-alive, Upgrade"],
    "sec-websocket-version": ["13"],
    "sec-websocket-key": ["dGhlIHNhbXBsZSBub25jZQ=="],
}


class Asked:
    """The fields of a request."""

    def __init__(
        self, method: str = "GET", version: str = "1.1", **fields: str | list[str] | None
    ) -> None:
        self.method_name = method
        self.protocol = "http"
        self.host = "Example.com:8080"
        self.http_version = version
        given = {name.replace("_", "-"): value for name, value in fields.items()}
        self.fields = {**GOOD, **given}

    def request_header(self, name: str) -> str | None:
        values = self.header_values(name)
        return values[0] if values else None

    def header_values(self, name: str) -> list[str]:
        value = self.fields.get(name)
        return [value] if isinstance(value, str) else list(value or [])


def status(asked: Asked, origins: list[str] | None = None) -> int | None:
    found = check_handshake(asked, origins)
    return None if found is None else found.status


def test_accept_key_of_the_rfc_example() -> None:
    assert compute_accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_accept_key_is_accepted_by_the_websockets_library() -> None:
    client = ClientProtocol(parse_uri("ws://h/"))
    asked = client.connect()
    fields = {name.lower(): [value] for name, value in asked.headers.raw_items()}

    assert (
        status(Asked(**{name.replace("-", "_"): value for name, value in fields.items()})) is None
    )
    key = fields["sec-websocket-key"][0]
    answer = Headers(
        upgrade="websocket", connection="Upgrade", sec_websocket_accept=compute_accept_key(key)
    )
    answer = Headers({name.replace("_", "-"): value for name, value in answer.raw_items()})
    client.process_response(Response(101, "", answer))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (Asked(), None),
        (Asked(upgrade=["h2c", "WebSocket"]), None),
        (Asked("POST"), 400),
        (Asked("GET", "1.0"), 400),
        (Asked(upgrade=None), 400),
        (Asked(upgrade="websockets"), 400),
        (Asked(connection="keep-alive"), 400),
        (Asked(content_length="5"), 400),
        (Asked(content_length="0"), None),
        (Asked(transfer_encoding="chunked"), 400),
        (Asked(sec_websocket_version="8"), 426),
        (Asked(sec_websocket_version=None), 426),
        (Asked(sec_websocket_version=["13", "8"]), 426),
        (Asked(sec_websocket_version="13, 8"), 426),
        (Asked(sec_websocket_key=None), 400),
        (Asked(sec_websocket_key="c2hvcnQ="), 400),
        (Asked(sec_websocket_key="not base64 at all!!!!!!!"), 400),
        (Asked(sec_websocket_key=[GOOD["sec-websocket-key"][0]] * 2), 400),
    ],
)
def test_incomplete_handshake_is_refused(asked: Asked, expected: int | None) -> None:
    assert status(asked) == expected


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        (None, None),
        ("https://example.com", None),
        ("HTTPS://Example.com", None),
        ("https://chat.example.org", None),
        ("https://example.com.evil.net", 403),
        ("https://evil.net", 403),
        ("http://example.com", 403),
        ("null", 403),
        (["https://example.com", "https://evil.net"], 403),
    ],
)
def test_other_origins_are_refused(
    origin: str | list[str] | None, expected: int | None
) -> None:
    origins = ["https://example.com", "https://*.example.org"]

    assert status(Asked(origin=origin), origins) == expected
    assert status(Asked(origin=origin)) is None


@pytest.mark.parametrize(
    ("origin", "allowed", "expected"),
    [
        ("http://[::1]:8080", "http://[::1]:8080", None),
        ("http://1:8080", "http://[::1]:8080", 403),
        ("http://127.0.0.1:8888", "http://127.0.0.1:*", None),
        ("http://127.0.0.1.evil.net", "http://127.0.0.1:*", 403),
        ("https://a.example.com", "https://?.example.com", 403),
        ("https://axexample.com", "https://*.example.com", 403),
        ("https://evil.net/x.example.com", "https://*.example.com", 403),
        ("null", "null", None),
        ("moz-extension://x", "*", None),
    ],
)
def test_only_wildcard_in_origins_is_a_star(
    origin: str, allowed: str, expected: int | None
) -> None:
    assert status(Asked(origin=origin), [allowed]) == expected


@pytest.mark.parametrize(
    ("protocol", "host", "origin", "expected"),
    [
        ("http", "example.com:8080", "http://Example.com:8080", None),
        ("http", "Example.com", "http://example.com", None),
        ("http", "example.com:80", "http://example.com", None),
        ("http", "[::1]:8888", "http://[::1]:8888", None),
        ("https", "example.com", "https://example.com", None),
        ("https", "example.com:443", "https://example.com", None),
        ("http", "example.com", "https://example.com", None),  # from a proxy that speaks TLS
        ("https", "example.com", "http://example.com", 403),
        ("https", "example.com", "https://example.com:8443", 403),
        ("http", "example.com:8080", "http://example.com", 403),
        ("http", "example.com", "http://example.com:8080", 403),
        ("http", "example.com:443", "http://example.com", 403),
        ("http", "example.com", "http://evil.example.com", 403),
        ("http", "example.com", "http://example.com.evil.net", 403),
        ("http", "example.com", "http://example.com/", 403),
        ("http", "example.com", "ftp://example.com", 403),
        ("http", "example.com", "example.com", 403),
        ("http", "example.com", ["http://example.com"] * 2, 403),
        ("http", "same", "same", 403),
        ("http", "same", "null", 403),
        ("http", "", "http://", 403),
        ("http", "", "", 403),
        ("http", "example.com", None, None),
    ],
)
def test_same_origin_is_the_host_of_the_request(
    protocol: str, host: str, origin: str | list[str] | None, expected: int | None
) -> None:
    asked = Asked(origin=origin)
    asked.protocol, asked.host = protocol, host

    assert status(asked, ["same"]) == expected
    assert status(asked, ["null-", "Same"]) == expected
    assert status(Asked(origin="https://b.net"), ["same", "https://b.net"]) is None


@pytest.mark.parametrize(
    ("asked", "spoken", "expected"),
    [
        ([], ["chat"], None),
        (["chat"], [], None),
        (["soap, chat"], ["chat"], "chat"),
        (["soap", "chat"], ["chat", "soap"], "soap"),
        (["Chat"], ["chat"], None),
    ],
)
def test_first_common_protocol_is_chosen(
    asked: list[str], spoken: list[str], expected: str | None
) -> None:
    assert choose_protocol(asked, spoken) == expected


def test_refusal_lists_the_supported_version() -> None:
    fields: Mapping[str, str] = dict(check_handshake(Asked(sec_websocket_version="8"), None).fields)

    assert fields == {"upgrade": "websocket", "sec-websocket-version": "13"}
