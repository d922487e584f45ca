"""Host names of servers, looked up where that may take a while: in the template."""

import socket
from typing import Any

from kore._conf.schema import Config
from kore._conf.server_schema import Address
from kore._process.parent.addresses import resolve
from kore._process.parent.listeners import binding


def plain_with_addresses(config: Config) -> dict[str, Any]:
    """Return what the parent needs of a configuration, with host names as IP addresses.

    Raises ConfigError if a name has none.
    """
    plain = config.plain()
    for server, entry in zip(config.servers, plain["servers"], strict=True):
        if not server.address.path:
            with binding(server.address):
                entry["address"]["numeric"] = numeric(server.address)
    return plain


def numeric(address: Address) -> str:
    """Return the first IP address that *address* stands for. Raises OSError if there is none."""
    try:
        target = resolve(address)
    except OSError:
        host = address.ip.encode("ascii" if address.ip.isascii() else "idna")
        flags = socket.AI_PASSIVE
        found = socket.getaddrinfo(host, address.port, type=socket.SOCK_STREAM, flags=flags)
        return str(found[0][4][0])
    return str(target.sockaddr[0]) + (f"%{target.scope}" if target.scope else "")
