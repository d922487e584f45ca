from pathlib import Path

import pytest

from kore._conf.server_schema import CertificateFiles, DomainTls
from kore._process.template.tls_checks import check_certificates
from kore.errors import ConfigError
from tests.helpers.certificates import Certificate, CertificateAuthority

CA = CertificateAuthority("CA")
GOOD = CA.issue("a.test")


def write(place: Path, certificate: Certificate, name: str = "a.test") -> DomainTls:
    files = CertificateFiles(*certificate.write(place, name))
    return DomainTls(name, "tls", (files,), where="app.py:3")


def test_good_files_are_no_line(tmp_path: Path) -> None:
    assert check_certificates(()) == []
    assert check_certificates((write(tmp_path, GOOD),)) == []


def test_every_problem_is_a_line_with_its_place(tmp_path: Path) -> None:
    missing = write(tmp_path, GOOD, "missing.test")
    Path(missing.certificates[0].key).unlink()
    expired = write(tmp_path, CA.issue("expired.test", starts=-9, days=2), "expired.test")

    with pytest.raises(ConfigError) as caught:
        check_certificates((missing, write(tmp_path, GOOD), expired))

    first, second = str(caught.value).split("\n")
    assert first == (
        f"app.py:3: domain missing.test: key {tmp_path}/missing.test.key: No such file or directory"
    )
    assert second.startswith(
        f"app.py:3: domain expired.test: certificate {tmp_path}/expired.test.pem: expired on 2"
    )


def test_warnings_are_returned(tmp_path: Path) -> None:
    other = write(tmp_path, CA.issue("b.test"))
    soon = write(tmp_path, CA.issue("soon.test", starts=-50, days=55), "soon.test")

    first, second = check_certificates((other, soon))

    assert first == (
        f"app.py:3: domain a.test: certificate {tmp_path}/a.test.pem: it is not for a.test; "
        "the names in it (subjectAltName): b.test"
    )
    assert second.startswith(
        f"app.py:3: domain soon.test: certificate {tmp_path}/soon.test.pem: expires in 4 days, on 2"
    )
