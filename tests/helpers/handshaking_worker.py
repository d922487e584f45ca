"""A process that does handshakes with remote keys: `python -m tests.helpers.handshaking_worker FD`.

It reads the chain of certificates of key 1 from standard input, up to a line `.`, and has
handshakes of TLS 1.2 and 1.3 signed at the other end of the descriptor. Then it waits to be looked
at.
"""

import ssl
import sys

from kore._core.key_channel import KeyChannel
from kore._core.poller import Poller
from kore._core.remote_key import RemoteKey
from kore._core.tls_context import TlsContext, TlsServer
from tests.helpers.memory_connection import CIPHERS, NAME, MemoryConnection, wait_for_events


def do_handshake(server: TlsServer, poller: Poller, version: ssl.TLSVersion) -> None:
    """Do one handshake with a client that trusts everything."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    connection = MemoryConnection(server, context)
    wait_for_events(poller)
    connection.resume()
    assert connection.is_done


def main() -> None:
    """Do the handshakes."""
    chain = b"".join(iter(sys.stdin.buffer.readline, b".\n"))
    poller = Poller()
    key = RemoteKey(KeyChannel(poller, int(sys.argv[1]), 60_000), 1, chain)
    server = TlsServer(min_version="1.2", max_version="1.3", ciphers=CIPHERS)
    server.set_domain(NAME, TlsContext(server, NAME, [(chain, key)]))
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        do_handshake(server, poller, version)
    sys.stdout.write("done\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
