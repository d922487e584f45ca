"""A certificate authority of the test's own, with a server's certificate and a client's."""

import ssl
from pathlib import Path

import trustme


class Authority:
    """Files in PEM: `bundle`, `cert` and `key` of a client; contexts for servers."""

    def __init__(self, place: Path) -> None:
        self.ca = trustme.CA()
        self.bundle = str(place / "ca.pem")
        self.ca.cert_pem.write_to_path(self.bundle)
        client = self.ca.issue_cert("client@test.example")
        self.cert, self.key = str(place / "client.pem"), str(place / "client.key")
        client.cert_chain_pems[0].write_to_path(self.cert)
        client.private_key_pem.write_to_path(self.key)
        server = self.ca.issue_cert("127.0.0.1", "localhost")
        self.server_cert = str(place / "server.pem")
        server.private_key_and_cert_chain_pem.write_to_path(self.server_cert)

    def context(self, *, name: str = "", clients: bool = False) -> ssl.SSLContext:
        """Return a server's context; *clients*: they have to show a certificate."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        if name:
            self.ca.issue_cert(name).configure_cert(context)
        else:
            context.load_cert_chain(self.server_cert)
        if clients:
            self.ca.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return context
