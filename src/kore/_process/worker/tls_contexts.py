"""The TLS objects of the core that a worker uses: servers, contexts, keys in the key process.

Only this module imports those modules of the core: they are there if kore was built with OpenSSL.
"""

from collections.abc import Callable, Iterable
from typing import Final

from kore._conf.settings import Settings
from kore._core.key_channel import KeyChannel
from kore._core.poller import Poller
from kore._core.remote_key import RemoteKey
from kore._core.tls_context import TlsContext, TlsServer
from kore._core.tls_self_test import start_self_test
from kore._process.ipc.tls_material import DomainMaterial

# The lowest and the highest version by the value of the setting.
VERSIONS: Final = {"1.2": ("1.2", "1.2"), "1.3": ("1.3", "1.3"), "both": ("1.2", "1.3")}


class TlsContexts:
    """Creates the contexts of domains, which sign by the channel *keys_fd* to the key process."""

    def __init__(self, poller: Poller, keys_fd: int) -> None:
        self.poller = poller
        self.keys = KeyChannel(poller, keys_fd)

    def create(self, server: TlsServer, material: DomainMaterial) -> TlsContext:
        """Return the context of a domain. Raises ValueError with OpenSSL's reason."""
        certificates = []
        for one in material.certificates:
            chain = one.chain_pem.encode()
            certificates.append((chain, RemoteKey(self.keys, one.key_id, chain)))
        return TlsContext(
            server,
            material.domain,
            certificates,
            client_ca=material.client_ca_pem.encode(),
            verify_depth=material.verify_depth,
            crl=material.crl_pem.encode(),
        )

    def test(self, context: TlsContext, on_done: Callable[[str], object]) -> None:
        """Do a handshake in memory; call *on_done* with the reason if it fails, or with nothing."""
        start_self_test(context, on_done)

    def close_revoked(self, server: TlsServer) -> int:
        """Close the connections of clients whose certificates are revoked; return their number."""
        return server.close_revoked(self.poller)


def create_server(settings: Settings, domains: Iterable[str]) -> TlsServer:
    """Return the TLS server of these domains, in the order in which names are compared.

    Clients that name none of them get the domain `*`, or else the first.
    """
    names = list(domains)
    lowest, highest = VERSIONS[settings.tls_version]
    server = TlsServer(
        min_version=lowest, max_version=highest, ciphers=settings.tls_cipher, domains=names
    )
    server.set_default("*" if "*" in names else names[0])
    return server
