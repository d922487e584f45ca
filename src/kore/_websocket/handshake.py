"""The opening handshake of a WebSocket (RFC 6455 section 4.2): checks and response fields. Pure."""

import base64
import binascii
import hashlib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from kore._values.grammar import DEFAULT_PORTS

VERSION: Final = "13"
KEY_SIZE: Final = 16
GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
# An entry of *origins* that stands for the host of the request itself.
SAME_ORIGIN: Final = "same"


class HandshakeRequest(Protocol):
    """What the handshake needs of a request."""

    @property
    def method_name(self) -> str:
        """The method token."""

    @property
    def http_version(self) -> str:
        """The HTTP version, such as `1.1`."""

    @property
    def protocol(self) -> str:
        """`https` for a connection with TLS, `http` for one without."""

    @property
    def host(self) -> str:
        """The host that the request is for, with its port."""

    def request_header(self, name: str) -> str | None:
        """Return the value of the first field of that name."""

    def header_values(self, name: str) -> list[str]:
        """Return the values of all fields of that name."""


@dataclass(frozen=True, slots=True)
class HandshakeRefusal:
    """The response to a handshake that is refused."""

    status: int
    reason: str
    fields: tuple[tuple[str, str], ...] = ()
    # The name of the broken rule for logs; empty if the request breaks none.
    rule: str = ""


def check_handshake(
    request: HandshakeRequest, origins: Collection[str] | None
) -> HandshakeRefusal | None:
    """Return the response to an invalid handshake, None for a valid one."""
    versions = request.header_values("sec-websocket-version")
    if request.method_name != "GET" or request.http_version != "1.1":
        return HandshakeRefusal(
            400, "a websocket begins with GET and HTTP/1.1", rule="WEBSOCKET_METHOD"
        )
    is_upgrade = _has_token(request, "upgrade", "websocket")
    if not is_upgrade or not _has_token(request, "connection", "upgrade"):
        reason = "this is for websockets: ask for `upgrade: websocket`"
        return HandshakeRefusal(400, reason, rule="WEBSOCKET_UPGRADE")
    if request.header_values("transfer-encoding") or _has_body(request):
        return HandshakeRefusal(400, "a websocket's request has no body", rule="WEBSOCKET_BODY")
    if [version.strip() for version in versions] != [VERSION]:
        # RFC 9110 section 15.5.22 asks for the first, RFC 6455 section 4.4 for the second.
        fields = (("upgrade", "websocket"), ("sec-websocket-version", VERSION))
        reason = f"websocket version {VERSION} is spoken here"
        return HandshakeRefusal(426, reason, fields, "WEBSOCKET_VERSION")
    if not _is_valid_key(request.header_values("sec-websocket-key")):
        reason = "sec-websocket-key must be 16 bytes in base64, once"
        return HandshakeRefusal(400, reason, rule="WEBSOCKET_KEY")
    if not _is_origin_allowed(request, origins):
        return HandshakeRefusal(403, "this origin may not connect", rule="WEBSOCKET_ORIGIN")
    return None


def _has_token(request: HandshakeRequest, name: str, token: str) -> bool:
    """Return whether a field has *token* in its list."""
    return token in _parse_tokens(request.header_values(name))


def _has_body(request: HandshakeRequest) -> bool:
    """Return whether content-length announces a body."""
    return any(value.strip("0 ") for value in request.header_values("content-length"))


def _parse_tokens(values: Sequence[str]) -> set[str]:
    """Return the tokens of a list in header fields, in lower case."""
    return {word.strip().lower() for value in values for word in value.split(",")}


def _is_valid_key(values: Sequence[str]) -> bool:
    """Return whether there is one key of 16 bytes in base64."""
    try:
        return len(values) == 1 and len(base64.b64decode(values[0], validate=True)) == KEY_SIZE
    except (binascii.Error, ValueError):
        return False


def _is_origin_allowed(request: HandshakeRequest, origins: Collection[str] | None) -> bool:
    """Return whether the origin of a request may connect; without one it is not from a browser.

    *origins* may contain `same`, and wildcards, as in `https://*.example.com`; None allows all.
    """
    values = request.header_values("origin")
    if origins is None or not values:
        return True
    origin, *others = (value.strip().lower() for value in values)
    if others:
        return False
    return any(
        _is_same_origin(origin, request)
        if entry.lower() == SAME_ORIGIN
        else _matches_origin(origin, entry.lower())
        for entry in origins
    )


def _is_same_origin(origin: str, request: HandshakeRequest) -> bool:
    """Return whether an origin is the host that the request is for (RFC 6454 section 5).

    A page with TLS may connect without: then a proxy in front of this server terminates TLS. Not
    the other way round: a page without TLS may have been altered in transit.
    """
    scheme, _, place = origin.partition("://")
    port = DEFAULT_PORTS.get(scheme)
    if port is None or (request.protocol == "https" and scheme == "http"):
        return False
    return place != "" and place.removesuffix(port) == request.host.lower().removesuffix(port)


def _matches_origin(origin: str, allowed: str) -> bool:
    """Return whether an origin matches an allowed one. The only wildcard is `*`.

    Not fnmatch: it takes the brackets of an IPv6 address for a set of characters.
    """
    if allowed == "*":
        return True
    pattern = "[^/]*".join(map(re.escape, allowed.split("*")))
    return re.fullmatch(pattern, origin) is not None


def compute_accept_key(key: str) -> str:
    """Return the value of sec-websocket-accept for a client's key (section 4.2.2)."""
    digest = hashlib.sha1(key.strip().encode("latin-1") + GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def choose_protocol(values: Sequence[str], supported: Sequence[str]) -> str | None:
    """Return the first of the client's sub-protocols that is supported, or None."""
    for value in values:
        for word in value.split(","):
            if word.strip() in supported:
                return word.strip()
    return None
