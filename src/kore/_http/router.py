"""Host, path and method of a request -> a route and its captures. The first match wins."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any, Final, Protocol

from kore._conf.schema import order_routes
from kore._http.redirects import RedirectedRequest, compile_rules, redirect_to_directory
from kore._values import hosts
from kore._values.methods import (
    HTTP_METHOD_GET,
    HTTP_METHOD_HEAD,
    HTTP_METHOD_OPTIONS,
    METHODS,
)

if TYPE_CHECKING:
    from kore._conf.schema import BodyOptions, Domain, Handler, Route

CAPTURES_MAX: Final = 15  # Kore's limit, and more than a handler can name
LABEL_MAX: Final = 63
# Clients choose the names that a wildcard domain answers to.
HOSTS_MAX: Final = 1024
# What is asked of files.
FILEMAP_METHODS: Final = HTTP_METHOD_GET | HTTP_METHOD_HEAD


class RoutedRequest(RedirectedRequest, Protocol):
    """What routing reads of a request, and what it sets."""

    captures: tuple[str, ...] | None
    access_log: Any

    @property
    def bare_host(self) -> str:
        """The host in lower case, without port and last dot; empty for HTTP/1.0 without a host."""

    @property
    def method(self) -> int:
        """One of the HTTP_METHOD numbers."""


@dataclass(frozen=True, slots=True, eq=False)
class RouteEntry:
    """A route as it is served: what to run, and its name in logs and on the scoreboard."""

    run: "Handler"
    label: bytes
    route: "Route"
    # What it asks for beside being run; None for most.
    extras: "BodyOptions | None" = None


@dataclass(frozen=True, slots=True)
class RouteTable:
    """The routes of one domain."""

    # path -> method -> entry, for what a literal path alone decides
    literal: dict[str, dict[int, RouteEntry]] = field(default_factory=dict)
    # search, methods and entry of each regular expression, in order
    patterns: list[tuple[Callable[[str], re.Match[str] | None], int, RouteEntry]] = field(
        default_factory=list
    )
    # path -> methods of all its literal routes
    methods: dict[str, int] = field(default_factory=dict)
    # Paths of filemaps, without the slash at their ends.
    maps: frozenset[str] = frozenset()
    # Where requests are logged.
    journal: Any = None
    # What comes before all routes, and says whether it has answered.
    before: Callable[[RoutedRequest], bool] | None = None


class Router:
    """Finds the route of a request among the domains of one server."""

    def __init__(
        self,
        domains: Sequence["Domain"],
        fold: Callable[["Route"], "Handler"],
        journal: Callable[["Domain"], Any] = lambda _: None,
    ) -> None:
        self._domains = [
            (
                domain.name.lower(),
                hosts.compile_wildcard(domain.name),
                _build_domain_table(domain, fold, journal(domain)),
            )
            for domain in domains
        ]
        # Of a host that is nobody's.
        self._stray = next(filter(None, map(journal, domains)), None)
        self._methods = _combine_methods(
            method for domain in domains for route in domain.routes for method in route.methods
        )
        self._hosts: dict[str, RouteTable | None] = {}

    def resolve(self, request: RoutedRequest) -> RouteEntry | None:
        """Return the route of *request*, or None: there is none, and it has been answered."""
        # Runs for every request: nothing here that could be decided once.
        known = self._hosts.get(request.bare_host)
        if known is None:
            return self._meet(request)
        if known.journal is not None:
            request.access_log = known.journal
        if known.before is not None and known.before(request):
            return None
        methods = known.literal.get(request.path)
        if methods is not None:
            entry = methods.get(request.method)
            if entry is not None:
                return entry
        return self._match(request, known)

    def _meet(self, request: RoutedRequest) -> RouteEntry | None:
        host = request.bare_host
        if host not in self._hosts:
            self._learn(host)
        if self._hosts[host] is not None:
            return self.resolve(request)
        request.access_log = self._stray
        if request.is_star:
            request.refuse(204, format_allow(self._methods))
        else:
            request.refuse(404)
        return None

    def _learn(self, host: str) -> None:
        if len(self._hosts) >= HOSTS_MAX:
            self._hosts.clear()
        wanted = hosts.normalize_address(host)
        self._hosts[host] = next(
            # A client of HTTP/1.0 may leave the host out; it gets the first domain.
            (
                routes
                for name, fits, routes in self._domains
                if wanted in ("", name) or fits(wanted)
            ),
            None,
        )

    def _match(self, request: RoutedRequest, known: RouteTable) -> RouteEntry | None:
        path, method = request.path, request.method
        is_map = path in known.maps
        allowed = known.methods.get(path, 0) | (FILEMAP_METHODS if is_map else 0)
        if method == HTTP_METHOD_OPTIONS and request.is_star:
            request.refuse(204, format_allow(self._methods))
            return None
        for search, methods, entry in known.patterns:
            found = search(path)
            if found is None:
                continue
            if methods & method:
                if groups := found.groups():
                    request.captures = _get_captures(groups)
                return entry
            allowed |= methods
        if is_map and method & FILEMAP_METHODS:
            redirect_to_directory(request)
        elif not allowed:
            request.refuse(404)
        else:
            request.refuse(204 if method == HTTP_METHOD_OPTIONS else 405, format_allow(allowed))
        return None


def _get_captures(groups: tuple[str, ...]) -> tuple[str, ...]:
    """Return the groups of a match up to the first that took no part in it."""
    if None in groups:
        groups = groups[: groups.index(None)]
    return groups[:CAPTURES_MAX]


def _build_domain_table(
    domain: "Domain", fold: Callable[["Route"], "Handler"], journal: Any
) -> RouteTable:
    """Return the table of a domain."""
    routes = build_route_table(domain.routes, fold)
    return replace(routes, journal=journal, before=compile_rules(domain.rules))


def build_route_table(
    routes: Sequence["Route"], fold: Callable[["Route"], "Handler"]
) -> RouteTable:
    """Decide once what a request would find out each time."""
    made = RouteTable(maps=frozenset(route.path.rstrip("/") for route in routes if route.files))
    for route in order_routes(routes):
        path, methods = route.path, _combine_methods(route.methods)
        entry = RouteEntry(fold(route), _build_label(path), route, route.requirements.body_options)
        if route.pattern is not None:
            made.patterns.append((route.pattern.search, methods, entry))
            continue
        made.methods[path] = made.methods.get(path, 0) | methods
        # What an earlier regular expression takes, it keeps: it may have captures.
        earlier = _combine_bits(bit for search, bit, _ in made.patterns if search(path))
        for method in METHODS.values():
            if method & methods & ~earlier:
                made.literal.setdefault(path, {}).setdefault(method, entry)
    return made


def _build_label(path: str) -> bytes:
    """Return a route's name for the scoreboard, which has little room."""
    return path.encode()[:LABEL_MAX]


def _combine_methods(methods: Iterable[str]) -> int:
    """Return methods as a set of bits."""
    return _combine_bits(METHODS[method] for method in methods)


def _combine_bits(masks: Iterable[int]) -> int:
    """Return the union of sets of bits."""
    return reduce(or_, masks, 0)


def format_allow(methods: int) -> str:
    """Return an Allow field: OPTIONS is always answered."""
    methods |= HTTP_METHOD_OPTIONS
    return ", ".join(name for name, bit in METHODS.items() if bit & methods)
