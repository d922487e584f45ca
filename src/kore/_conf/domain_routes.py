"""The routes of a domain as a whole: duplicates, HEAD with GET, guards of filemaps."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from kore._conf.arguments import sort_methods
from kore._conf.diagnostics import Diagnostics
from kore._conf.schema import Guard, RedirectRule, Route, order_routes
from kore._values.methods import METHODS

ALL_METHODS: Final = frozenset(METHODS.values())


def complete_routes(routes: Sequence[Route], problems: Diagnostics) -> tuple[Route, ...]:
    """Return *routes* with HEAD beside GET, and filemaps with those below. Report duplicates."""
    taken: dict[tuple[str, bool], dict[str, str]] = {}
    for route in routes:
        methods = taken.setdefault(_get_route_key(route), {})
        for method in route.methods:
            if method in methods:
                where = f"{method} is taken at {methods[method]}"
                what = "filemap" if route.files else "route"
                problems.add(route.where, f"duplicate {what} for '{route.path}': {where}")
                break
        methods.update(dict.fromkeys(route.methods, route.where))
    maps = [route.path for route in routes if route.files]
    return tuple(
        _add_nested_maps(_add_head(route, taken[_get_route_key(route)]), maps) for route in routes
    )


def _get_route_key(route: Route) -> tuple[str, bool]:
    """Return what identifies a route in a domain: the filemap of / is not the route of /."""
    return route.path, bool(route.files)


def _add_head(route: Route, taken: dict[str, str]) -> Route:
    """Return *route* with HEAD beside its GET, unless the path has a HEAD of its own."""
    if "GET" not in route.methods or "HEAD" in taken:
        return route
    return replace(route, methods=sort_methods({"HEAD", *route.methods}))


def _add_nested_maps(route: Route, maps: Sequence[str]) -> Route:
    """Return *route*, if it is a filemap, with the paths of the filemaps below its own."""
    if not route.files:
        return route
    below = (path.rstrip("/") for path in maps if path.startswith(route.path))
    return replace(route, nested_maps=frozenset(below) - {route.path.rstrip("/")})


def guard_maps(routes: Sequence[Route], rules: Sequence[RedirectRule]) -> tuple[Route, ...]:
    """Return *routes* with the rules and routes before each filemap as its guards.

    A file may have a second path, by its map's index or suffix. A request for that path must pass
    what protects the first one.
    """
    guards = [Guard(rule.pattern.search, ALL_METHODS, status=_get_refusal(rule)) for rule in rules]
    guarded: dict[str, tuple[Guard, ...]] = {}
    for route in order_routes(routes):
        if route.files:
            guarded[route.path] = tuple(guards) if any(map(_is_protecting, guards)) else ()
        matches = route.path.__eq__ if route.pattern is None else route.pattern.search
        methods = frozenset(METHODS[name] for name in route.methods if name in METHODS)
        guards.append(Guard(matches, methods, route.requirements.auth))
    return tuple(
        replace(route, guards=guarded[route.path]) if route.files else route for route in routes
    )


def _get_refusal(rule: RedirectRule) -> int:
    """Return the status of a refusal, 0 for a redirect."""
    return 0 if rule.target else rule.status


def _is_protecting(guard: Guard) -> bool:
    """Return whether a guard restricts access."""
    return guard.auth is not None or guard.status > 0
