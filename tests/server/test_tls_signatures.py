"""Signatures of the key process, as `openssl s_client` sees them: schemes, hashes, curves."""

import re
import shutil
import subprocess

import pytest

from tests.helpers.fix_serve import Launcher, Server
from tests.helpers.served_certificates import SessionCertificates

pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="Debian: apt install openssl"
)
APP = """
for name, certificates, keys in {domains!r}:
    domain = kore.domain(name, attach="http", cert=certificates, key=keys)
    domain.route("/", lambda req: req.response(200, b"hello"), methods=["get"])
"""
KINDS = {"localhost": ["p256", "rsa2048"], "p384.test": ["p384"]}
SERVER_SIGNS = re.compile(r"^Peer signing digest: (\S+)\nPeer signature type: (\S+)", re.M)
KEY_EXCHANGE = re.compile(r"^Server Temp Key: (?:ECDH, )?([^,\n]+)", re.M)


@pytest.fixture(scope="module")
def server(serve_module: Launcher, certificates: SessionCertificates) -> Server:
    """A domain with a key on a curve and one of RSA, and another with a key on a larger curve."""
    files = {name: list(map(certificates.server, kinds)) for name, kinds in KINDS.items()}
    domains = [
        (name, [one.certificate for one in found], [one.key for one in found])
        for name, found in files.items()
    ]
    return serve_module(APP.format(domains=domains), tls=files["localhost"][0])


def shake_hands(server: Server, *options: str, name: str = "localhost") -> str:
    """Return what s_client says of a handshake that it has verified."""
    host, port = server.address
    assert server.tls is not None
    command = ["openssl", "s_client", "-connect", f"{host}:{port}", "-servername", name]
    command += ["-CAfile", server.tls.ca_file, "-verify_return_error", *options]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Verify return code: 0 (ok)" in done.stdout
    return done.stdout


TLS_1_2 = ("-tls1_2", "-cipher")


@pytest.mark.parametrize(
    ("options", "signature"),
    [
        (("-tls1_3", "-sigalgs", "ECDSA+SHA256"), ("SHA256", "ECDSA")),
        (("-tls1_3", "-sigalgs", "RSA-PSS+SHA256"), ("SHA256", "RSA-PSS")),
        (("-tls1_3", "-sigalgs", "RSA-PSS+SHA384"), ("SHA384", "RSA-PSS")),
        (("-tls1_3", "-sigalgs", "RSA-PSS+SHA512"), ("SHA512", "RSA-PSS")),
        ((*TLS_1_2, "ECDHE+ECDSA", "-sigalgs", "ECDSA+SHA256"), ("SHA256", "ECDSA")),
        ((*TLS_1_2, "ECDHE+ECDSA", "-sigalgs", "ECDSA+SHA384:ECDSA+SHA256"), ("SHA384", "ECDSA")),
        ((*TLS_1_2, "ECDHE+aRSA", "-sigalgs", "RSA+SHA256"), ("SHA256", "RSA")),
        ((*TLS_1_2, "ECDHE+aRSA", "-sigalgs", "RSA+SHA512"), ("SHA512", "RSA")),
        ((*TLS_1_2, "ECDHE+aRSA", "-sigalgs", "RSA-PSS+SHA256"), ("SHA256", "RSA-PSS")),
    ],
    ids=str,
)
def test_the_client_gets_a_signature_of_its_kind(
    server: Server, options: tuple[str, ...], signature: tuple[str, str]
) -> None:
    said = shake_hands(server, *options)

    assert SERVER_SIGNS.findall(said) == [signature]


@pytest.mark.parametrize("group", ["X25519", "P-256", "P-384"])
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_the_point_of_each_curve_is_signed(server: Server, version: str, group: str) -> None:
    said = shake_hands(server, version, "-groups", group)

    names = {"P-256": {"P-256", "prime256v1"}, "P-384": {"P-384", "secp384r1"}}
    assert set(KEY_EXCHANGE.findall(said)) <= names.get(group, {group})
    assert KEY_EXCHANGE.search(said)


@pytest.mark.parametrize(("version", "digest"), [("-tls1_2", "SHA256"), ("-tls1_3", "SHA384")])
def test_a_key_on_a_larger_curve_signs(server: Server, version: str, digest: str) -> None:
    said = shake_hands(server, version, name="p384.test")

    assert SERVER_SIGNS.findall(said) == [(digest, "ECDSA")]


@pytest.mark.parametrize(
    "options",
    [
        ("-tls1_2", "-cipher", "DHE+aRSA"),
        ("-tls1_2", "-cipher", "kRSA"),
        ("-tls1_3", "-sigalgs", "ed25519"),
    ],
    ids=str,
)
def test_what_the_key_process_does_not_sign_is_not_offered(
    server: Server, options: tuple[str, ...]
) -> None:
    with pytest.raises(AssertionError, match="alert handshake failure"):
        shake_hands(server, *options)
    shake_hands(server)
