"""`kore.httpclient()`: a client for one URL, and the keywords of its requests."""

import json
import os
from collections.abc import AsyncIterable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack

from kore._httpclient import curlopts
from kore._httpclient.fields import CONTROLS, build_lines, parse_headers
from kore._httpclient.lazy import LazyAwaitable
from kore._httpclient.options import POINTER, Setting, check_options
from kore._httpclient.prepared import (
    ABSTRACT_UNIX_SOCKET,
    CUSTOMREQUEST,
    HTTPHEADER,
    INFILESIZE,
    POSTFIELDS,
    POSTFIELDSIZE,
    UNIX_SOCKET_PATH,
    PreparedRequest,
    build_common_settings,
    needs_counting,
    parse_follow,
    parse_timeout,
)
from kore._httpclient.stream import ResponseStream
from kore._httpclient.urls import check_url, redact_url
from kore.errors import ClientTypeError, KoreError

if TYPE_CHECKING:
    from kore._httpclient.transfer import Transfer

# Methods that require `body=`, and those that allow it.
BODY_METHODS: Final = frozenset({"PUT", "POST", "PATCH"})
OPTIONAL_BODY_METHODS: Final = BODY_METHODS | {"DELETE"}
METHODS: Final = OPTIONAL_BODY_METHODS | {"GET", "HEAD", "OPTIONS"}
# Options with which several responses may come: redirects are followed, credentials are sent.
FOLLOW_OPTIONS: Final = frozenset(
    {curlopts.CURLOPT_FOLLOWLOCATION, curlopts.CURLOPT_HTTPAUTH, curlopts.CURLOPT_PROXYAUTH}
)

# Digits of a content-length: libcurl has 63 bits for it.
LENGTH_DIGITS_MAX: Final = 18
# Header fields that depend on the body.
BODY_FIELDS: Final = frozenset({"content-length", "content-type", "expect"})


class ClientKeywords(TypedDict, total=False):
    """Keywords of `kore.httpclient()`.

    *tlscert*, *tlskey*: PEM files of the client certificate. *tlsverify*: False accepts any
    server certificate. *cabundle*: a PEM file of the certificate authorities to trust. *unix*: the
    path of a socket, or `@name` of an abstract one. *curlopt*: options of libcurl by CURLOPT_
    number. *cookies*: keep cookies of responses, and send them.
    """

    tlscert: str | os.PathLike[str] | None
    tlskey: str | os.PathLike[str] | None
    tlsverify: bool
    cabundle: str | os.PathLike[str] | None
    unix: str | os.PathLike[str] | None
    curlopt: Mapping[int, object]
    cookies: bool


class RequestKeywords(TypedDict, total=False):
    """Keywords of a request.

    *body*: bytes, or an async iterator of bytes. *json*: a value to send as JSON instead.
    *headers*: str by str. *return_headers*: return those of the response as well. *curlopt*: as
    for the client, for this request. *timeout*: milliseconds for the whole transfer, 0: no limit.
    *follow*: redirects; True: up to ten.
    """

    body: bytes | bytearray | memoryview | AsyncIterable[bytes]
    json: object
    headers: Mapping[str, str]
    return_headers: bool
    curlopt: Mapping[int, object]
    timeout: float | None
    follow: bool | int


class CookieJar:
    """The cookies of a client."""

    def __init__(self) -> None:
        self._share: Any = None

    def get_share(self) -> Any:
        """Return libcurl's object for the cookies, created at the first use, in the worker."""
        if self._share is None:
            import pycurl

            self._share = pycurl.CurlShare()
            self._share.setopt(pycurl.SH_SHARE, pycurl.LOCK_DATA_COOKIE)
        return self._share


class HttpClient:
    """A client for one URL. A request starts when it is awaited.

    All clients share the connections of their worker.
    """

    def __init__(
        self,
        url: str,
        create_transfer: Callable[[PreparedRequest], "Transfer"],
        keywords: ClientKeywords,
    ) -> None:
        _check_keywords(keywords, ClientKeywords, "httpclient")
        self.url = check_url(url)
        self._create_transfer = create_transfer
        self._error_prefix = f"request to '{redact_url(url)}' failed"
        self._cookie_jar = CookieJar() if _get_flag(keywords, "cookies", default=False) else None
        settings = [*_build_tls_settings(keywords), *_build_unix_settings(keywords)]
        options = check_options(keywords.get("curlopt", {}))
        self._field_lines = [line for each in options if each[0] == HTTPHEADER for line in each[1]]
        options = [each for each in options if each[0] != HTTPHEADER]
        self._counts_size = needs_counting(options)
        self._may_follow = not FOLLOW_OPTIONS.isdisjoint(number for number, _ in options)
        # Requests without keywords, the most frequent ones, are prepared once for each method.
        self._prepared: dict[str, PreparedRequest] = {}
        self._settings = [*build_common_settings(url), *settings, *options]

    def __repr__(self) -> str:
        return f"<kore.httpclient {redact_url(self.url)}>"

    def get(self, **keywords: Unpack[RequestKeywords]) -> LazyAwaitable[Any]:
        """Send GET; return status and body, or status, headers and body."""
        return self._request("GET", keywords)

    def head(self, **keywords: Unpack[RequestKeywords]) -> LazyAwaitable[Any]:
        """Send HEAD; return the same with an empty body."""
        return self._request("HEAD", keywords)

    def options(self, **keywords: Unpack[RequestKeywords]) -> LazyAwaitable[Any]:
        """Send OPTIONS."""
        return self._request("OPTIONS", keywords)

    def post(self, **keywords: Unpack[RequestKeywords]) -> LazyAwaitable[Any]:
        """Send POST with a body."""
        return self._request("POST", keywords)

    def put(self, **keywords: Unpack[RequestKeywords]) -> LazyAwaitable[Any]:
        """Send PUT with a body."""
        return self._request("PUT", keywords)

    def patch(self, **keywords: Unpack[RequestKeywords]) -> LazyAwaitable[Any]:
        """Send PATCH with a body."""
        return self._request("PATCH", keywords)

    def delete(self, **keywords: Unpack[RequestKeywords]) -> LazyAwaitable[Any]:
        """Send DELETE, with or without a body."""
        return self._request("DELETE", keywords)

    def stream(self, method: str = "get", **keywords: Unpack[RequestKeywords]) -> ResponseStream:
        """Return the body of the response as an async iterator, of any size.

        `curl_timeout` then limits connecting and each silence, and `curl_recv_max` does not apply.
        """
        name = method.upper() if isinstance(method, str) else method
        if name not in METHODS:
            raise ValueError(f"{method!r} is not a method of a client")
        request, may_follow = self._prepare(name, keywords)
        request.is_streamed = True
        is_final = not (may_follow or self._may_follow)
        return ResponseStream(request, self._create_transfer, is_final=is_final)

    def _request(self, method: str, keywords: RequestKeywords) -> LazyAwaitable[Any]:
        request = None if keywords else self._prepared.get(method)
        if request is None:
            request = self._prepare(method, keywords)[0]
            if not keywords:
                self._prepared[method] = request
        return LazyAwaitable(partial(self._perform, request))

    async def _perform(self, request: PreparedRequest) -> Any:
        transfer = self._create_transfer(request)
        status, body = await transfer.perform()
        if request.returns_headers:
            return status, parse_headers(transfer.lines), body
        return status, body

    def _prepare(self, method: str, keywords: RequestKeywords) -> tuple[PreparedRequest, bool]:
        """Return the request, and whether several responses may come."""
        _check_keywords(keywords, RequestKeywords, method.lower())
        body = _get_body(method, keywords)
        fields = build_lines(keywords.get("headers", {}))
        options = check_options(keywords.get("curlopt", {}))
        follow_settings = parse_follow(keywords.get("follow", False))
        lines = [line for each in options if each[0] == HTTPHEADER for line in each[1]]
        lines = _move_body_fields([*self._field_lines, *lines], fields)
        settings = [
            *self._settings,
            *_build_body_settings(method, body, fields, json="json" in keywords),
            *follow_settings,
            *(each for each in options if each[0] != HTTPHEADER),
        ]
        if method == "POST" and body is not None and not isinstance(body, bytes):
            # libcurl has another option for the size of a POST.
            sizes = [value for number, value in settings if number == curlopts.CURLOPT_INFILESIZE]
            settings += [(POSTFIELDSIZE, size) for size in sizes]
        lines += fields.values()
        if lines:
            settings.append((HTTPHEADER, lines))
        request = PreparedRequest(
            settings,
            self._error_prefix,
            body=None if isinstance(body, bytes) else body,
            timeout_ms=parse_timeout(keywords.get("timeout")),
            returns_headers=_get_flag(keywords, "return_headers", default=False),
            cookie_jar=self._cookie_jar,
            counts_size=self._counts_size or method == "HEAD" or needs_counting(options),
        )
        may_follow = not FOLLOW_OPTIONS.isdisjoint(number for number, _ in options)
        return request, bool(follow_settings) or may_follow


# Keywords


def _check_keywords(given: Mapping[str, Any], known: Any, function: str) -> None:
    """Raise TypeError for a keyword that *function* does not have."""
    if unknown := given.keys() - known.__annotations__.keys():
        raise TypeError(f"{function}() got an unexpected keyword argument '{min(unknown)}'")


def _get_flag(given: Mapping[str, Any], name: str, *, default: bool) -> bool:
    """Return a keyword. Raises ClientTypeError if it is not a bool."""
    value = given.get(name, default)
    if type(value) is not bool:
        raise ClientTypeError(f"{name} not True or False")
    return value


def _get_path(given: Mapping[str, Any], name: str) -> bytes | None:
    """Return a keyword. Raises ClientTypeError or ValueError if it is not a path."""
    value = given.get(name)
    if value is None:
        return None
    if not isinstance(value, (str, os.PathLike)):
        raise ClientTypeError(f"{name} must be a path, not {value!r}")
    path = os.fsencode(value)
    if not path or CONTROLS.search(os.fsdecode(path)):
        raise ValueError(f"{name} is not a path: {value!r}")
    return path


def _build_tls_settings(given: ClientKeywords) -> list[Setting]:
    """Return the settings of the TLS keywords. Raises KoreError if half of a pair is missing."""
    cert, key = _get_path(given, "tlscert"), _get_path(given, "tlskey")
    if (cert is None) != (key is None):
        raise KoreError("invalid TLS client configuration: tlscert and tlskey belong together")
    settings: list[Setting] = []
    if cert is not None:
        settings += [
            (POINTER + curlopts.CURLOPT_SSLCERT, cert),
            (POINTER + curlopts.CURLOPT_SSLKEY, key),
        ]
    if not _get_flag(given, "tlsverify", default=True):
        settings += [(curlopts.CURLOPT_SSL_VERIFYPEER, 0), (curlopts.CURLOPT_SSL_VERIFYHOST, 0)]
    if bundle := _get_path(given, "cabundle"):
        # The certificate authorities of the system are not trusted beside it.
        settings += [
            (POINTER + curlopts.CURLOPT_CAINFO, bundle),
            (POINTER + curlopts.CURLOPT_CAPATH, None),
        ]
    return settings


def _build_unix_settings(given: ClientKeywords) -> list[Setting]:
    """Return the settings of the `unix` keyword."""
    name = _get_path(given, "unix")
    if name is None:
        return []
    return (
        [(ABSTRACT_UNIX_SOCKET, name[1:])] if name.startswith(b"@") else [(UNIX_SOCKET_PATH, name)]
    )


def _get_body(method: str, given: RequestKeywords) -> bytes | AsyncIterable[bytes] | None:
    """Return the body to send.

    Raises KoreError if the method requires one, TypeError if it allows none or it is not bytes.
    """
    if method not in OPTIONAL_BODY_METHODS:
        if "body" in given or "json" in given:
            raise TypeError(f"{method.lower()}() sends no body")
        return None
    if "json" in given:
        if "body" in given:
            raise TypeError("body and json cannot both be sent")
        return json.dumps(given["json"], allow_nan=False).encode()
    body = given.get("body")
    if body is None:
        if method in BODY_METHODS:
            raise KoreError("no keyword arguments given, but body expected")
        return None
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body)
    if isinstance(body, AsyncIterable):
        return body
    raise ClientTypeError(f"expected bytes, {type(body).__name__} found")


def _build_body_settings(
    method: str, body: Any, fields: dict[str, bytes], *, json: bool
) -> list[Setting]:
    """Return the settings of a method and its body; complete *fields*.

    Raises ValueError for a content-length that does not fit the body.
    """
    length = fields.pop("content-length", None)
    if body is None:
        if length is not None:
            raise ValueError("content-length without a body")
        if method == "HEAD":
            return [(curlopts.CURLOPT_NOBODY, 1)]
        return [] if method == "GET" else [(CUSTOMREQUEST, method.encode())]
    size = None if length is None else _parse_content_length(length)
    # libcurl would send `Expect: 100-continue` and wait a second; many servers ignore it.
    fields.setdefault("expect", b"expect:")
    if json:
        fields.setdefault("content-type", b"content-type: application/json")
    if isinstance(body, bytes):
        if size not in {None, len(body)}:
            raise ValueError(f"content-length is {size}, the body's is {len(body)}")
        if method == "POST":
            return [(POSTFIELDS, body)]
        if method == "PUT":
            fields.setdefault("content-type", b"content-type:")
        return [(POSTFIELDS, body), (CUSTOMREQUEST, method.encode())]
    if method == "POST":
        fields.setdefault("content-type", b"content-type:")
        return [(curlopts.CURLOPT_POST, 1), *([] if size is None else [(POSTFIELDSIZE, size)])]
    sized = [] if size is None else [(INFILESIZE, size)]
    return [(curlopts.CURLOPT_UPLOAD, 1), (CUSTOMREQUEST, method.encode()), *sized]


def _move_body_fields(lines: list[bytes], fields: dict[str, bytes]) -> list[bytes]:
    """Move the lines that depend on the body to *fields*, unless set there; return the others."""
    others: list[bytes] = []
    for line in lines:
        name = line.partition(b":")[0].strip().lower().decode()
        if name in BODY_FIELDS:
            fields.setdefault(name, line)
        else:
            others.append(line)
    return others


def _parse_content_length(line: bytes) -> int:
    """Return the number of a content-length line. Raises ValueError if it has none."""
    value = line.partition(b":")[2].strip()
    if not value.isdigit() or len(value) > LENGTH_DIGITS_MAX:
        raise ValueError(f"{value.decode()!r} is not a content-length")
    return int(value)
