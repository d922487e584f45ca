"""Servers, domains and routes."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypedDict, TypeVar, Unpack

Handler: TypeAlias = Callable[..., Any]
FilePath: TypeAlias = str | os.PathLike[str]
Validators: TypeAlias = Mapping[str, str | re.Pattern[str] | Callable[..., Any]]

class RouteKeywords(TypedDict, total=False):
    """What may be asked of a route beside its methods."""

    get: Validators
    post: Validators
    put: Validators
    delete: Validators
    head: Validators
    options: Validators
    patch: Validators
    qs: Validators
    required: Sequence[str]
    strict: bool
    auth: Mapping[str, object]
    hooks: Mapping[str, Callable[..., Any]]
    stream: bool
    body_max: int | str
    websocket: Mapping[str, Any]

class TlsKeywords(TypedDict, total=False):
    """What a domain on a server with TLS needs."""

    cert: FilePath | Sequence[FilePath] | None
    key: FilePath | Sequence[FilePath] | None
    client_verify: FilePath | None
    verify_depth: int | None
    crl: FilePath | None
    acme: bool

class Domain:
    """One domain while it is configured."""

    def route(
        self,
        path: str,
        handler: Handler,
        *,
        methods: Sequence[str] | None = None,
        **keywords: Unpack[RouteKeywords],
    ) -> None: ...
    def filemaps(self, maps: Mapping[str, object]) -> None: ...
    def redirect(self, path: str, status: int, target: str) -> None: ...
    def return_(self, path: str, status: int) -> None: ...
    @property
    def accesslog(self) -> str | tuple[str, str]: ...
    @accesslog.setter
    def accesslog(self, given: str | tuple[str, str]) -> None: ...

_F = TypeVar("_F", bound=Callable[..., Any])

def server(
    name: str = "default",
    *,
    ip: str | None = None,
    port: int | str | None = None,
    path: str | None = None,
    tls: bool = True,
    redirect_https: bool = False,
) -> None: ...
def bind(ip: str, port: int | str) -> bool: ...
def bind_unix(path: str) -> bool: ...
def privsep(
    process: str,
    *,
    root: str | os.PathLike[str] | None = None,
    runas: str | None = None,
    skip: Sequence[str] = (),
) -> None: ...
def domain(
    host: str,
    attach: str = "default",
    *,
    accesslog: str | None = None,
    accesslog_format: str = "combined",
    **tls: Unpack[TlsKeywords],
) -> Domain: ...
def route(
    path: str,
    *,
    domain: str | Domain | None = None,
    methods: Sequence[str] | None = None,
    **keywords: Unpack[RouteKeywords],
) -> Callable[[_F], _F]: ...
def prerequest(function: _F) -> _F: ...
def dbsetup(name: str, connstring: str) -> bool: ...
def tracer(callback: Callable[..., Any]) -> bool: ...
