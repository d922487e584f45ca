import datetime as dt

import pytest

from kore._process.keymgr.expiry import list_expiry_warnings
from kore._process.keymgr.pem_files import CheckedDomain, DomainFile, KeyPair
from tests.helpers.certificates import CertificateAuthority

DAY = dt.timedelta(days=1)
CA = CertificateAuthority("CA")
LEAF = CA.issue("a.test", starts=0, days=60)
START = LEAF.x509.not_valid_before_utc
FILE = DomainFile("certificate", "/c.pem", b"")


def warnings(after: dt.timedelta) -> list[str]:
    domain = CheckedDomain(pairs=[KeyPair(FILE, (LEAF.x509,), LEAF.key)])  # type: ignore[arg-type]
    return list(list_expiry_warnings(domain, START + after))


@pytest.mark.parametrize("days", [0, 30, 40, 49.9])
def test_there_is_no_warning_while_a_sixth_of_the_lifetime_is_left(days: float) -> None:
    assert warnings(days * DAY) == []


@pytest.mark.parametrize(
    ("days", "when"),
    [
        (50.1, "expires in 9 days, on"),
        (58, "expires in 2 days, on"),
        (58.1, "expires in 45 hours, on"),
        (60.1, "expired on"),
    ],
)
def test_a_certificate_that_expires_soon_is_a_warning(days: float, when: str) -> None:
    (line,) = warnings(days * DAY)

    assert line.startswith(f"certificate /c.pem: {when} {LEAF.x509.not_valid_after_utc:%Y-%m-%d}")


def test_a_short_lifetime_has_a_short_warning() -> None:
    short = CA.issue("a.test", starts=0, days=6)
    domain = CheckedDomain(pairs=[KeyPair(FILE, (short.x509,), short.key)])  # type: ignore[arg-type]
    start = short.x509.not_valid_before_utc

    assert list(list_expiry_warnings(domain, start + 4.9 * DAY)) == []
    assert len(list(list_expiry_warnings(domain, start + 5.1 * DAY))) == 1


@pytest.mark.parametrize(("days", "warned"), [(0, False), (7.4, False), (7.6, True), (11, True)])
def test_a_list_that_is_due_soon_is_a_warning(days: float, *, warned: bool) -> None:
    from cryptography import x509

    crl = x509.load_pem_x509_crl(CA.revoke_serials([1], START, START + 10 * DAY))
    lines = list(list_expiry_warnings(CheckedDomain(crls=[crl]), START + days * DAY))

    assert len(lines) == warned
    assert all(line.startswith("the revocation list of CN=CA expire") for line in lines)
