"""The routes of a domain, as they were asked for and as they will be."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kore._conf import check
from kore._conf.problems import Problems
from kore._conf.schema import Route

if TYPE_CHECKING:
    from kore._conf.builder import DomainHandle


@dataclass(frozen=True, slots=True)
class Wanted:
    """A route as it was asked for; its domain may come later."""

    route: Route
    domain: "DomainHandle | str | None"
    where: str


def distinct(wanted: Sequence[Wanted], problems: Problems) -> tuple[Route, ...]:
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


def known_as(route: Route) -> tuple[str, bool]:
    """Return what no two routes of a domain have in common: a map of / is not the route of /."""
    return route.path, bool(route.files)


def with_head(route: Route, taken: dict[str, str]) -> Route:
    """Return *route* with HEAD beside its GET, unless the path has a HEAD of its own."""
    if "GET" not in route.methods or "HEAD" in taken:
        return route
    return replace(route, methods=check.in_order({"HEAD", *route.methods}))
