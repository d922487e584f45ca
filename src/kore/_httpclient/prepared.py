"""What is to be asked: a request as data, made before anything runs."""

import re
from collections.abc import AsyncIterable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from kore._conf.settings import VERSION
from kore._httpclient import curlopts
from kore._httpclient.codings import take_over
from kore._httpclient.fields import TOKEN
from kore._httpclient.options import POINTER, Setting
from kore._httpclient.urls import encoded_url
from kore._numbers import as_float

Body: TypeAlias = bytes | AsyncIterable[bytes] | None

# libcurl's numbers of what is set here. It adds 30,000 to those of sizes.
POSTFIELDS: Final = POINTER + curlopts.CURLOPT_POSTFIELDS
HTTPHEADER: Final = POINTER + curlopts.CURLOPT_HTTPHEADER
CUSTOMREQUEST: Final = POINTER + curlopts.CURLOPT_CUSTOMREQUEST
ABSTRACT: Final = POINTER + curlopts.CURLOPT_ABSTRACT_UNIX_SOCKET
PROXYHEADER: Final = POINTER + curlopts.CURLOPT_PROXYHEADER
REQUEST_TARGET: Final = POINTER + curlopts.CURLOPT_REQUEST_TARGET
UNIX: Final = POINTER + curlopts.CURLOPT_UNIX_SOCKET_PATH
COOKIEFILE: Final = POINTER + curlopts.CURLOPT_COOKIEFILE
URL: Final = POINTER + curlopts.CURLOPT_URL
INFILESIZE: Final = 30_000 + curlopts.CURLOPT_INFILESIZE_LARGE
POSTSIZE: Final = 30_000 + curlopts.CURLOPT_POSTFIELDSIZE_LARGE

# CURLPROTO_HTTP and CURLPROTO_HTTPS: neither a URL nor a redirect leads elsewhere, to a file say.
WEB: Final = 3
# Sizes of pieces that are read at a time; libcurl's own are of 16 KiB.
PIECE: Final = 128 * 1024

# With these the bytes that come are not those that arrive, nor those that are announced, or
# somebody else has set a limit.
COUNTED: Final = frozenset(
    {
        POINTER + curlopts.CURLOPT_ACCEPT_ENCODING,
        curlopts.CURLOPT_TRANSFER_ENCODING,
        curlopts.CURLOPT_MAXFILESIZE,
        curlopts.CURLOPT_NOBODY,
        curlopts.CURLOPT_PROTOCOLS,
    }
)
FOLLOWED: Final = 10
# CURLFOLLOW_OBEYCODE: the method changes as the status says (RFC 9110 section 15.4). With 1 that of
# PUT, PATCH and DELETE would stay, even after a 303.
OBEY_STATUS: Final = 2
FOLLOWS: Final[Setting] = (curlopts.CURLOPT_FOLLOWLOCATION, 1)
FOLLOWS_RFC: Final[Setting] = (curlopts.CURLOPT_FOLLOWLOCATION, OBEY_STATUS)
# CURL_REDIR_POST_301 and _302: to libcurl a PUT, PATCH or DELETE with bytes is a POST, but
# only a POST itself becomes a GET there.
KEEP_BODY: Final = 3
EXPECTS: Final = re.compile(rb"expect:\s*100-continue\s*", re.I)
FOR_PROXY: Final = re.compile(rb"proxy-authorization\s*[:;]", re.I)


def common(url: str) -> list[Setting]:
    """Return what every transfer begins with."""
    return [
        (URL, encoded_url(url)),
        (curlopts.CURLOPT_NOSIGNAL, 1),
        (curlopts.CURLOPT_PROTOCOLS, WEB),
        (curlopts.CURLOPT_REDIR_PROTOCOLS, WEB),
        (POINTER + curlopts.CURLOPT_USERAGENT, f"kore/{VERSION}".encode()),
        (curlopts.CURLOPT_BUFFERSIZE, PIECE),
        (curlopts.CURLOPT_SUPPRESS_CONNECT_HEADERS, 1),
    ]


@dataclass(slots=True)
class PreparedRequest:
    """A request that has not begun.

    *settings* are libcurl's, in order. *body* is here only if it is to be read piece by piece.
    *timeout* is in milliseconds, 0 for none, None for `curl_timeout`. *place* is what errors begin
    with. *counted*: what comes has to be counted here, libcurl would not. *decoded*: the body is
    decoded here. *expects*: the peer is asked for permission to send the body.
    """

    settings: list[Setting]
    place: str
    body: Body = None
    timeout: int | None = None
    headers: bool = False
    streamed: bool = False
    jar: Any = None
    counted: bool = False
    decoded: bool = False
    expects: bool = False

    def __post_init__(self) -> None:
        check_request_line(self.settings)
        obey_redirects(self.settings)
        decoding = take_over(self.settings)
        self.settings += decoding
        self.decoded = bool(decoding)
        self.expects = any(map(EXPECTS.fullmatch, fields_of(self.settings)))
        hide_from_peers(self.settings)


def obey_redirects(settings: list[Setting]) -> None:
    """Have redirects followed as RFC 9110 section 15.4 says, unless CURLOPT_POSTREDIR is given."""
    settings[:] = [FOLLOWS_RFC if each == FOLLOWS else each for each in settings]
    given = dict(settings)
    method = given.get(CUSTOMREQUEST, b"POST")
    if method != b"POST" and curlopts.CURLOPT_POSTREDIR not in given:
        settings.append((curlopts.CURLOPT_POSTREDIR, KEEP_BODY))


def fields_of(settings: list[Setting]) -> list[bytes]:
    """Return the lines of header fields in *settings*; the last list counts."""
    lines: list[bytes] = dict(settings).get(HTTPHEADER, [])
    return lines


def check_request_line(settings: list[Setting]) -> None:
    """Raise ValueError if method or target would make another request line of it.

    Other protocols have commands there, with blanks in them.
    """
    given = dict(settings)
    if given.get(curlopts.CURLOPT_PROTOCOLS, WEB) & ~WEB and not given[URL].startswith(b"http"):
        return
    method, target = given.get(CUSTOMREQUEST), given.get(REQUEST_TARGET)
    if method is not None and not TOKEN.fullmatch(method.decode()):
        raise ValueError(f"option 'CURLOPT_CUSTOMREQUEST': {method.decode()!r} is no method")
    if target is not None and (not target or len(target.split()) != 1 or target.strip() != target):
        raise ValueError(f"option 'CURLOPT_REQUEST_TARGET': {target.decode()!r} is no target")


def hide_from_peers(settings: list[Setting]) -> None:
    """Have proxy-authorization sent to proxies only, where a redirect may lead to another peer.

    libcurl takes away authorization and cookies there, but not this field.
    """
    given = dict(settings)
    lines = given.get(HTTPHEADER, [])
    secret = [line for line in lines if FOR_PROXY.match(line)]
    if secret and given.get(curlopts.CURLOPT_FOLLOWLOCATION):
        kept = [line for line in lines if line not in secret]
        settings[:] = [each for each in settings if each[0] not in {HTTPHEADER, PROXYHEADER}]
        if kept:
            settings.append((HTTPHEADER, kept))
        settings.append((PROXYHEADER, [*given.get(PROXYHEADER, []), *secret]))
        settings.append((curlopts.CURLOPT_HEADEROPT, 1))  # CURLHEADER_SEPARATE


def counted(settings: list[Setting]) -> bool:
    """Return whether an application's settings leave counting to us."""
    return not COUNTED.isdisjoint(number for number, _ in settings)


def follow(given: object) -> list[Setting]:
    """Return the settings of a `follow=` keyword: True, or how many redirects."""
    if type(given) is bool:
        given = FOLLOWED if given else 0
    if type(given) is not int or given < 0:
        raise TypeError(f"follow must be True, False or a number, not {given!r}")
    if not given:
        return []
    return [(curlopts.CURLOPT_FOLLOWLOCATION, OBEY_STATUS), (curlopts.CURLOPT_MAXREDIRS, given)]


def milliseconds(given: object) -> int | None:
    """Return a `timeout=` keyword; TypeError, ValueError: it is none."""
    if given is None:
        return None
    number: float | None
    try:
        number = as_float(given)
    except TypeError:
        number = None
    if number is None or isinstance(given, bool):
        raise TypeError(f"timeout must be milliseconds, not {given!r}")
    if not 0 <= number < 2**31:  # nor is NaN
        raise ValueError(f"timeout must be 0..{2**31 - 1} milliseconds, not {given!r}")
    return max(1, int(number)) if number else 0
