"""Look up host names of servers, in the template: the parent must not block."""

import socket
from typing import Any

from kore._conf.schema import Config
from kore._conf.server_schema import Address
from kore._process.parent.addresses import resolve
from kore._process.parent.listeners import translate_bind_errors


def resolve_host_names(config: Config) -> dict[str, Any]:
    """Return the plain configuration for the parent, with IP addresses of host names.

    Raises ConfigError if a name cannot be resolved.
    """
    plain = config.plain()
    for server, entry in zip(config.servers, plain["servers"], strict=True):
        if not server.address.path:
            with translate_bind_errors(server.address):
                entry["address"]["numeric"] = find_numeric_address(server.address)
    return plain


def find_numeric_address(address: Address) -> str:
    """Return the first IP address of a host name. Raises OSError if there is none."""
    try:
        target = resolve(address)
    except OSError:
        host = address.ip.encode("ascii" if address.ip.isascii() else "idna")
        flags = socket.AI_PASSIVE
        found = socket.getaddrinfo(host, address.port, type=socket.SOCK_STREAM, flags=flags)
        return str(found[0][4][0])
    return str(target.sockaddr[0]) + (f"%{target.scope}" if target.scope else "")
