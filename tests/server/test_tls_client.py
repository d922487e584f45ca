"""The HTTP client's TLS keywords against a server of Kore: what works, and how each fails."""

from pathlib import Path

import pytest

import kore
from tests.helpers.fix_serve import Launcher, Server
from tests.helpers.loops import on_both
from tests.helpers.served_certificates import SessionCertificates
from tests.unit.httpclient.test_failing import fails

APP = """
    import kore

    kore.domain("*", attach="http")

    @kore.route("/", methods=["get"])
    def index(req):
        req.response(200, b"hello world")
"""
# A certificate that names another host, and a domain that asks for certificates of clients.
OTHERS = """
    import kore

    kore.domain({name!r}, attach="http", cert={cert!r}, key={key!r}, {more})

    @kore.route("/", methods=["get"])
    def index(req):
        req.response(200, b"hello world")
"""


@pytest.fixture(scope="module")
def open_server(serve_module: Launcher, certificates: SessionCertificates) -> Server:
    return serve_module(APP, tls=certificates.server())


@pytest.fixture(scope="module")
def misnamed(serve_module: Launcher, certificates: SessionCertificates) -> Server:
    other = certificates.authority.issue("other.example").write(certificates.directory, "other")
    app = OTHERS.format(name="*", cert=other.certificate, key=other.key, more="")
    return serve_module(app, tls=certificates.server())


@pytest.fixture(scope="module")
def verifying(serve_module: Launcher, certificates: SessionCertificates) -> Server:
    own = certificates.server()
    more = f"client_verify={certificates.ca_file!r}"
    app = OTHERS.format(name="localhost", cert=own.certificate, key=own.key, more=more)
    return serve_module(app, tls=own)


def url(server: Server) -> str:
    return f"https://localhost:{server.address[1]}/"


@on_both
async def test_unknown_authority_is_refused(open_server: Server) -> None:
    error = await fails(kore.httpclient(url(open_server)).get())

    assert error.code == 60
    assert "unable to get local issuer certificate" in str(error)


@on_both
async def test_cabundle_is_trusted(open_server: Server, certificates: SessionCertificates) -> None:
    client = kore.httpclient(url(open_server), cabundle=certificates.ca_file)

    assert await client.get() == (200, b"hello world")
    wrong = kore.httpclient(url(open_server), cabundle=certificates.other_ca_file)
    assert (await fails(wrong.get())).code == 60


@on_both
async def test_certificate_of_another_name_is_refused_if_it_is_verified(
    misnamed: Server, certificates: SessionCertificates
) -> None:
    verifying = kore.httpclient(url(misnamed), cabundle=certificates.ca_file)
    error = await fails(verifying.get())

    assert error.code == 60
    assert "localhost" in str(error)
    assert await kore.httpclient(url(misnamed), tlsverify=False).get() == (200, b"hello world")


@pytest.mark.parametrize("kind_of_key", ["p256", "rsa2048", "ed25519", "pss"])
@on_both
async def test_client_certificate_is_accepted(
    verifying: Server, certificates: SessionCertificates, kind_of_key: str
) -> None:
    shown = certificates.client(kind=kind_of_key)
    client = kore.httpclient(
        url(verifying),
        cabundle=certificates.ca_file,
        tlscert=shown.certificate,
        tlskey=Path(shown.key),
    )

    assert await client.get() == (200, b"hello world")


@on_both
async def test_missing_client_certificate_is_refused(
    verifying: Server, certificates: SessionCertificates
) -> None:
    client = kore.httpclient(url(verifying), cabundle=certificates.ca_file)

    # With TLS 1.3 the alert comes after the client's part of the handshake.
    assert (await fails(client.get())).code in {35, 55, 56}


@on_both
async def test_client_certificate_of_another_authority_is_refused(
    verifying: Server, certificates: SessionCertificates
) -> None:
    shown = certificates.client(trusted=False)
    client = kore.httpclient(
        url(verifying),
        cabundle=certificates.ca_file,
        tlscert=shown.certificate,
        tlskey=shown.key,
    )

    assert (await fails(client.get())).code in {35, 55, 56}


@on_both
async def test_key_of_another_certificate_is_refused(
    verifying: Server, certificates: SessionCertificates
) -> None:
    client = kore.httpclient(
        url(verifying),
        cabundle=certificates.ca_file,
        tlscert=certificates.client().certificate,
        tlskey=certificates.client(kind="rsa2048").key,
    )
    error = await fails(client.get())

    assert error.code == 58
    assert "key does not match the certificate" in str(error)
