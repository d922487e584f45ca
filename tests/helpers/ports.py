"""Ports for tests that have to name one beforehand."""

import random
import socket
from typing import Final

# Below the ports that the kernel gives to who does not care (net.ipv4.ip_local_port_range): no
# client and no server of another test gets one of these meanwhile.
NAMED: Final = range(20_000, 32_000)


def free_port() -> int:
    """Return a port that nobody uses, at no address."""
    while True:
        port = random.choice(NAMED)
        with socket.socket(socket.AF_INET) as four, socket.socket(socket.AF_INET6) as six:
            six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                four.bind(("0.0.0.0", port))
                six.bind(("::", port))
            except OSError:
                continue
            return port
