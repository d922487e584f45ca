"""Host names: valid Host fields, wildcards, and names in other scripts as A-labels."""

import re
from collections.abc import Callable
from ipaddress import IPv6Address
from typing import Final

LABEL_MAX: Final = 63  # RFC 1035 section 2.3.4
# Full stops of other scripts, RFC 3490 section 3.1.
FULL_STOPS: Final = re.compile("[.\u3002\uff0e\uff61]")
# Letters that names have had since IDNA2008, and that nameprep replaces.
KEPT_LETTERS: Final = re.compile("([\u00df\u03c2\u200c\u200d])")
# As `is_valid_host` in `_core/grammar.pyx` reads the field: RFC 3986 section 3.2.2.
HOST_NAME: Final = re.compile(r"[0-9A-Za-z!$&'()*+;=._~-]+")
IP_LITERAL: Final = re.compile(r"\[[0-9A-Fa-f:.*]+\]|\[[vV][0-9A-Za-z!$&'()*+,;=:._~-]+\]")

HOST_WITH_PORT: Final = re.compile(r"(?:[^:\[]*|\[.*\]):[0-9]*")


def normalize_host(host: str) -> str:
    """Return a host name, which may have wildcards, in ASCII and without the dot at its end.

    Raises ValueError if no Host field can have it.
    """
    if not host.isascii():
        host = ".".join(map(_label_to_ascii, FULL_STOPS.split(host)))
    if len(host) > 1:
        host = host.removesuffix(".")
    if HOST_NAME.fullmatch(host):
        return host
    if IP_LITERAL.fullmatch(host):
        return normalize_address(host)
    if "://" in host or "/" in host:
        raise ValueError("write the name of the host alone, without scheme and path")
    if host.count(":") > 1 and IP_LITERAL.fullmatch(f"[{host}]"):
        raise ValueError(f"an IPv6 address stands in brackets here: '[{host}]'")
    if HOST_WITH_PORT.fullmatch(host):
        raise ValueError("leave the port out, it is the server's")
    if ":" in host:
        raise ValueError("an IPv6 address has hexadecimal digits and colons in brackets, no zone")
    wrong = re.search(r"[^0-9A-Za-z!$&'()*+;=._~-]", host)
    character = wrong[0] if wrong else ""
    raise ValueError(f"no host has {character!r} in its name; the only wildcard is '*'")


def normalize_address(host: str) -> str:
    """Return an IPv6 address in brackets in its shortest form, any other host unchanged."""
    try:
        return f"[{IPv6Address(host[1:-1])}]" if host.startswith("[") else host
    except ValueError:
        return host


def _label_to_ascii(label: str) -> str:
    """Return the A-label (RFC 5890) of one label of a name, in lower case."""
    from encodings.idna import nameprep  # with the tables of stringprep, for few hosts

    try:
        parts = KEPT_LETTERS.split(label)
        prepared = "".join(
            part if KEPT_LETTERS.fullmatch(part) else nameprep(part) for part in parts
        )
    except UnicodeError as error:
        raise ValueError(f"{label!r} is not part of a host's name: {error}") from None
    if prepared.isascii():
        return prepared
    if "*" in prepared:
        raise ValueError(f"{label!r}: write '*' apart from letters beyond ASCII")
    found = f"xn--{prepared.encode('punycode').decode()}"
    if len(found) > LABEL_MAX or not HOST_NAME.fullmatch(found):
        raise ValueError(f"{label!r} is not part of a host's name")
    return found


def compile_wildcard(name: str) -> Callable[[str], re.Match[str] | None]:
    """Return a function that matches hosts in lower case against a name with wildcards."""
    return re.compile(".*".join(map(re.escape, name.lower().split("*")))).fullmatch
