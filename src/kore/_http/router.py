"""Find the route of a request by host, path and method, and its captures. The first match wins."""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any, Final, Protocol

from kore._conf.schema import order_routes
from kore._http.redirects import RedirectedRequest, compile_rules, redirect_to_directory
from kore._values import hosts
from kore._values.methods import (
    ANY_METHOD,
    HTTP_METHOD_GET,
    HTTP_METHOD_HEAD,
    HTTP_METHOD_OPTIONS,
    METHODS,
)

if TYPE_CHECKING:
    from kore._conf.schema import BodyOptions, Domain, Handler, Route

CAPTURES_MAX: Final = 15  # as in Kore
LABEL_MAX: Final = 63
# Entries of the cache: clients choose the hosts that match a wildcard.
HOSTS_MAX: Final = 1024
# Methods for files.
FILEMAP_METHODS: Final = HTTP_METHOD_GET | HTTP_METHOD_HEAD


HostKey = str | tuple[str, str, bool]


class RoutedRequest(RedirectedRequest, Protocol):
    """What routing reads of a request, and what it sets."""

    captures: tuple[str, ...] | None
    access_log: Any

    @property
    def host_key(self) -> HostKey:
        """The host in lower case, without port and last dot; empty for HTTP/1.0 without a host.

        If the TLS handshake was for another name or for none, a tuple: the host, the domain whose
        certificate was sent, and whether the client named it.
        """

    def refuse_misdirected(self) -> None:
        """Respond 421: the TLS handshake was not for this host."""

    @property
    def method(self) -> int:
        """One of the HTTP_METHOD numbers; 0 for another method."""

    @property
    def method_name(self) -> str:
        """The method as it was sent."""


@dataclass(frozen=True, slots=True, eq=False)
class RouteEntry:
    """A route as it is served: its callable, and its name in logs and on the scoreboard."""

    run: "Handler"
    label: bytes
    route: "Route"
    # Options for bodies; None for most routes.
    extras: "BodyOptions | None" = None


@dataclass(frozen=True, slots=True)
class RouteTable:
    """The routes of one domain."""

    # By path and method, if no regular expression comes before.
    literal: dict[str, dict[int, RouteEntry]] = field(default_factory=dict)
    # Search function, methods and entry of each regular expression, in order.
    patterns: list[tuple[Callable[[str], re.Match[str] | None], int, RouteEntry]] = field(
        default_factory=list
    )
    # The routes with methods that have no number, in order: what matches a path, names, entry.
    others: list[tuple[Callable[[str], Any], frozenset[str], RouteEntry]] = field(
        default_factory=list
    )
    # By path: the methods of all its literal routes.
    methods: dict[str, int] = field(default_factory=dict)
    # Paths of filemaps, without the slash at their ends.
    maps: frozenset[str] = frozenset()
    access_log: Any = None
    # Responds to a request by a rule of the domain; returns False if none matches.
    respond_by_rule: Callable[[RoutedRequest], bool] | None = None

    def find_methods(self, path: str) -> int:
        """Return the methods with a number that the routes of *path* take."""
        patterns = (methods for search, methods, _ in self.patterns if search(path))
        files = FILEMAP_METHODS if path in self.maps else 0
        return _combine_bits([self.methods.get(path, 0), files, *patterns])

    def list_others(self, path: str) -> frozenset[str]:
        """Return the methods without a number that the routes of *path* name."""
        named = (names for matches, names, _ in self.others if matches(path))
        return frozenset[str]().union(*named) - {ANY_METHOD}


class Router:
    """Finds the route of a request among the domains of one server."""

    def __init__(
        self,
        domains: Sequence["Domain"],
        fold: Callable[["Route"], "Handler"],
        get_access_log: Callable[["Domain"], Any] = lambda _: None,
        verified: Collection[str] = (),
    ) -> None:
        # Names of the domains that require client certificates.
        self._verified = verified
        self._domains = [
            (
                domain.name,
                hosts.compile_wildcard(domain.name),
                _build_domain_table(domain, fold, get_access_log(domain)),
            )
            for domain in domains
        ]
        # For requests whose host matches no domain.
        self._default_log = next(filter(None, map(get_access_log, domains)), None)
        self._methods = _combine_methods(
            method for domain in domains for route in domain.routes for method in route.methods
        )
        # Methods that have no number.
        self._others = frozenset(
            method for domain in domains for route in domain.routes for method in route.methods
        ) - {ANY_METHOD, *METHODS}
        self._hosts: dict[HostKey, RouteTable | None] = {}

    def resolve(self, request: RoutedRequest) -> RouteEntry | None:
        """Return the route of *request*; None if it has been responded to."""
        # Runs for every request, so everything that can be decided earlier is.
        known = self._hosts.get(request.host_key)
        if known is None:
            return self._resolve_new_host(request)
        if known.access_log is not None:
            request.access_log = known.access_log
        if known.respond_by_rule is not None and known.respond_by_rule(request):
            return None
        methods = known.literal.get(request.path)
        if methods is not None:
            entry = methods.get(request.method)
            if entry is not None:
                return entry
        return self._match(request, known)

    def _resolve_new_host(self, request: RoutedRequest) -> RouteEntry | None:
        key = request.host_key
        if key not in self._hosts:
            if len(self._hosts) >= HOSTS_MAX:
                self._hosts.clear()
            self._hosts[key] = self._find_table(key)
        if self._hosts[key] is not None:
            return self.resolve(request)
        request.access_log = self._default_log
        if not isinstance(key, str) and self._is_misdirected(key):
            request.refuse_misdirected()
        elif request.is_star:
            request.refuse(204, _format_allow(self._methods | HTTP_METHOD_OPTIONS, self._others))
        else:
            request.refuse(404)
        return None

    def _find_table(self, key: HostKey) -> RouteTable | None:
        """Return the routes of the domain for a host; None if it is to be refused."""
        if isinstance(key, str):
            name = self._find_domain(key)
        elif self._is_misdirected(key):
            return None
        else:
            host, handshake, _ = key
            name = self._find_domain(host) if host else handshake
        return next((table for known, _, table in self._domains if known == name), None)

    def _find_domain(self, host: str) -> str | None:
        """Return the name of the first domain that matches a host; None if there is none."""
        wanted = hosts.normalize_address(host)
        # A client of HTTP/1.0 may leave out the host, and gets the first domain.
        return next(
            (
                name
                for name, matches, _ in self._domains
                if wanted in ("", name.lower()) or matches(wanted)
            ),
            None,
        )

    def _is_misdirected(self, key: tuple[str, str, bool]) -> bool:
        """Return whether a connection was not made for the host of a request (RFC 9110 7.4).

        Its handshake may have required no client certificate, or that of another authority. A
        client that names no host, as for an IP address, gets the certificate of the default domain,
        and may ask for all hosts without client certificates.
        """
        host, handshake, is_named = key
        wanted = self._find_domain(host) if host else handshake
        if wanted == handshake:
            return False
        return is_named or wanted in self._verified or handshake in self._verified

    def _match(self, request: RoutedRequest, known: RouteTable) -> RouteEntry | None:
        path, method = request.path, request.method
        if not method:
            return self._match_other(request, known)
        is_map = path in known.maps
        allowed = known.methods.get(path, 0) | (FILEMAP_METHODS if is_map else 0)
        if method == HTTP_METHOD_OPTIONS and request.is_star:
            request.refuse(204, _format_allow(self._methods | HTTP_METHOD_OPTIONS, self._others))
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
            return None
        allow = _format_allow(allowed, known.list_others(path))
        if not allow:
            request.refuse(404)
        else:
            request.refuse(204 if method == HTTP_METHOD_OPTIONS else 405, allow)
        return None

    def _match_other(self, request: RoutedRequest, known: RouteTable) -> RouteEntry | None:
        """Return the route of a request whose method has no number."""
        path, name = request.path, request.method_name
        for matches, names, entry in known.others:
            if (name in names or ANY_METHOD in names) and (found := matches(path)):
                # A match of an expression, or True for a literal path.
                if found is not True and (groups := found.groups()):
                    request.captures = _get_captures(groups)
                return entry
        allow = _format_allow(known.find_methods(path), known.list_others(path))
        if name not in self._others:
            request.refuse(501)
        elif not allow:
            request.refuse(404)
        else:
            request.refuse(405, allow)
        return None


def _get_captures(groups: tuple[str, ...]) -> tuple[str, ...]:
    """Return the groups of a match up to the first one without a match."""
    if None in groups:
        groups = groups[: groups.index(None)]
    return groups[:CAPTURES_MAX]


def _build_domain_table(
    domain: "Domain", fold: Callable[["Route"], "Handler"], access_log: Any
) -> RouteTable:
    """Return the route table of a domain."""
    routes = _build_route_table(domain.routes, fold)
    return replace(routes, access_log=access_log, respond_by_rule=compile_rules(domain.rules))


def _build_route_table(
    routes: Sequence["Route"], fold: Callable[["Route"], "Handler"]
) -> RouteTable:
    """Return the route table of *routes*, in which a literal path is one look-up."""
    made = RouteTable(maps=frozenset(route.path.rstrip("/") for route in routes if route.files))
    for route in order_routes(routes):
        path, methods = route.path, _combine_methods(route.methods)
        entry = RouteEntry(fold(route), _build_label(path), route, route.requirements.body_options)
        if others := frozenset(route.methods) - METHODS.keys():
            matches = path.__eq__ if route.pattern is None else route.pattern.search
            made.others.append((matches, others, entry))
        if route.pattern is not None:
            made.patterns.append((route.pattern.search, methods, entry))
            continue
        made.methods[path] = made.methods.get(path, 0) | methods
        # An earlier regular expression takes the request, and may have captures.
        earlier = _combine_bits(bit for search, bit, _ in made.patterns if search(path))
        for method in METHODS.values():
            if method & methods & ~earlier:
                made.literal.setdefault(path, {}).setdefault(method, entry)
    return made


def _build_label(path: str) -> bytes:
    """Return the name of a route for the scoreboard, cut to the room it has there."""
    return path.encode()[:LABEL_MAX]


def _combine_methods(methods: Iterable[str]) -> int:
    """Return methods as one bit mask; those without a number have no bit."""
    return _combine_bits(METHODS.get(method, 0) for method in methods)


def _combine_bits(masks: Iterable[int]) -> int:
    """Return the union of bit masks."""
    return reduce(or_, masks, 0)


def _format_allow(methods: int, others: Iterable[str] = ()) -> str:
    """Return the value of an Allow field; "" for no methods. With others OPTIONS is allowed."""
    others = sorted(others)
    if not methods and not others:
        return ""
    methods |= HTTP_METHOD_OPTIONS
    return ", ".join([*(name for name, bit in METHODS.items() if bit & methods), *others])
