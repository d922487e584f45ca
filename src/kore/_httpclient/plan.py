"""What is to be asked: a request as data, made before anything runs."""

from collections.abc import AsyncIterable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from kore._conf.settings import VERSION
from kore._httpclient import names
from kore._httpclient.options import POINTER, Setting

Body: TypeAlias = bytes | AsyncIterable[bytes] | None

# libcurl's numbers of what is set here. It adds 30,000 to those of sizes.
POSTFIELDS: Final = POINTER + names.CURLOPT_POSTFIELDS
HTTPHEADER: Final = POINTER + names.CURLOPT_HTTPHEADER
CUSTOMREQUEST: Final = POINTER + names.CURLOPT_CUSTOMREQUEST
ABSTRACT: Final = POINTER + names.CURLOPT_ABSTRACT_UNIX_SOCKET
UNIX: Final = POINTER + names.CURLOPT_UNIX_SOCKET_PATH
COOKIEFILE: Final = POINTER + names.CURLOPT_COOKIEFILE
URL: Final = POINTER + names.CURLOPT_URL
INFILESIZE: Final = 30_000 + names.CURLOPT_INFILESIZE_LARGE
POSTSIZE: Final = 30_000 + names.CURLOPT_POSTFIELDSIZE_LARGE

# CURLPROTO_HTTP and CURLPROTO_HTTPS: neither a URL nor a redirect leads elsewhere, to a file say.
WEB: Final = 3
# Sizes of pieces that are read at a time; libcurl's own are of 16 KiB.
PIECE: Final = 128 * 1024

# With these the bytes that come are not those that arrive, nor those that are announced, or
# somebody else has set a limit.
COUNTED: Final = frozenset(
    {
        POINTER + names.CURLOPT_ACCEPT_ENCODING,
        names.CURLOPT_TRANSFER_ENCODING,
        names.CURLOPT_MAXFILESIZE,
        names.CURLOPT_NOBODY,
        names.CURLOPT_PROTOCOLS,
    }
)
FOLLOWED: Final = 10


def common(url: str) -> list[Setting]:
    """Return what every transfer begins with."""
    return [
        (URL, url.encode()),
        (names.CURLOPT_NOSIGNAL, 1),
        (names.CURLOPT_PROTOCOLS, WEB),
        (names.CURLOPT_REDIR_PROTOCOLS, WEB),
        (POINTER + names.CURLOPT_USERAGENT, f"kore/{VERSION}".encode()),
        (names.CURLOPT_BUFFERSIZE, PIECE),
        (names.CURLOPT_SUPPRESS_CONNECT_HEADERS, 1),
    ]


@dataclass(slots=True)
class Plan:
    """A request that has not begun.

    *settings* are libcurl's, in order. *body* is here only if it is to be read piece by piece.
    *timeout* is in milliseconds, 0 for none, None for `curl_timeout`. *place* is what errors begin
    with. *counted*: what comes has to be counted here, libcurl would not.
    """

    settings: list[Setting]
    place: str
    body: Body = None
    timeout: int | None = None
    headers: bool = False
    streamed: bool = False
    jar: Any = None
    counted: bool = False


def counted(settings: list[Setting]) -> bool:
    """Return whether an application's settings leave counting to us."""
    return not COUNTED.isdisjoint(number for number, _ in settings)


def follow(given: object) -> list[Setting]:
    """Return the settings of a `follow=` keyword: True, or how many redirects."""
    if type(given) is bool:
        given = FOLLOWED if given else 0
    if type(given) is not int or given < 0:
        raise TypeError(f"follow must be True, False or a number, not {given!r}")
    # 2: a redirect may change the method as it says (303), RFC 9110 section 15.4. With 1 the method
    # of PUT, PATCH and DELETE would stay whatever the status.
    return [(names.CURLOPT_FOLLOWLOCATION, 2), (names.CURLOPT_MAXREDIRS, given)] if given else []


def milliseconds(given: object) -> int | None:
    """Return a `timeout=` keyword; TypeError, ValueError: it is none."""
    if given is None:
        return None
    if not isinstance(given, int | float) or isinstance(given, bool):
        raise TypeError(f"timeout must be milliseconds, not {given!r}")
    if not 0 <= given < 2**31:
        raise ValueError(f"timeout must be 0..{2**31 - 1} milliseconds, not {given!r}")
    return max(1, int(given)) if given else 0
