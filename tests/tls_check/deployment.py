"""A server with certificates of its own, which are replaced while it runs."""

import os
import signal
import ssl
from pathlib import Path
from typing import Final

from tests.helpers import procs
from tests.helpers.certificates import Certificate, CertificateAuthority
from tests.helpers.fix_serve import Launcher, Server
from tests.helpers.served_certificates import NAMES, ServedCertificate
from tests.helpers.tls_client import peer_serial, trusting

KINDS: Final = {"P-256": ("p256",), "RSA-2048": ("rsa2048",), "both": ("p256", "rsa2048")}
APP: Final = """
import kore

domain = kore.domain("*", attach="http", cert={certificates!r}, key={keys!r})

@kore.route("/", methods=["get"])
def index(req):
    req.response(200, b"hello world")

@kore.route("^/number/([0-9]+)$", methods=["get"])
def number(req, text):
    req.response(200, text.encode())
"""


class Deployment:
    """A running server, and the files of its certificates."""

    def __init__(self, name: str, serve: Launcher, directory: Path) -> None:
        """*name*: of the kinds of its keys."""
        self.name = name
        self.kinds = KINDS[name]
        self.directory = directory
        self.authority = CertificateAuthority()
        self.ca_file = self.authority.write(directory)
        self.context = trusting(self.ca_file)
        self.swaps = 0
        for kind in self.kinds:
            self.issue(kind).write(directory, kind)
        certificates, keys = self.paths("pem"), self.paths("key")
        app = APP.format(certificates=certificates, keys=keys)
        served = ServedCertificate(certificates[0], keys[0], self.ca_file)
        self.server: Server = serve(app, tls=served)

    def paths(self, ending: str) -> list[str]:
        """Return the files of the certificates, or of the keys."""
        return [str(self.directory / f"{kind}.{ending}") for kind in self.kinds]

    def issue(self, kind: str) -> Certificate:
        """Issue a certificate with another key than the one before."""
        return self.authority.issue(*NAMES, kind=kind, number=self.swaps % 2)

    @property
    def port(self) -> int:
        """The port it serves on."""
        return self.server.address[1]

    def swap(self, *, signalled: bool) -> str:
        """Replace the certificates and keys; return the serial number of the first."""
        self.swaps += 1
        issued = [self.issue(kind) for kind in self.kinds]
        for kind, certificate in zip(self.kinds, issued, strict=True):
            files = certificate.write(self.directory, f"new-{kind}")
            Path(files.certificate).replace(self.directory / f"{kind}.pem")
            Path(files.key).replace(self.directory / f"{kind}.key")
        if signalled:
            os.kill(self.server.process.pid, signal.SIGUSR1)
        return issued[0].serial

    def serial(self) -> str:
        """Return the serial number that a new connection is shown."""
        return peer_serial(self.server.address, self.context)

    def key_process(self) -> int:
        """Return the process id of the key process."""
        found = [p for p in procs.session(self.server.process.pid) if "keymgr" in procs.title(p)]
        assert len(found) == 1, found
        return found[0]


def hello(name: str = "localhost") -> bytes:
    """Return the first bytes of a handshake: a client hello."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname=name)
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("a handshake without a server")
