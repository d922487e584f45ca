"""URLs of requests: checks, and encoding of international host names (RFC 5891)."""

import re
from encodings.idna import nameprep
from typing import Final

from kore._httpclient.fields import CONTROLS
from kore.errors import ClientTypeError

# Scheme and slashes, userinfo, host, and all that follows.
AUTHORITY: Final = re.compile(r"((?:[a-z][a-z0-9+.-]*:)?/*)([^/?#]*@)?([^/?#:]+)(.*)", re.I | re.S)
USERINFO: Final = re.compile(r"^((?:[a-z][a-z0-9+.-]*:)?/*)[^/?#]*@", re.I)
# Full stops of other scripts (RFC 3490 section 3.1).
DOTS: Final = re.compile("[.\u3002\uff0e\uff61]")
# Letters that IDNA2008 allows, but that nameprep would replace.
IDNA2008_LETTERS: Final = re.compile("([\u00df\u03c2])")
LABEL_MAX: Final = 63
REDACTED_SIZE_MAX: Final = 1000


def check_url(url: object) -> str:
    """Return a URL. Raises ClientTypeError if it is not a str, ValueError if it is unusable."""
    if not isinstance(url, str):
        raise ClientTypeError(f"url must be str, not {type(url).__name__}")
    if not url or CONTROLS.search(url):
        raise ValueError(f"url is empty or has control characters: {url!r}")
    if "\\" in re.split("[/?#]", re.sub("^[^:/?#]*:/*", "", url), maxsplit=1)[0]:
        # To browsers it is a slash, to libcurl a part of the user name.
        raise ValueError(f"url has a backslash in its host: {redact_url(url)!r}")
    return url


def redact_url(url: str) -> str:
    """Return a URL for messages: without user name and password, and truncated."""
    return USERINFO.sub(r"\1", url)[:REDACTED_SIZE_MAX]


def encode_url(url: str) -> bytes:
    """Return a URL for libcurl, with an international host name as A-labels.

    Raises ValueError if the host is not a valid name.
    """
    parts = None if url.isascii() else AUTHORITY.fullmatch(url)
    if parts is None or parts[3].isascii():
        return url.encode()
    before, user, host, after = parts.groups(default="")
    return f"{before}{user}{encode_host(host)}{after}".encode()


def encode_host(host: str) -> str:
    """Return a host name as A-labels. Raises ValueError if it is not valid."""
    try:
        return ".".join(map(_encode_label, DOTS.split(host)))
    except UnicodeError as error:
        raise ValueError(f"{host!r} is not a host name: {error}") from None


def _encode_label(label: str) -> str:
    """Return one label of a host name in ASCII. Raises UnicodeError if it is not valid."""
    parts = IDNA2008_LETTERS.split(label)
    prepared = "".join(p if IDNA2008_LETTERS.fullmatch(p) else nameprep(p) for p in parts)
    encoded = prepared if prepared.isascii() else f"xn--{prepared.encode('punycode').decode()}"
    if len(encoded) > LABEL_MAX:
        raise UnicodeError(f"the label {label!r} is too long")
    if not re.fullmatch("[a-z0-9_-]*", encoded):
        raise UnicodeError(f"the label {label!r} has characters that no name may have")
    return encoded
