"""The opening handshake, RFC 6455 section 4.2: header fields in, an answer out. Pure."""

import base64
import binascii
import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

VERSION: Final = "13"
KEY_SIZE: Final = 16
MAGIC: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
# What stands for the host that the request itself is for; ports that go without saying.
SAME: Final = "same"
USUAL_PORTS: Final[Mapping[str, str]] = {"http": ":80", "https": ":443"}


class HandshakeRequest(Protocol):
    """A request, as far as the handshake goes."""

    @property
    def method_name(self) -> str:
        """The method."""

    @property
    def http_version(self) -> str:
        """The version of HTTP."""

    @property
    def protocol(self) -> str:
        """`https` for a connection with TLS, `http` for one without."""

    @property
    def host(self) -> str:
        """The host that is asked, with its port."""

    def request_header(self, name: str) -> str | None:
        """Return the first field of that name."""

    def header_values(self, name: str) -> list[str]:
        """Return all fields of that name."""


@dataclass(frozen=True, slots=True)
class HandshakeRefusal:
    """Why there is no WebSocket."""

    status: int
    reason: str
    fields: tuple[tuple[str, str], ...] = ()
    # The name that logs know it by; empty: it is nothing that the client did.
    rule: str = ""


def refusal(request: HandshakeRequest, origins: Collection[str] | None) -> HandshakeRefusal | None:
    """Return what speaks against a WebSocket, or None."""
    versions = request.header_values("sec-websocket-version")
    if request.method_name != "GET" or request.http_version != "1.1":
        return HandshakeRefusal(
            400, "a websocket begins with GET and HTTP/1.1", rule="WEBSOCKET_METHOD"
        )
    if not asks(request, "upgrade", "websocket") or not asks(request, "connection", "upgrade"):
        reason = "this is for websockets: ask for `upgrade: websocket`"
        return HandshakeRefusal(400, reason, rule="WEBSOCKET_UPGRADE")
    if request.header_values("transfer-encoding") or bodied(request):
        return HandshakeRefusal(400, "a websocket's request has no body", rule="WEBSOCKET_BODY")
    if [version.strip() for version in versions] != [VERSION]:
        # RFC 9110 section 15.5.22 asks for the first, RFC 6455 section 4.4 for the second.
        fields = (("upgrade", "websocket"), ("sec-websocket-version", VERSION))
        reason = f"websocket version {VERSION} is spoken here"
        return HandshakeRefusal(426, reason, fields, "WEBSOCKET_VERSION")
    if not proper_key(request.header_values("sec-websocket-key")):
        reason = "sec-websocket-key must be 16 bytes in base64, once"
        return HandshakeRefusal(400, reason, rule="WEBSOCKET_KEY")
    if not welcome(request, origins):
        return HandshakeRefusal(403, "this origin may not connect", rule="WEBSOCKET_ORIGIN")
    return None


def asks(request: HandshakeRequest, name: str, word: str) -> bool:
    """Return whether a word stands in the list of a field."""
    return word in tokens(request.header_values(name))


def bodied(request: HandshakeRequest) -> bool:
    """Return whether a length announces a body."""
    return any(value.strip("0 ") for value in request.header_values("content-length"))


def tokens(values: Sequence[str]) -> set[str]:
    """Return the words of a list in header fields."""
    return {word.strip().lower() for value in values for word in value.split(",")}


def proper_key(values: Sequence[str]) -> bool:
    """Return whether there is one key, of the size it must have."""
    try:
        return len(values) == 1 and len(base64.b64decode(values[0], validate=True)) == KEY_SIZE
    except (binascii.Error, ValueError):
        return False


def welcome(request: HandshakeRequest, origins: Collection[str] | None) -> bool:
    """Return whether the page that asks may connect. Who sends no origin is no browser's page.

    *origins* may hold `same`, and wildcards, as in `https://*.example.com`; None: all are welcome.
    """
    values = request.header_values("origin")
    if origins is None or not values:
        return True
    origin, *others = (value.strip().lower() for value in values)
    if others:
        return False
    return any(
        same(origin, request) if entry.lower() == SAME else fits(origin, entry.lower())
        for entry in origins
    )


def same(origin: str, request: HandshakeRequest) -> bool:
    """Return whether an origin is the host that the request is for, RFC 6454 section 5.

    A page with TLS may ask without: then a proxy in front of this server has taken that off. Not
    the other way: anybody on the way could have written a page without TLS.
    """
    scheme, _, place = origin.partition("://")
    port = USUAL_PORTS.get(scheme)
    if port is None or (request.protocol == "https" and scheme == "http"):
        return False
    return place != "" and place.removesuffix(port) == request.host.lower().removesuffix(port)


def fits(origin: str, allowed: str) -> bool:
    """Return whether an origin is one of those that are allowed. The only wildcard is `*`.

    Not fnmatch: to that the brackets of an IPv6 address are a choice of characters.
    """
    if allowed == "*":
        return True
    pattern = "[^/]*".join(map(re.escape, allowed.split("*")))
    return re.fullmatch(pattern, origin) is not None


def accept_key(key: str) -> str:
    """Return what proves that the server has understood, section 4.2.2."""
    digest = hashlib.sha1(key.strip().encode("latin-1") + MAGIC, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def chosen(values: Sequence[str], spoken: Sequence[str]) -> str | None:
    """Return the first of the client's sub-protocols that is *spoken* here, or None."""
    for value in values:
        for word in value.split(","):
            if word.strip() in spoken:
                return word.strip()
    return None
