"""URLs of requests: checked, and with host names in the form that DNS has (RFC 5891)."""

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
# Letters that names may have since IDNA2008, and that nameprep would replace by others.
KEPT: Final = re.compile("([\u00df\u03c2])")
LABEL_MAX: Final = 63
SHOWN_MAX: Final = 1000


def checked_url(url: object) -> str:
    """Return a URL. Raises ClientTypeError if it is no str, ValueError if it is no URL to ask."""
    if not isinstance(url, str):
        raise ClientTypeError(f"url must be str, not {type(url).__name__}")
    if not url or CONTROLS.search(url):
        raise ValueError(f"url is empty or has control characters: {url!r}")
    if "\\" in re.split("[/?#]", re.sub("^[^:/?#]*:/*", "", url), maxsplit=1)[0]:
        # Browsers take it for a slash, libcurl for a part of a user's name.
        raise ValueError(f"url has a backslash in its host: {shown(url)!r}")
    return url


def shown(url: str) -> str:
    """Return a URL as a log may have it: without a password, nor all of a very long one."""
    return USERINFO.sub(r"\1", url)[:SHOWN_MAX]


def encoded_url(url: str) -> bytes:
    """Return a URL as libcurl takes it: a host name in another script becomes its A-labels.

    Raises ValueError for a host that is no name.
    """
    parts = None if url.isascii() else AUTHORITY.fullmatch(url)
    if parts is None or parts[3].isascii():
        return url.encode()
    before, user, host, after = parts.groups(default="")
    return f"{before}{user}{ascii_host(host)}{after}".encode()


def ascii_host(host: str) -> str:
    """Return the A-label form of a host name. Raises ValueError if there is none."""
    try:
        return ".".join(map(ascii_label, DOTS.split(host)))
    except UnicodeError as error:
        raise ValueError(f"{host!r} is no host name: {error}") from None


def ascii_label(label: str) -> str:
    """Return one label of a name in ASCII. Raises UnicodeError if it cannot be one."""
    prepared = "".join(p if KEPT.fullmatch(p) else nameprep(p) for p in KEPT.split(label))
    found = prepared if prepared.isascii() else f"xn--{prepared.encode('punycode').decode()}"
    if len(found) > LABEL_MAX:
        raise UnicodeError(f"the label {label!r} is too long")
    if not re.fullmatch("[a-z0-9_-]*", found):
        raise UnicodeError(f"the label {label!r} has characters that no name may have")
    return found
