import datetime as dt

import pytest

from kore._process.ipc.messages import ProtocolError
from kore._process.ipc.tls_material import decode_material
from kore._process.ipc.tls_messages import CERTIFICATE, CLIENT_CA, CRL, KEY, number_key
from kore._process.keymgr.certificates import check_domain
from kore._process.keymgr.loaded_domain import LoadedDomain, restore_domain
from kore._process.keymgr.pem_files import DomainFile
from tests.helpers.certificates import CertificateAuthority, key_to_pem

NOW = dt.datetime.now(dt.UTC)
CA = CertificateAuthority("CA")
LATER = CA.issue("a.test", kind="rsa2048", days=300)
SOONER = CA.issue("a.test", days=100)
FILES = (
    DomainFile(CERTIFICATE, "/1.pem", "# café\n".encode("latin-1") + LATER.chain),
    DomainFile(KEY, "/1.key", LATER.key_pem),
    DomainFile(CERTIFICATE, "/2.pem", SOONER.chain),
    DomainFile(KEY, "/2.key", SOONER.key_pem),
    DomainFile(CLIENT_CA, "/ca.pem", CA.pem),
    DomainFile(CRL, "/crl.pem", CA.revoke()),
)


def load() -> LoadedDomain:
    checked = check_domain("a.test", FILES, NOW)
    assert not checked.problems
    return LoadedDomain(3, 7, "tls", "a.test", 2, FILES, checked)


def test_the_material_is_what_workers_need_and_no_key() -> None:
    encoded = load().make_material().encode()

    material = decode_material(encoded)
    assert b"PRIVATE" not in encoded
    assert (material.server, material.domain, material.verify_depth) == ("tls", "a.test", 2)
    assert material.serial == f"{LATER.serial}, {SOONER.serial}"
    assert [one.key_id for one in material.certificates] == [number_key(7, 0), number_key(7, 1)]
    chains = [one.chain_pem.encode() for one in material.certificates]
    assert chains == [LATER.chain, SOONER.chain]
    assert material.client_ca_pem.encode() == CA.pem
    assert material.crl_pem.encode() == FILES[-1].content


def test_the_first_certificate_to_expire_counts() -> None:
    assert load().not_after == SOONER.x509.not_valid_after_utc


def test_numbers_of_keys_are_unique() -> None:
    assert len({number_key(load, index) for load in range(1, 5) for index in range(8)}) == 32


def test_a_restored_domain_is_the_same_even_if_it_has_expired() -> None:
    before = load()

    after = restore_domain(before.encode(), NOW + dt.timedelta(days=1000))

    assert after.make_material() == before.make_material()
    assert (after.domain_id, after.load) == (3, 7)
    keys = [[key_to_pem(key) for _, key in one.list_keys()] for one in (before, after)]
    assert keys[0] == keys[1] == [LATER.key_pem, SOONER.key_pem]
    assert after.has_content(FILES)


def test_other_content_is_told_from_the_same() -> None:
    changed = (*FILES[:-1], FILES[-1]._replace(content=CA.revoke(SOONER)))

    assert load().has_content(FILES)
    assert not load().has_content(changed)


@pytest.mark.parametrize("secret", [b"BEGIN PRIVATE KEY", b"\x00"])
def test_a_private_key_is_in_no_text_about_a_domain(secret: bytes) -> None:
    assert secret.decode() not in repr(load().checked.pairs)


def test_a_domain_whose_keys_cannot_be_read_is_not_restored() -> None:
    broken = load().encode().replace(b"BEGIN CERTIFICATE", b"BEGIN NOTHING")

    with pytest.raises(
        ProtocolError, match=r"cannot restore a\.test: certificate /1\.pem"
    ):
        restore_domain(broken, NOW)
