"""Certificates of a domain: what is used, what is refused, and what is only warned about."""

import base64
import datetime as dt
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from kore._process.ipc.tls_messages import CERTIFICATE, CLIENT_CA, CRL, KEY
from kore._process.keymgr.certificates import check_domain, format_date, format_serial
from kore._process.keymgr.pem_files import CheckedDomain, DomainFile
from tests.helpers.certificates import (
    Certificate,
    CertificateAuthority,
    issue_self_signed,
    key_to_pem,
    to_pem,
)

NOW = dt.datetime.now(dt.UTC)
ROOT = CertificateAuthority("Root")
SERVERS = CertificateAuthority("Servers", issuer=ROOT)
SUB = CertificateAuthority("Sub", issuer=SERVERS)
GOOD = SERVERS.issue("a.test", "*.b.test", "127.0.0.1")
OTHER = SERVERS.issue("a.test", number=1)
LATER = NOW + 40 * dt.timedelta(days=1)


def check(
    certificate: bytes = GOOD.chain,
    key: bytes = GOOD.key_pem,
    *more: DomainFile,
    domain: str = "a.test",
    now: dt.datetime = NOW,
    replaces: bool = False,
    mode: int = 0o600,
) -> CheckedDomain:
    files = [DomainFile(CERTIFICATE, "/c.pem", certificate), DomainFile(KEY, "/k.pem", key, mode)]
    return check_domain(domain, [*files, *more], now, replaces=replaces)


def only(lines: list[str]) -> str:
    (line,) = lines
    return line


@pytest.mark.parametrize("kind", ["p256", "p384", "rsa2048"])
def test_a_good_certificate_is_used_with_its_chain(kind: str) -> None:
    good = SUB.issue("a.test", kind=kind)

    found = check(good.chain, good.key_pem)

    assert found.problems == found.warnings == []
    (pair,) = found.pairs
    assert pair.chain == (good.x509, SUB.x509, SERVERS.x509)
    assert pair.chain_pem == good.chain
    assert format_serial(pair.certificate) == good.serial


def test_certificate_and_key_may_be_one_file() -> None:
    both = GOOD.chain + GOOD.key_pem

    assert check(both, both).problems == []


def test_a_key_may_come_after_the_parameters_of_its_curve() -> None:
    traditional = GOOD.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"

    assert check(key=parameters + traditional).problems == []


DER = GOOD.x509.public_bytes(serialization.Encoding.DER)
KEY_DER = GOOD.key.private_bytes(
    serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
CURVE_K1 = key_to_pem(ec.generate_private_key(ec.SECP256K1()))
CLIENT = ROOT.issue_client("c", "ed25519")


@pytest.mark.parametrize(
    ("certificate", "problem"),
    [
        (b"", "certificate /c.pem: the file is empty"),
        (b" \n", "certificate /c.pem: the file is empty"),
        (b"hello", "certificate /c.pem: not PEM, there is no certificate in it"),
        (DER, "certificate /c.pem: not PEM but DER"),
        (GOOD.key_pem, "certificate /c.pem: a private key, not a certificate"),
        (to_pem(GOOD.x509)[:-60], "certificate /c.pem: damaged or incomplete"),
        (to_pem(GOOD.x509)[:200], "certificate /c.pem: damaged or incomplete"),
        (to_pem(GOOD.x509) + to_pem(SERVERS.x509)[:300], "certificate /c.pem: incomplete"),
        (OTHER.chain, "key /k.pem: it is not the key of certificate /c.pem"),
        (
            to_pem(SERVERS.x509) + to_pem(GOOD.x509),
            "certificate /c.pem: the chain is out of order, the certificate of the server itself",
        ),
    ],
)
def test_a_bad_certificate_file_is_one_line(certificate: bytes, problem: str) -> None:
    found = check(certificate)

    assert only(found.problems).startswith(problem)
    assert "\n" not in only(found.problems)
    assert found.pairs == []


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        (b"", "the file is empty"),
        (b"hello", "not PEM, there is no private key in it"),
        (KEY_DER, "not PEM but DER"),
        (GOOD.chain, "a certificate, not a private key"),
        (GOOD.key_pem[:-40], "the key is incomplete"),
        (GOOD.key_pem.replace(b"MI", b"AA"), "the key is damaged"),
        (key_to_pem(GOOD.key, b"secret"), "the key is encrypted"),
        (key_to_pem(OTHER.key), "it is not the key of certificate /c.pem"),
        (CLIENT.key_pem, "a key of type Ed25519"),
        (CURVE_K1, "a key of type secp256k1"),
    ],
)
def test_a_bad_key_file_is_one_line_without_anything_of_the_key(key: bytes, problem: str) -> None:
    found = check(key=key)

    text = only(found.problems)
    assert text.startswith(f"key /k.pem: {problem}")
    assert "\n" not in text
    assert not any(len(line) > 20 and line in text for line in key.decode("latin-1").split("\n"))


def test_an_rsa_key_whose_numbers_do_not_belong_together_is_damaged() -> None:
    good = SERVERS.issue("a.test", kind="rsa2048")
    numbers = good.key.private_numbers()
    assert isinstance(numbers, rsa.RSAPrivateNumbers)
    wrong = rsa.RSAPrivateNumbers(
        p=numbers.p,
        q=numbers.q,
        d=numbers.d ^ 2**40,
        dmp1=numbers.dmp1 ^ 2**40,
        dmq1=numbers.dmq1,
        iqmp=numbers.iqmp,
        public_numbers=numbers.public_numbers,
    )
    key = key_to_pem(wrong.private_key(unsafe_skip_rsa_key_validation=True))

    assert check(good.chain, key).problems == ["key /k.pem: the key is damaged"]


def test_an_old_encrypted_key_is_told_from_a_damaged_one() -> None:
    old = GOOD.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.BestAvailableEncryption(b"secret"),
    )

    assert only(check(key=old).problems).startswith("key /k.pem: the key is encrypted")


def test_an_expired_certificate_is_refused() -> None:
    expired = SERVERS.issue("a.test", starts=-20, days=10)

    problem = only(check(expired.chain, expired.key_pem).problems)

    assert (
        problem == f"certificate /c.pem: expired on {format_date(expired.x509.not_valid_after_utc)}"
    )


def test_a_certificate_that_is_not_valid_yet_is_used_only_if_there_is_no_other() -> None:
    future = SERVERS.issue("a.test", starts=2)

    first = check(future.chain, future.key_pem)
    second = check(future.chain, future.key_pem, replaces=True)

    assert first.problems == second.warnings == []
    assert only(first.warnings) == only(second.problems)
    assert only(first.warnings).startswith("certificate /c.pem: not valid before 2")


def test_an_expired_issuer_is_a_warning() -> None:
    leaf = SERVERS.issue("a.test", days=6000)

    found = check(leaf.chain, leaf.key_pem, now=NOW + dt.timedelta(days=5000))

    assert found.problems == []
    assert only(found.warnings).startswith("certificate /c.pem: 'Servers' in its chain expired on")


def test_weak_keys_and_signatures_are_refused() -> None:
    weak = SERVERS.issue("a.test", kind="rsa1024")
    old = CertificateAuthority("Old", "rsa2048")
    sha1 = old.sign_with_sha1(issue_self_signed("a.test"))

    assert only(check(weak.chain, weak.key_pem).problems) == (
        "certificate /c.pem: an RSA key of 1024 bits is too weak: at least 2048"
    )
    assert "signed with SHA1" in only(check(to_pem(sha1.x509)).problems)


def test_a_key_for_pss_only_is_refused(tmp_path: Path) -> None:
    paths = ROOT.write_pss_client(tmp_path, "a.test")
    certificate, key = (Path(path).read_bytes() for path in paths)

    assert "RSASSA-PSS" in only(check(certificate, key).problems)


def test_issuers_out_of_order_are_sent_in_order() -> None:
    good = SUB.issue("a.test")
    mixed = to_pem(good.x509) + to_pem(SERVERS.x509) + to_pem(SUB.x509)

    found = check(mixed, good.key_pem)

    assert found.problems == []
    assert only(found.warnings) == (
        "certificate /c.pem: the chain is out of order, it is sent in order"
    )
    assert found.pairs[0].chain == (good.x509, SUB.x509, SERVERS.x509)


@pytest.mark.parametrize(
    ("domain", "named"),
    [
        ("a.test", True),
        ("A.TEST", True),
        ("x.b.test", True),
        ("b.test", False),
        ("x.y.b.test", False),
        ("*.b.test", True),
        ("*.test", True),
        ("*.c.test", False),
        ("*", True),
        ("www.*.test", True),
        ("127.0.0.1", True),
        ("127.0.0.2", False),
        ("[::1]", False),
        ("c.test", False),
    ],
)
def test_a_name_that_the_certificate_does_not_have_is_a_warning(
    domain: str, *, named: bool
) -> None:
    found = check(domain=domain)

    assert found.problems == []
    if named:
        assert found.warnings == []
    else:
        assert only(found.warnings) == (
            f"certificate /c.pem: it is not for {domain}; "
            "the names in it (subjectAltName): a.test, *.b.test, 127.0.0.1"
        )


def test_a_certificate_for_clients_is_a_warning() -> None:
    client = ROOT.issue_client("a.test")

    warnings = check(client.chain, client.key_pem).warnings

    assert "certificate /c.pem: it is not for servers (extendedKeyUsage)" in warnings


@pytest.mark.parametrize(("mode", "warned"), [(0o600, 0), (0o640, 0), (0o644, 1), (0o604, 1)])
def test_a_key_that_all_users_can_read_is_a_warning(mode: int, warned: int) -> None:
    found = check(mode=mode)

    assert found.problems == []
    assert len(found.warnings) == warned
    assert all("every user of this machine can read it" in line for line in found.warnings)


def two(first: Certificate, second: Certificate) -> CheckedDomain:
    files = [
        DomainFile(kind, f"/{kind}{number}", content)
        for number, one in enumerate((first, second))
        for kind, content in ((CERTIFICATE, one.chain), (KEY, one.key_pem))
    ]
    return check_domain("a.test", files, NOW)


def test_a_domain_may_have_a_certificate_of_each_type() -> None:
    rsa = SERVERS.issue("a.test", kind="rsa2048")

    assert two(GOOD, rsa).problems == []
    assert only(two(GOOD, OTHER).problems) == (
        "certificate /certificate1: its key is of the same type as that of certificate "
        "/certificate0: a domain may have one certificate with RSA and one with ECDSA"
    )


def test_every_bad_file_gets_a_line() -> None:
    found = check(b"", b"", DomainFile(CLIENT_CA, "/ca.pem", b""), DomainFile(CRL, "/crl.pem", b""))

    assert found.problems == [
        "certificate /c.pem: the file is empty",
        "key /k.pem: the file is empty",
        "client_verify /ca.pem: the file is empty",
        "crl /crl.pem: the file is empty",
    ]


def clients(crl: bytes, *authorities: CertificateAuthority) -> CheckedDomain:
    ca = b"".join(one.pem for one in authorities)
    return check(
        GOOD.chain,
        GOOD.key_pem,
        DomainFile(CLIENT_CA, "/ca.pem", ca),
        DomainFile(CRL, "/crl.pem", crl),
    )


def test_client_cas_and_their_lists_are_used() -> None:
    other = CertificateAuthority("Other")
    found = clients(ROOT.revoke() + other.revoke(CLIENT), ROOT, other)

    assert found.problems == found.warnings == []
    assert found.client_ca == [ROOT.x509, other.x509]
    assert [crl.issuer for crl in found.crls] == [ROOT.name, other.name]


@pytest.mark.parametrize(
    ("crl", "problem"),
    [
        (b"hello", "crl /crl.pem: not PEM, no X509 CRL"),
        (ROOT.revoke()[:-30], "crl /crl.pem: the list is incomplete"),
        (ROOT.revoke() + ROOT.revoke()[:-30], "crl /crl.pem: the list is incomplete"),
        (ROOT.revoke().replace(b"MI", b"AA"), "crl /crl.pem: damaged"),
    ],
)
def test_a_bad_list_is_refused(crl: bytes, problem: str) -> None:
    assert only(clients(crl, ROOT).problems).startswith(problem)


def test_lists_for_which_all_clients_are_refused_are_warnings() -> None:
    expired = only(clients(ROOT.revoke(expired=True), ROOT).warnings)
    missing = only(clients(ROOT.revoke(), ROOT, CertificateAuthority("Other")).warnings)

    assert expired.startswith("crl /crl.pem: the list of 'Root' was due to be replaced on")
    assert missing == "crl /crl.pem: no list of 'Other': its clients are refused"


def test_an_expired_client_ca_is_a_warning() -> None:
    found = check(
        SERVERS.issue("a.test", days=9000).chain,
        GOOD.key_pem,
        DomainFile(CLIENT_CA, "/ca.pem", ROOT.pem),
        now=NOW + dt.timedelta(days=5000),
    )

    assert any(line.startswith("client_verify /ca.pem: 'Root' expired") for line in found.warnings)


def test_names_of_issuers_do_not_break_the_line() -> None:
    certificate = issue_self_signed("a.test")
    odd = CertificateAuthority("Odd\nname")

    found = clients(odd.revoke(expired=True), odd)

    assert all("\n" not in line for line in found.warnings)
    assert check(certificate.chain, certificate.key_pem).problems == []


@given(st.binary(max_size=300), st.integers(0, 2000), st.integers(0, 255))
def test_any_content_is_used_or_refused_with_a_reason(junk: bytes, at: int, byte: int) -> None:
    changed = bytearray(GOOD.chain)
    changed[at % len(changed)] = byte
    for content in (junk, bytes(changed), b"-----BEGIN CERTIFICATE-----" + junk):
        found = check(content, content + GOOD.key_pem)
        assert found.pairs or found.problems


def change_der(pem: bytes, old: bytes, new: bytes) -> bytes:
    """Return the first block of *pem* with other bytes in it."""
    label, body = pem.split(b"-----")[1], pem.split(b"-----")[2]
    der = base64.b64decode(body)
    assert old in der
    return b"-----%b-----\n%b-----%b-----\n" % (
        label,
        base64.encodebytes(der.replace(old, new, 1)),
        label.replace(b"BEGIN", b"END"),
    )


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        # Another version, and a name that is not in UTF-8.
        (CLIENT_CA, change_der(ROOT.pem, b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x03")),
        (CLIENT_CA, change_der(ROOT.pem, b"\x0c\x04Root", b"\x0c\x04\xffoot")),
        (CRL, change_der(ROOT.revoke(), b"\x02\x01\x01", b"\x02\x01\x00")),
        (CRL, change_der(ROOT.revoke(), b"\x0c\x04Root", b"\x0c\x04\xffoot")),
    ],
)
def test_files_that_are_only_nearly_well_formed_are_damaged(kind: str, content: bytes) -> None:
    (problem,) = check(GOOD.chain, GOOD.key_pem, DomainFile(kind, "/file.pem", content)).problems

    assert problem.startswith(f"{kind} /file.pem: damaged")


def test_thousands_of_warnings_become_few() -> None:
    later = NOW + 4000 * dt.timedelta(days=1)
    authorities = b"".join(CertificateAuthority(f"CA {number}").pem for number in range(50))

    good = issue_self_signed("a.test")
    clients = DomainFile(CLIENT_CA, "/ca.pem", authorities)

    found = check(good.chain, good.key_pem, clients, now=later)

    assert found.warnings[0].startswith("client_verify /ca.pem: 'CA 0' expired on")
    assert found.warnings[20:] == ["and 30 more like these"]


def test_a_chain_that_is_too_long_for_clients_is_refused() -> None:
    chain = GOOD.chain + ROOT.pem * 300

    problem = only(check(chain, GOOD.key_pem).problems)

    assert problem.startswith("certificate /c.pem: a chain of 302 certificates")
    assert "which clients do not accept" in problem
