"""Server names in client hellos, against a parser in Python: the same domain, or the same alert."""

import ipaddress
import re

from cryptography.hazmat.primitives import serialization
from hypothesis import event
from hypothesis import strategies as st

from kore._core.testing_tls import MemoryConnection
from tests.helpers.certificates import CertificateAuthority
from tests.helpers.head_strategies import fuzzed
from tests.helpers.tls_hello import client_hello, name_extension
from tests.helpers.tls_memory import add_domain, make_server

AUTHORITY = CertificateAuthority()
DOMAINS = ("a.test", "*.b.test", "default.test")
LEAVES = {name: AUTHORITY.issue(name) for name in DOMAINS}
DER = {
    name: leaf.x509.public_bytes(serialization.Encoding.DER) for name, leaf in LEAVES.items()
}
DECODE_ERROR, UNRECOGNIZED_NAME = 50, 112

NAMES = st.one_of(
    st.sampled_from([b"a.test", b"x.b.test", b".b.test", b"b.test", b"c.test"]),
    st.sampled_from([b"127.0.0.1", b"::1", b"127.0.0.1."]),
    st.text("aAbB.*-test", max_size=12).map(str.encode),
    st.binary(max_size=300),
)
EXTENSIONS = st.one_of(
    NAMES.map(name_extension),
    st.binary(max_size=40),
    st.tuples(NAMES.map(name_extension), st.integers(0, 8), st.integers(0, 255)).map(
        lambda drawn: drawn[0][: drawn[1]] + bytes([drawn[2]]) + drawn[0][drawn[1] + 1 :]
    ),
    st.tuples(NAMES.map(name_extension), st.binary(max_size=3)).map(b"".join),
    st.tuples(NAMES.map(name_extension), st.integers(0, 12)).map(lambda it: it[0][: it[1]]),
)


SERVER = make_server()
for domain, leaf in LEAVES.items():
    add_domain(SERVER, domain, leaf)
SERVER.set_default("default.test")


def is_address(name: str) -> bool:
    try:
        return "%" not in name and bool(ipaddress.ip_address(name))
    except ValueError:
        return False


def expect(extension: bytes) -> str | int:
    """Return the domain that this extension selects, or an alert."""
    listed, name = extension[2:], extension[5:]
    if (
        len(extension) < 6
        or int.from_bytes(extension[:2]) != len(listed)
        or extension[2] != 0
        or int.from_bytes(extension[3:5]) != len(name)
    ):
        return DECODE_ERROR
    host = name.decode("latin-1").removesuffix(".")
    host = "".join(c.lower() if c.isascii() else c for c in host)
    if 0 < len(host) <= 253 and is_address(host):
        return "default.test"
    if not re.fullmatch(r"[0-9a-z!$&'()*+;=._~-]{1,253}", host):
        return UNRECOGNIZED_NAME
    if host == "a.test":
        return host
    return "*.b.test" if host.endswith(".b.test") else UNRECOGNIZED_NAME


@fuzzed(EXTENSIONS)
def test_a_name_selects_what_the_parser_in_python_finds(extension: bytes) -> None:
    connection = MemoryConnection(SERVER)

    records = connection.shake_hands(client_hello(extension))

    expected = expect(extension)
    if isinstance(expected, int):
        assert records == bytes([21, 3, 3, 0, 2, 2, expected])
        assert connection.failure is not None
    else:
        assert [name for name in DOMAINS if DER[name] in records] == [expected]
    event(str(expected))
