"""The local certificate authority: what it issues, when it renews, who can read its key."""

import os
import shutil
import ssl
import stat
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from kore._cli.local_ca import get_directory, prepare_certificate
from kore._conf.server_schema import LOCAL_CERTIFICATE, LOCAL_KEY

NOW = datetime.now(UTC)


def load(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_the_certificate_is_for_localhost_and_trusted_by_its_authority(tmp_path: Path) -> None:
    made = prepare_certificate(tmp_path / "a" / "b", NOW)

    assert made.is_new
    ssl.create_default_context(cafile=made.ca)
    leaf = load(made.directory / LOCAL_CERTIFICATE)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert list(map(str, names.get_values_for_type(x509.IPAddress))) == ["127.0.0.1", "::1"]
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc < timedelta(days=366)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
        made.directory / LOCAL_CERTIFICATE, made.directory / LOCAL_KEY
    )


@pytest.mark.parametrize("host", [("-verify_hostname", "localhost"), ("-verify_ip", "::1")])
def test_openssl_verifies_the_chain_strictly(tmp_path: Path, host: tuple[str, str]) -> None:
    made = prepare_certificate(tmp_path, NOW)
    command = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", *host]

    done = subprocess.run(
        [*command, "-CAfile", made.ca, tmp_path / LOCAL_CERTIFICATE],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr


def test_the_authority_cannot_issue_for_other_names(tmp_path: Path) -> None:
    made = prepare_certificate(tmp_path, NOW)

    allowed = load(made.ca).extensions.get_extension_for_class(x509.NameConstraints)

    assert allowed.critical
    assert [str(name.value) for name in allowed.value.permitted_subtrees or ()] == [
        "localhost",
        "127.0.0.0/8",
        "::1/128",
    ]


def test_keys_are_for_their_user_only(tmp_path: Path) -> None:
    (tmp_path / "ca").mkdir()
    old = os.umask(0)
    try:
        made = prepare_certificate(tmp_path / "ca", NOW)
    finally:
        os.umask(old)

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in made.directory.iterdir()}
    assert stat.S_IMODE(made.directory.stat().st_mode) == 0o700
    assert modes == {
        "ca.pem": 0o644,
        "ca-key.pem": 0o600,
        "localhost.pem": 0o644,
        "localhost-key.pem": 0o600,
    }


def test_the_certificate_is_kept_until_a_month_before_its_end(tmp_path: Path) -> None:
    first = prepare_certificate(tmp_path, NOW)
    serial = load(tmp_path / LOCAL_CERTIFICATE).serial_number
    authority = first.ca.read_bytes()

    again = prepare_certificate(tmp_path, NOW + timedelta(days=169))
    assert load(tmp_path / LOCAL_CERTIFICATE).serial_number == serial
    assert not again.is_new

    prepare_certificate(tmp_path, NOW + timedelta(days=171))
    renewed = load(tmp_path / LOCAL_CERTIFICATE)
    assert renewed.serial_number != serial
    assert first.ca.read_bytes() == authority
    renewed.verify_directly_issued_by(load(first.ca))


def test_files_that_do_not_belong_together_are_replaced(tmp_path: Path) -> None:
    made = prepare_certificate(tmp_path, NOW)
    shutil.copy(tmp_path / LOCAL_KEY, tmp_path / "ca-key.pem")

    again = prepare_certificate(tmp_path, NOW)

    assert again.is_new
    load(tmp_path / LOCAL_CERTIFICATE).verify_directly_issued_by(load(made.ca))


def test_a_broken_certificate_is_replaced(tmp_path: Path) -> None:
    prepare_certificate(tmp_path, NOW)
    (tmp_path / LOCAL_CERTIFICATE).write_text("nonsense")

    assert not prepare_certificate(tmp_path, NOW).is_new
    load(tmp_path / LOCAL_CERTIFICATE)


def test_it_is_where_the_data_of_the_user_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert get_directory() == Path("/data/kore/local-ca")
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/u")
    assert get_directory() == Path("/home/u/.local/share/kore/local-ca")


def test_a_user_without_a_home_directory_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 7)

    with pytest.raises(OSError, match="set HOME or XDG_DATA_HOME"):
        get_directory()
