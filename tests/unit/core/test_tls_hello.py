"""The client hello: which domain a name selects, and which protocol is chosen."""

import ssl

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import example, given
from hypothesis import strategies as st

from kore._core.testing_tls import MemoryConnection, find_pattern
from kore._core.tls_context import TlsServer
from kore._values.hosts import compile_wildcard
from tests.helpers.certificates import Certificate, CertificateAuthority
from tests.helpers.tls_hello import client_hello, name_extension, record, vector
from tests.helpers.tls_memory import Handshake, add_domain, client_context, make_server

AUTHORITY = CertificateAuthority()


def serve_domains(*names: str, default: str = "") -> TlsServer:
    """Return a server of domains, each with a certificate of its own number."""
    server = make_server()
    for name in names:
        add_domain(server, name, AUTHORITY.issue(name))
    if default:
        server.set_default(default)
    return server


def shake_hands(server: TlsServer, name: str | None, version: str = "1.3") -> Handshake:
    return Handshake(server, client_context(version), name)


def to_der(certificate: Certificate) -> bytes:
    return certificate.x509.public_bytes(serialization.Encoding.DER)


def alert_in(records: bytes) -> int:
    """Return the number of the fatal alert that records are, 0 for a server hello."""
    return records[6] if records[0] == 21 and records[5] == 2 else 0


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("a.test", "a.test"),
        ("A.Test", "a.test"),
        ("a.test.", "a.test"),
        ("x.a.test", "*.a.test"),
        ("x.y.a.test", "*.a.test"),
        ("b.test", "b.test"),
        (None, "a.test"),
    ],
)
def test_a_name_selects_its_domain(version: str, name: str | None, domain: str) -> None:
    server = serve_domains("b.test", "*.a.test", "a.test", default="a.test")

    found = shake_hands(server, name, version)

    assert found.accepted
    assert found.connection.layer.domain == domain
    assert found.connection.layer.named == (name is not None)
    assert found.connection.layer.server_name == (name or "").lower().rstrip(".")


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("name", ["c.test", "xa.test", "a.test.test", "test", "*.a.test.x"])
def test_an_unknown_name_is_refused_with_an_alert(version: str, name: str) -> None:
    server = serve_domains("a.test", "*.a.test", default="a.test")

    refused = shake_hands(server, name, version)

    assert refused.alert == "unrecognized_name"
    assert refused.connection.failure == f"no domain has the server name '{name}'"


def test_an_unknown_name_selects_a_domain_for_all_names() -> None:
    server = serve_domains("a.test", "*", default="*")

    assert shake_hands(server, "c.test").connection.layer.domain == "*"
    assert shake_hands(server, "a.test").connection.layer.domain == "a.test"
    assert shake_hands(server, None).connection.layer.domain == "*"


def test_no_name_is_refused_without_a_default_domain() -> None:
    refused = shake_hands(serve_domains("a.test"), None)

    assert refused.alert == "unrecognized_name"
    assert "no default domain" in (refused.connection.failure or "")


def test_a_domain_without_a_context_is_not_served_by_another() -> None:
    server = make_server(domains=["late.test", "*"])
    add_domain(server, "*", AUTHORITY.issue("*.test"))

    assert shake_hands(server, "late.test").alert == "unrecognized_name"
    assert shake_hands(server, "other.test").accepted


def test_names_with_wildcards_are_tried_in_the_order_of_domains() -> None:
    server = make_server(domains=["a*", "*.test"])
    for name in ("*.test", "a*"):
        add_domain(server, name, AUTHORITY.issue("a.test"))

    assert shake_hands(server, "a.test").connection.layer.domain == "a*"
    assert shake_hands(server, "b.test").connection.layer.domain == "*.test"


@pytest.mark.parametrize(
    ("address", "is_domain"),
    [(b"127.0.0.1", True), (b"127.0.0.2", False), (b"::1", False), (b"FE80::1", False)],
)
def test_an_address_is_a_name_only_if_it_is_a_domain(address: bytes, *, is_domain: bool) -> None:
    server = make_server()
    default, other = AUTHORITY.issue("a.test"), AUTHORITY.issue("127.0.0.1")
    add_domain(server, "a.test", default)
    add_domain(server, "127.0.0.1", other)
    server.set_default("a.test")

    flight = MemoryConnection(server).shake_hands(client_hello(name_extension(address)))

    assert (to_der(other) in flight) == is_domain
    assert (to_der(default) in flight) != is_domain


def test_a_new_context_is_for_new_connections() -> None:
    server = serve_domains("a.test", default="a.test")
    before = shake_hands(server, "a.test")
    old, new = before.client.getpeercert(binary_form=True), AUTHORITY.issue("a.test", number=1)

    add_domain(server, "a.test", new)

    for name in ("a.test", None):
        after = shake_hands(server, name).client.getpeercert(binary_form=True)
        assert after not in (old, None)
    assert before.connection.read(b"") == b""
    before.incoming.write(before.connection.write(b"still there"))
    assert before.client.read() == b"still there"


@pytest.mark.parametrize(
    "extension",
    [
        b"",
        b"\0",
        b"\0\0",
        b"\0\1\0",
        name_extension(b""),
        name_extension(b"a.test")[:-1],
        name_extension(b"a.test") + b"\0",
        b"\xff\xff" + name_extension(b"a.test")[2:],
        b"\0\x09\0\xff\xff" + b"a.test",
        b"\0\x09\0\0\7" + b"a.test",
        name_extension(b"a.test", kind=1),
        vector(2, b"\0" + vector(2, b"a.test") + b"\0" + vector(2, b"b.test")),
    ],
)
def test_a_malformed_name_extension_is_a_decode_error(extension: bytes) -> None:
    server = serve_domains("a.test", "*", default="a.test")

    assert alert_in(MemoryConnection(server).shake_hands(client_hello(extension))) == 50


@pytest.mark.parametrize(
    "name",
    [
        b".",
        b"a" * 254,
        b"a" * 60_000,
        b"a.test\0",
        b"a.test\0.b.test",
        b"\0",
        b"a/b",
        b"\xff\xfe",
        b"a b",
    ],
)
def test_what_no_host_is_called_is_unrecognized(name: bytes) -> None:
    server = serve_domains("a.test", "*", default="a.test")
    hello = client_hello(name_extension(name))
    connection = MemoryConnection(server)
    assert alert_in(hello) == 0

    records = b""
    if len(hello) > 1 << 14:  # in several records
        body = hello[5:]
        hello = b"".join(record(22, body[at : at + 9000]) for at in range(0, len(body), 9000))
    records += connection.shake_hands(hello)

    assert alert_in(records) in (112, 50)
    assert not connection.established


def test_a_name_of_the_greatest_size_is_compared_as_a_whole() -> None:
    label = "a" * 60
    longest = ".".join([label] * 4) + ".testtest"
    server = serve_domains("*.testtest")

    assert len(longest) == 252
    records = MemoryConnection(server).shake_hands(client_hello(name_extension(longest.encode())))
    assert alert_in(records) == 0


def test_a_hello_in_pieces_of_one_byte_is_read() -> None:
    connection = MemoryConnection(serve_domains("a.test"))
    hello = client_hello(name_extension(b"a.test"))

    received = b"".join(connection.shake_hands(hello[i : i + 1]) for i in range(len(hello)))

    assert connection.failure is None
    assert received[0] == 22


# Names, as the HTTP router reads them

LABELS = st.text("ab.*", min_size=1, max_size=6)


@given(st.lists(LABELS, max_size=6, unique=True), st.text("ab.", min_size=1, max_size=12))
@example(["a*b*", "*"], "aab")
@example(["*a*a"], "aaa")
def test_hosts_match_names_as_in_the_router(names: list[str], host: str) -> None:
    encoded = [name.encode() for name in names]
    exact = [name for name in names if name == host]
    patterns = [name for name in names if "*" in name and compile_wildcard(name)(host)]

    wanted = next(iter(exact + patterns), None)

    assert find_pattern(encoded, host.encode()) == (None if wanted is None else wanted.encode())


def test_a_pattern_of_many_wildcards_takes_little_time() -> None:
    assert find_pattern([b"*a" * 120], b"a" * 253) == b"*a" * 120
    assert find_pattern([b"*a" * 120 + b"b"], b"a" * 253) is None


# ALPN


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ([], None),
        (["http/1.1"], "http/1.1"),
        (["h2", "http/1.1"], "http/1.1"),
        (["http/1.1", "http/1.0"], "http/1.1"),
    ],
)
def test_http1_is_chosen_if_it_is_offered(
    version: str, offered: list[str], chosen: str | None
) -> None:
    context = client_context(version)
    if offered:
        context.set_alpn_protocols(offered)

    handshake = Handshake(serve_domains("a.test"), context, "a.test")

    assert handshake.accepted
    assert handshake.client.selected_alpn_protocol() == chosen
    assert handshake.connection.protocol == (chosen or "").encode()


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("offered", [["h2"], ["h2", "http/1.0"], ["acme-tls/1"], ["HTTP/1.1"]])
def test_other_protocols_are_refused_with_an_alert(version: str, offered: list[str]) -> None:
    context = client_context(version)
    context.set_alpn_protocols(offered)

    handshake = Handshake(serve_domains("a.test"), context, "a.test")

    assert handshake.alert == "no_application_protocol"
    assert handshake.connection.failure is not None


def test_the_protocol_is_chosen_without_a_name_too() -> None:
    context = client_context()
    context.set_alpn_protocols(["h2"])

    handshake = Handshake(serve_domains("a.test", default="a.test"), context, None)

    assert handshake.alert == "no_application_protocol"


def test_a_compatible_client_of_the_library_checks_the_chain() -> None:
    server = serve_domains("a.test", default="a.test")

    assert Handshake(server, client_context(ca=AUTHORITY.pem), "a.test").accepted
    other = Handshake(server, client_context(ca=CertificateAuthority("other").pem), "a.test")
    assert "CERTIFICATE_VERIFY_FAILED" in other.error
    assert isinstance(other.client, ssl.SSLObject)
