"""Grammar that several packages check: tokens, URLs, ports, paths of Unix sockets."""

import re
from collections.abc import Mapping
from typing import Final

# RFC 9110 section 5.6.2: names of methods, header fields, cookies, parameters.
TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - no password
_TOKEN: Final = re.compile(TOKEN)
# RFC 3986 section 2: a URL is visible ASCII.
_VISIBLE_ASCII: Final = re.compile(r"[!-~]+")

PORT_MAX: Final = 2**16 - 1
# Of the URLs of a scheme, the port that may be left out, as it is written behind a host.
DEFAULT_PORTS: Final[Mapping[str, str]] = {"http": ":80", "https": ":443"}
UNIX_PATH_MAX: Final = 107  # bytes of sun_path without its NUL: unix(7)


def is_token(text: str) -> bool:
    """Return whether *text* is a token of HTTP."""
    return _TOKEN.fullmatch(text) is not None


def is_visible_ascii(text: str) -> bool:
    """Return whether *text* has only the characters that a URL can have, and at least one."""
    return _VISIBLE_ASCII.fullmatch(text) is not None


def parse_port(port: object, minimum: int = 0) -> int | None:
    """Return a port given as int or as decimal digits; None if it is no port from *minimum* on."""
    if isinstance(port, str) and port.isascii() and port.isdecimal():
        port = int(port)
    return port if type(port) is int and minimum <= port <= PORT_MAX else None
