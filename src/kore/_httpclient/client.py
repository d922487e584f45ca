"""`kore.httpclient()`: requests to one URL."""

import json
import os
from collections.abc import AsyncIterable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack

from kore._httpclient import curlopts
from kore._httpclient.fields import CONTROLS, received, requested
from kore._httpclient.lazy import LazyAwaitable
from kore._httpclient.options import POINTER, Setting, all_checked
from kore._httpclient.prepared import (
    ABSTRACT,
    CUSTOMREQUEST,
    HTTPHEADER,
    INFILESIZE,
    POSTFIELDS,
    POSTSIZE,
    UNIX,
    PreparedRequest,
    common,
    counted,
    follow,
    milliseconds,
)
from kore._httpclient.stream import ResponseStream
from kore._httpclient.urls import checked_url, shown
from kore.errors import ClientTypeError, KoreError

if TYPE_CHECKING:
    from kore._httpclient.transfer import Transfer

# Those whose `body=` must be given, and those that may have one.
WITH_BODY: Final = frozenset({"PUT", "POST", "PATCH"})
MAY_HAVE_BODY: Final = WITH_BODY | {"DELETE"}
METHODS: Final = MAY_HAVE_BODY | {"GET", "HEAD", "OPTIONS"}
# Settings with which a head is not the last one: redirects are followed, somebody logs in.
MORE_HEADS: Final = frozenset(
    {curlopts.CURLOPT_FOLLOWLOCATION, curlopts.CURLOPT_HTTPAUTH, curlopts.CURLOPT_PROXYAUTH}
)

# Digits of a content-length: libcurl has 63 bits for it.
LENGTH_DIGITS_MAX: Final = 18
# Fields that depend on the body.
FRAMING: Final = frozenset({"content-length", "content-type", "expect"})


class ClientKeywords(TypedDict, total=False):
    """Keywords of `kore.httpclient()`.

    *tlscert*, *tlskey*: PEM files to show to the peer. *tlsverify*: False takes any peer for the
    right one. *cabundle*: a PEM file of those who may vouch for the peer. *unix*: a socket's path,
    or `@name` of an abstract one. *curlopt*: options of libcurl by CURLOPT_ number. *cookies*:
    keep the peer's cookies, and send them.
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

    *body*: bytes, or an async iterator of bytes. *json*: what to send as JSON instead. *headers*:
    str by str. *return_headers*: return them as well. *curlopt*: as for the client, for this
    request. *timeout*: milliseconds for all of it, 0: none. *follow*: redirects; True: up to ten.
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

    def share(self) -> Any:
        """Return them as libcurl has them. Made when it is needed: a client may be made early."""
        if self._share is None:
            import pycurl

            self._share = pycurl.CurlShare()
            self._share.setopt(pycurl.SH_SHARE, pycurl.LOCK_DATA_COOKIE)
        return self._share


class HttpClient:
    """A client for one URL. What it is asked begins when it is awaited.

    Clients share the connections of their worker.
    """

    def __init__(
        self, url: str, exchange: Callable[[PreparedRequest], "Transfer"], given: ClientKeywords
    ) -> None:
        unknown(given, ClientKeywords, "httpclient")
        self.url = checked_url(url)
        self._exchange = exchange
        self._place = f"request to '{shown(url)}' failed"
        self._jar = CookieJar() if flag(given, "cookies", default=False) else None
        settings = [*tls(given), *unix(given)]
        own = all_checked(given.get("curlopt", {}))
        self._fields = [line for each in own if each[0] == HTTPHEADER for line in each[1]]
        own = [each for each in own if each[0] != HTTPHEADER]
        self._counted = counted(own)
        self._more_heads = not MORE_HEADS.isdisjoint(number for number, _ in own)
        # Plans without keywords: they are most, and each would be made of the same.
        self._bare: dict[str, PreparedRequest] = {}
        self._settings = [*common(url), *settings, *own]

    def __repr__(self) -> str:
        return f"<kore.httpclient {shown(self.url)}>"

    def get(self, **keywords: Unpack[RequestKeywords]) -> LazyAwaitable[Any]:
        """Ask for what is there: status and body, or status, headers and body."""
        return self._ask("GET", keywords)

    def head(self, **keywords: Unpack[RequestKeywords]) -> LazyAwaitable[Any]:
        """Ask for the head of what `get()` would be answered."""
        return self._ask("HEAD", keywords)

    def options(self, **keywords: Unpack[RequestKeywords]) -> LazyAwaitable[Any]:
        """Ask what may be asked."""
        return self._ask("OPTIONS", keywords)

    def post(self, **keywords: Unpack[RequestKeywords]) -> LazyAwaitable[Any]:
        """Send a body to be worked on."""
        return self._ask("POST", keywords)

    def put(self, **keywords: Unpack[RequestKeywords]) -> LazyAwaitable[Any]:
        """Send a body to be kept."""
        return self._ask("PUT", keywords)

    def patch(self, **keywords: Unpack[RequestKeywords]) -> LazyAwaitable[Any]:
        """Send a body of changes."""
        return self._ask("PATCH", keywords)

    def delete(self, **keywords: Unpack[RequestKeywords]) -> LazyAwaitable[Any]:
        """Have something removed; a body is possible."""
        return self._ask("DELETE", keywords)

    def stream(self, method: str = "get", **keywords: Unpack[RequestKeywords]) -> ResponseStream:
        """Return the body of an answer as an async iterator, whatever its size.

        `curl_timeout` is then how long nothing may come, and `curl_recv_max` does not count.
        """
        name = method.upper() if isinstance(method, str) else method
        if name not in METHODS:
            raise ValueError(f"{method!r} is no method of a client")
        plan, more_heads = self._plan(name, keywords)
        plan.streamed = True
        return ResponseStream(plan, self._exchange, final=not (more_heads or self._more_heads))

    def _ask(self, method: str, keywords: RequestKeywords) -> LazyAwaitable[Any]:
        plan = None if keywords else self._bare.get(method)
        if plan is None:
            plan = self._plan(method, keywords)[0]
            if not keywords:
                self._bare[method] = plan
        return LazyAwaitable(partial(self._perform, plan))

    async def _perform(self, plan: PreparedRequest) -> Any:
        exchange = self._exchange(plan)
        status, body = await exchange.perform()
        return (status, received(exchange.lines), body) if plan.headers else (status, body)

    def _plan(self, method: str, keywords: RequestKeywords) -> tuple[PreparedRequest, bool]:
        """Return what is to be done, and whether more than one head may come."""
        unknown(keywords, RequestKeywords, method.lower())
        body = body_of(method, keywords)
        fields = requested(keywords.get("headers", {}))
        own = all_checked(keywords.get("curlopt", {}))
        ways = follow(keywords.get("follow", False))
        listed = [line for each in own if each[0] == HTTPHEADER for line in each[1]]
        listed = moved([*self._fields, *listed], fields)
        settings = [
            *self._settings,
            *framing(method, body, fields, json="json" in keywords),
            *ways,
            *(each for each in own if each[0] != HTTPHEADER),
        ]
        if method == "POST" and body is not None and not isinstance(body, bytes):
            # To libcurl the size of a POST is another option.
            sizes = [value for number, value in settings if number == curlopts.CURLOPT_INFILESIZE]
            settings += [(POSTSIZE, size) for size in sizes]
        if lines := [*listed, *fields.values()]:
            settings.append((HTTPHEADER, lines))
        plan = PreparedRequest(
            settings,
            self._place,
            body=None if isinstance(body, bytes) else body,
            timeout=milliseconds(keywords.get("timeout")),
            headers=flag(keywords, "return_headers", default=False),
            jar=self._jar,
            counted=self._counted or method == "HEAD" or counted(own),
        )
        return plan, bool(ways) or not MORE_HEADS.isdisjoint(number for number, _ in own)


# What keywords mean


def unknown(given: Mapping[str, Any], known: Any, where: str) -> None:
    """Refuse keywords that there are not."""
    if wrong := given.keys() - known.__annotations__.keys():
        raise TypeError(f"{where}() got an unexpected keyword argument '{min(wrong)}'")


def flag(given: Mapping[str, Any], name: str, *, default: bool) -> bool:
    """Return a keyword that is True or False."""
    value = given.get(name, default)
    if type(value) is not bool:
        raise ClientTypeError(f"{name} not True or False")
    return value


def path(given: Mapping[str, Any], name: str) -> bytes | None:
    """Return a keyword that is a path."""
    value = given.get(name)
    if value is None:
        return None
    if not isinstance(value, (str, os.PathLike)):
        raise ClientTypeError(f"{name} must be a path, not {value!r}")
    found = os.fsencode(value)
    if not found or CONTROLS.search(os.fsdecode(found)):
        raise ValueError(f"{name} is no path: {value!r}")
    return found


def tls(given: ClientKeywords) -> list[Setting]:
    """Return the settings of the keywords about TLS."""
    cert, key = path(given, "tlscert"), path(given, "tlskey")
    if (cert is None) != (key is None):
        raise KoreError("invalid TLS client configuration: tlscert and tlskey belong together")
    settings: list[Setting] = []
    if cert is not None:
        settings += [
            (POINTER + curlopts.CURLOPT_SSLCERT, cert),
            (POINTER + curlopts.CURLOPT_SSLKEY, key),
        ]
    if not flag(given, "tlsverify", default=True):
        settings += [(curlopts.CURLOPT_SSL_VERIFYPEER, 0), (curlopts.CURLOPT_SSL_VERIFYHOST, 0)]
    if bundle := path(given, "cabundle"):
        # Those of the system do not vouch beside it.
        settings += [
            (POINTER + curlopts.CURLOPT_CAINFO, bundle),
            (POINTER + curlopts.CURLOPT_CAPATH, None),
        ]
    return settings


def unix(given: ClientKeywords) -> list[Setting]:
    """Return the settings of the `unix` keyword."""
    name = path(given, "unix")
    if name is None:
        return []
    return [(ABSTRACT, name[1:])] if name.startswith(b"@") else [(UNIX, name)]


def body_of(method: str, given: RequestKeywords) -> bytes | AsyncIterable[bytes] | None:
    """Return what is to be sent.

    KoreError: the method needs a body. TypeError: it has none, or it is not bytes.
    """
    if method not in MAY_HAVE_BODY:
        if "body" in given or "json" in given:
            raise TypeError(f"{method.lower()}() sends no body")
        return None
    if "json" in given:
        if "body" in given:
            raise TypeError("body and json cannot both be sent")
        return json.dumps(given["json"], allow_nan=False).encode()
    body = given.get("body")
    if body is None:
        if method in WITH_BODY:
            raise KoreError("no keyword arguments given, but body expected")
        return None
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body)
    if isinstance(body, AsyncIterable):
        return body
    raise ClientTypeError(f"expected bytes, {type(body).__name__} found")


def framing(method: str, body: Any, fields: dict[str, bytes], *, json: bool) -> list[Setting]:
    """Return the settings of a method and its body; complete *fields*."""
    length = fields.pop("content-length", None)
    if body is None:
        if length is not None:
            raise ValueError("content-length without a body")
        if method == "HEAD":
            return [(curlopts.CURLOPT_NOBODY, 1)]
        return [] if method == "GET" else [(CUSTOMREQUEST, method.encode())]
    size = None if length is None else announced(length)
    # A second's wait for permission that many peers never give.
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
        return [(curlopts.CURLOPT_POST, 1), *([] if size is None else [(POSTSIZE, size)])]
    sized = [] if size is None else [(INFILESIZE, size)]
    return [(curlopts.CURLOPT_UPLOAD, 1), (CUSTOMREQUEST, method.encode()), *sized]


def moved(lines: list[bytes], fields: dict[str, bytes]) -> list[bytes]:
    """Move lines of CURLOPT_HTTPHEADER that frame a body to *fields*; return the others."""
    others: list[bytes] = []
    for line in lines:
        name = line.partition(b":")[0].strip().lower().decode()
        if name in FRAMING:
            fields.setdefault(name, line)
        else:
            others.append(line)
    return others


def announced(line: bytes) -> int:
    """Return the number of a content-length line."""
    value = line.partition(b":")[2].strip()
    if not value.isdigit() or len(value) > LENGTH_DIGITS_MAX:
        raise ValueError(f"{value.decode()!r} is no content-length")
    return int(value)

