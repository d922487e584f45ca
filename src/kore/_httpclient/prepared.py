"""Prepared requests: the settings of a transfer, checked and completed before it starts."""

import re
from collections.abc import AsyncIterable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from kore._conf.settings import VERSION
from kore._httpclient import curlopts
from kore._httpclient.codings import build_decoding_settings
from kore._httpclient.options import POINTER, Setting
from kore._httpclient.urls import encode_url
from kore._numbers import as_float
from kore._values.grammar import is_token

Body: TypeAlias = bytes | AsyncIterable[bytes] | None

# libcurl's numbers of the options that are set here. It adds 30,000 to those of large sizes.
POSTFIELDS: Final = POINTER + curlopts.CURLOPT_POSTFIELDS
HTTPHEADER: Final = POINTER + curlopts.CURLOPT_HTTPHEADER
CUSTOMREQUEST: Final = POINTER + curlopts.CURLOPT_CUSTOMREQUEST
ABSTRACT_UNIX_SOCKET: Final = POINTER + curlopts.CURLOPT_ABSTRACT_UNIX_SOCKET
PROXYHEADER: Final = POINTER + curlopts.CURLOPT_PROXYHEADER
REQUEST_TARGET: Final = POINTER + curlopts.CURLOPT_REQUEST_TARGET
UNIX_SOCKET_PATH: Final = POINTER + curlopts.CURLOPT_UNIX_SOCKET_PATH
COOKIEFILE: Final = POINTER + curlopts.CURLOPT_COOKIEFILE
URL: Final = POINTER + curlopts.CURLOPT_URL
INFILESIZE: Final = 30_000 + curlopts.CURLOPT_INFILESIZE_LARGE
POSTFIELDSIZE: Final = 30_000 + curlopts.CURLOPT_POSTFIELDSIZE_LARGE

# CURLPROTO_HTTP and CURLPROTO_HTTPS: a URL or a redirect cannot lead to a file, for example.
HTTP_PROTOCOLS: Final = 3
# Bytes read from a socket at a time; libcurl's default is 16 KiB.
READ_SIZE: Final = 128 * 1024

# Options with which the size of a body is not what libcurl counts or the head announces, or the
# application has set a limit.
SIZE_OPTIONS: Final = frozenset(
    {
        POINTER + curlopts.CURLOPT_ACCEPT_ENCODING,
        curlopts.CURLOPT_TRANSFER_ENCODING,
        curlopts.CURLOPT_MAXFILESIZE,
        curlopts.CURLOPT_NOBODY,
        curlopts.CURLOPT_PROTOCOLS,
    }
)
REDIRECTS_DEFAULT: Final = 10
# CURLFOLLOW_OBEYCODE: the method changes as the status says (RFC 9110 section 15.4). With 1 that of
# PUT, PATCH and DELETE would stay, even after a 303.
OBEY_STATUS: Final = 2
FOLLOW_ALWAYS: Final[Setting] = (curlopts.CURLOPT_FOLLOWLOCATION, 1)
FOLLOW_BY_STATUS: Final[Setting] = (curlopts.CURLOPT_FOLLOWLOCATION, OBEY_STATUS)
# CURL_REDIR_POST_301 and _302: to libcurl a PUT, PATCH or DELETE with bytes is a POST, but by
# RFC 9110 only POST becomes GET.
KEEP_METHOD: Final = 3
EXPECT_CONTINUE: Final = re.compile(rb"expect:\s*100-continue\s*", re.I)
PROXY_AUTHORIZATION: Final = re.compile(rb"proxy-authorization\s*[:;]", re.I)


def build_common_settings(url: str) -> list[Setting]:
    """Return the first settings of each transfer."""
    return [
        (URL, encode_url(url)),
        (curlopts.CURLOPT_NOSIGNAL, 1),
        (curlopts.CURLOPT_PROTOCOLS, HTTP_PROTOCOLS),
        (curlopts.CURLOPT_REDIR_PROTOCOLS, HTTP_PROTOCOLS),
        (POINTER + curlopts.CURLOPT_USERAGENT, f"kore/{VERSION}".encode()),
        (curlopts.CURLOPT_BUFFERSIZE, READ_SIZE),
        (curlopts.CURLOPT_SUPPRESS_CONNECT_HEADERS, 1),
    ]


@dataclass(slots=True)
class PreparedRequest:
    """A request that has not been started; it may be started several times.

    *settings* are libcurl's options, in order. *body* is set only if it is read piece by piece.
    *timeout_ms* is 0 for no limit, None for `curl_timeout`. *error_prefix* begins the messages of
    errors. *counts_size*: the size of the body is checked here, as libcurl would not.
    *decodes_here*: its content coding is decoded here. *expects_continue*: it is sent with
    `Expect: 100-continue`.
    """

    settings: list[Setting]
    error_prefix: str
    body: Body = None
    timeout_ms: int | None = None
    returns_headers: bool = False
    is_streamed: bool = False
    cookie_jar: Any = None
    counts_size: bool = False
    decodes_here: bool = False
    expects_continue: bool = False

    def __post_init__(self) -> None:
        _check_request_line(self.settings)
        _follow_rfc(self.settings)
        decoding = build_decoding_settings(self.settings)
        self.settings += decoding
        self.decodes_here = bool(decoding)
        self.expects_continue = any(map(EXPECT_CONTINUE.fullmatch, get_field_lines(self.settings)))
        _separate_proxy_fields(self.settings)


def _follow_rfc(settings: list[Setting]) -> None:
    """Follow redirects by RFC 9110 section 15.4, unless CURLOPT_POSTREDIR is given."""
    settings[:] = [FOLLOW_BY_STATUS if each == FOLLOW_ALWAYS else each for each in settings]
    given = dict(settings)
    method = given.get(CUSTOMREQUEST, b"POST")
    if method != b"POST" and curlopts.CURLOPT_POSTREDIR not in given:
        settings.append((curlopts.CURLOPT_POSTREDIR, KEEP_METHOD))


def get_field_lines(settings: list[Setting]) -> list[bytes]:
    """Return the lines of header fields in *settings*; the last list counts."""
    lines: list[bytes] = dict(settings).get(HTTPHEADER, [])
    return lines


def _check_request_line(settings: list[Setting]) -> None:
    """Raise ValueError if the method or target is not valid in a request line.

    Protocols other than HTTP have commands there, with blanks in them.
    """
    given = dict(settings)
    other_protocols = given.get(curlopts.CURLOPT_PROTOCOLS, HTTP_PROTOCOLS) & ~HTTP_PROTOCOLS
    if other_protocols and not given[URL].startswith(b"http"):
        return
    method, target = given.get(CUSTOMREQUEST), given.get(REQUEST_TARGET)
    if method is not None and not is_token(method.decode()):
        raise ValueError(f"option 'CURLOPT_CUSTOMREQUEST': {method.decode()!r} is not a method")
    if target is not None and (not target or len(target.split()) != 1 or target.strip() != target):
        raise ValueError(f"option 'CURLOPT_REQUEST_TARGET': {target.decode()!r} is not a target")


def _separate_proxy_fields(settings: list[Setting]) -> None:
    """Send proxy-authorization to proxies only, if a redirect may lead to another server.

    libcurl removes authorization and cookies from a request to another host, but not this field.
    """
    given = dict(settings)
    lines = given.get(HTTPHEADER, [])
    proxy_lines = [line for line in lines if PROXY_AUTHORIZATION.match(line)]
    if proxy_lines and given.get(curlopts.CURLOPT_FOLLOWLOCATION):
        others = [line for line in lines if line not in proxy_lines]
        settings[:] = [each for each in settings if each[0] not in {HTTPHEADER, PROXYHEADER}]
        if others:
            settings.append((HTTPHEADER, others))
        settings.append((PROXYHEADER, [*given.get(PROXYHEADER, []), *proxy_lines]))
        settings.append((curlopts.CURLOPT_HEADEROPT, 1))  # CURLHEADER_SEPARATE


def needs_counting(settings: list[Setting]) -> bool:
    """Return whether the size of a body has to be checked here with these settings."""
    return not SIZE_OPTIONS.isdisjoint(number for number, _ in settings)


def parse_follow(given: object) -> list[Setting]:
    """Return the settings of a `follow=` keyword: True, or how many redirects.

    Raises TypeError if it is neither.
    """
    if type(given) is bool:
        given = REDIRECTS_DEFAULT if given else 0
    if type(given) is not int or given < 0:
        raise TypeError(f"follow must be True, False or a number, not {given!r}")
    if not given:
        return []
    return [(curlopts.CURLOPT_FOLLOWLOCATION, OBEY_STATUS), (curlopts.CURLOPT_MAXREDIRS, given)]


def parse_timeout(given: object) -> int | None:
    """Return a `timeout=` keyword in milliseconds. Raises TypeError or ValueError if it is none."""
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
