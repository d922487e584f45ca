"""The routes of a domain, as they were asked for and as they will be."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from kore._conf import check
from kore._conf.diagnostics import Diagnostics
from kore._conf.schema import Guard, RedirectRule, Route, longest_first
from kore._values.methods import METHODS

if TYPE_CHECKING:
    from kore._conf.builder import DomainHandle

ALL: Final = frozenset(METHODS.values())


@dataclass(frozen=True, slots=True)
class PendingRoute:
    """A route as it was asked for; its domain may come later."""

    route: Route
    domain: "DomainHandle | str | None"
    where: str


def distinct(wanted: Sequence[PendingRoute], problems: Diagnostics) -> tuple[Route, ...]:
    """Return the routes of a domain; no two take the same requests, and GET brings HEAD."""
    taken: dict[tuple[str, bool], dict[str, str]] = {}
    for one in wanted:
        methods = taken.setdefault(known_as(one.route), {})
        for method in one.route.methods:
            if method in methods:
                where = f"{method} is taken at {methods[method]}"
                what = "filemap" if one.route.files else "route"
                problems.add(one.where, f"duplicate {what} for '{one.route.path}': {where}")
                break
        methods.update(dict.fromkeys(one.route.methods, one.where))
    maps = [one.route.path for one in wanted if one.route.files]
    return tuple(
        _with_maps(with_head(one.route, taken[known_as(one.route)]), maps) for one in wanted
    )


def _with_maps(route: Route, maps: Sequence[str]) -> Route:
    """Return *route* with the maps of its domain that lie within it."""
    if not route.files:
        return route
    below = (path.rstrip("/") for path in maps if path.startswith(route.path))
    return replace(route, below=frozenset(below) - {route.path.rstrip("/")})


def guard_maps(routes: Sequence[Route], answers: Sequence[RedirectRule]) -> tuple[Route, ...]:
    """Return *routes* with what comes before each map: a file may have a second path there."""
    guards = [Guard(one.pattern.search, ALL, status=_refusal(one)) for one in answers]
    guarded: dict[str, tuple[Guard, ...]] = {}
    for route in longest_first(routes):
        if route.files:
            guarded[route.path] = tuple(guards) if any(map(_protects, guards)) else ()
        fits = route.path.__eq__ if route.pattern is None else route.pattern.search
        methods = frozenset(METHODS[name] for name in route.methods)
        guards.append(Guard(fits, methods, route.demands.auth))
    return tuple(
        replace(route, guards=guarded[route.path]) if route.files else route for route in routes
    )


def _refusal(answer: RedirectRule) -> int:
    """Return the status of a refusal, 0 for a redirect."""
    return 0 if answer.target else answer.status


def _protects(guard: Guard) -> bool:
    """Return whether a guard asks anything of a request."""
    return guard.auth is not None or guard.status > 0


def known_as(route: Route) -> tuple[str, bool]:
    """Return what no two routes of a domain have in common: a map of / is not the route of /."""
    return route.path, bool(route.files)


def with_head(route: Route, taken: dict[str, str]) -> Route:
    """Return *route* with HEAD beside its GET, unless the path has a HEAD of its own."""
    if "GET" not in route.methods or "HEAD" in taken:
        return route
    return replace(route, methods=check.in_order({"HEAD", *route.methods}))
