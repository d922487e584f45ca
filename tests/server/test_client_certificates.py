"""Client certificates, sessions and domains of a real server with two workers and a key process."""

import os
import signal
import ssl
import subprocess
from pathlib import Path

import pytest

from tests.helpers import procs
from tests.helpers.certificates import Certificate, CertificateAuthority, CertificatePaths
from tests.helpers.fix_serve import Launcher, Server
from tests.helpers.served_certificates import SessionCertificates
from tests.helpers.tls_client import TlsClient, alert_of, trusting

APP = """
def show(req):
    connection = req.connection
    names = connection.x509dict
    size = len(connection.x509 or b"")
    req.response(200, f"{names and names['subject']['CN']} {size > 0}".encode())

for name, keywords in {
    "localhost": {},
    "test": {"client_verify": CA, "crl": CRL},
}.items():
    kore.domain(name, attach="http", **keywords).route("/", show, methods=["get"])
"""
CLIENTS = CertificateAuthority("clients")
ALICE, BOB = CLIENTS.issue_client("alice"), CLIENTS.issue_client("bob")


class Site:
    """A server with an open domain and one that verifies clients, and its revocation list."""

    def __init__(
        self, serve: Launcher, directory: Path, certificates: SessionCertificates
    ) -> None:
        self.directory = directory
        self.ca_file = certificates.ca_file
        self.crl = directory / "crl.pem"
        self.revoke()
        ca = CLIENTS.write(directory, "clients")
        self.paths = {
            one: one.write(directory, name) for one, name in ((ALICE, "alice"), (BOB, "bob"))
        }
        source = f"CA, CRL = {ca!r}, {str(self.crl)!r}\n{APP}"
        self.server: Server = serve(
            source, settings={"workers": 2}, tls=certificates.server()
        )

    def revoke(self, *certificates: Certificate) -> None:
        """Replace the revocation list."""
        new = self.crl.with_name("new")
        new.write_bytes(CLIENTS.revoke(*certificates))
        new.replace(self.crl)

    def connect(
        self,
        name: str,
        certificate: Certificate | None = None,
        *,
        context: ssl.SSLContext | None = None,
        session: ssl.SSLSession | None = None,
    ) -> TlsClient:
        """Connect to a domain with the certificate of a client."""
        context = context or trusting(self.ca_file)
        if certificate is not None:
            context.load_cert_chain(*self.paths[certificate])
        return TlsClient(
            self.server.address, ("GET", "GET"), context=context, server_name=name, session=session
        )

    def is_accepted(self, certificate: Certificate | None) -> bool:
        """Return whether a new connection gets a response."""
        try:
            with self.connect("test", certificate) as client:
                return client.ask(get("test")).status == 200
        except (ssl.SSLError, ConnectionError):
            return False


def get(host: str) -> bytes:
    return f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


@pytest.fixture(scope="module")
def site(
    serve_module: Launcher,
    tmp_path_factory: pytest.TempPathFactory,
    certificates: SessionCertificates,
) -> Site:
    return Site(serve_module, tmp_path_factory.mktemp("site"), certificates)


def test_a_handler_sees_the_certificate(site: Site) -> None:
    with site.connect("test", ALICE) as client:
        assert client.ask(get("test")).body == b"alice True"
    with site.connect("localhost", ALICE) as client:
        assert client.ask(get("localhost")).body == b"None False"
        # The client has a certificate, but was not asked for it.
        assert client.ask(get("test")).status == 421


def test_without_a_certificate_the_domain_is_closed(site: Site) -> None:
    assert not site.is_accepted(None)


def test_an_unknown_name_is_refused(site: Site) -> None:
    with pytest.raises(ssl.SSLError) as refused:
        site.connect("other.test")
    assert alert_of(refused.value) == "unrecognized_name"


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_sessions_are_resumed_by_both_workers(site: Site, version: str) -> None:
    context = trusting(site.ca_file)
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    with site.connect("localhost", context=context) as client:
        client.ask(get("localhost"))
        session = client.tls.session

    for _ in range(6):
        with site.connect("localhost", context=context, session=session) as client:
            assert client.ask(get("localhost")).status == 200
            assert client.tls.session_reused


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_a_session_does_not_replace_the_certificate(site: Site, version: str) -> None:
    context = trusting(site.ca_file)
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    context.load_cert_chain(*site.paths[ALICE])
    with site.connect("test", context=context) as client:
        client.ask(get("test"))
        session = client.tls.session
    assert session is None or not session.has_ticket

    with site.connect("test", context=context, session=session) as client:
        assert client.ask(get("test")).body == b"alice True"
        assert not client.tls.session_reused


def run_s_client(site: Site, *arguments: str) -> str:
    """Return what `openssl s_client` says of a connection on which it sends a request."""
    host, port = site.server.address
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"{host}:{port}", "-CAfile", site.ca_file,
         "-verify_return_error", "-ign_eof", *arguments],
        input=b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    return (done.stdout + done.stderr).decode()


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_resumes_its_sessions(site: Site, version: str, tmp_path: Path) -> None:
    common = (version, "-servername", "localhost", "-alpn", "http/1.1")
    first = run_s_client(site, *common, "-sess_out", str(tmp_path / "session"))
    assert "HTTP/1.1 200" in first
    assert "ALPN protocol: http/1.1" in first

    again = run_s_client(site, *common, "-sess_in", str(tmp_path / "session"))

    assert "HTTP/1.1 200" in again
    assert "\nReused, TLSv1" in again


@pytest.mark.parametrize("name", ["localhost", "test"])
def test_a_second_client_hello_is_for_the_same_domain(site: Site, name: str) -> None:
    # Its first one has a key share of a group that the server does not have.
    alice = site.paths[ALICE]
    groups = ("-tls1_3", "-groups", "X448:P-256", "-cert", alice.certificate, "-key", alice.key)

    said = run_s_client(site, "-servername", name, *groups)

    assert "Server Temp Key: ECDH, prime256v1" in said
    assert "HTTP/1.1 200" in said or name == "test"
    assert ("Acceptable client certificate CA names" in said) == (name == "test")


def test_openssl_cannot_renegotiate(site: Site) -> None:
    host, port = site.server.address
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"{host}:{port}", "-CAfile", site.ca_file, "-tls1_2",
         "-servername", "localhost"],
        input=b"R\n", capture_output=True, check=False, timeout=60,
    )  # fmt: skip

    assert b"RENEGOTIATING" in done.stdout + done.stderr
    assert b"no renegotiation" in done.stdout + done.stderr


def test_openssl_is_told_the_authorities_of_clients(site: Site) -> None:
    alice: CertificatePaths = site.paths[ALICE]

    said = run_s_client(
        site, "-servername", "test", "-cert", alice.certificate, "-key", alice.key
    )

    assert "Acceptable client certificate CA names\nCN = clients\n" in said
    assert "Server Temp Key: X25519" in said
    assert "Early data was not sent" in said
    assert "Max Early Data: 0" in said or "Max Early Data" not in said


def test_a_revoked_certificate_ends_its_open_connections(site: Site) -> None:
    with site.connect("test", ALICE) as alice, site.connect("test", BOB) as bob:
        assert alice.ask(get("test")).body == b"alice True"
        site.revoke(ALICE)
        os.kill(site.server.process.pid, signal.SIGUSR1)

        assert alice.hears(procs.PATIENCE)
        assert alice.end in ("closed", "truncated", "reset")
        assert bob.ask(get("test")).body == b"bob True"

    procs.until(
        lambda: not any(site.is_accepted(ALICE) for _ in range(6)), what="the list everywhere"
    )
    assert site.is_accepted(BOB)
    site.revoke()
    procs.until(lambda: all(site.is_accepted(ALICE) for _ in range(6)), what="the old list again")
    text = "domain test: connections removed, their certificates are revoked: 1"
    assert text in site.server.log.text()
