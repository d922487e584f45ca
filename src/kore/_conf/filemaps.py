"""Maps of paths to directories: `domain.filemaps()`, and `filemap` in a file.

Whether a directory exists is checked later, by the template.
"""

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from kore._conf.arguments import check_text
from kore._conf.diagnostics import get_working_directory
from kore._conf.route_options import build_auth, label_errors
from kore._conf.schema import Route, RouteRequirements
from kore.errors import ConfigError

METHODS: Final = ("GET", "HEAD")
# Paths that have one spelling only: RFC 3986 section 3.3, without escapes.
PREFIX: Final = re.compile(r"/(?:[A-Za-z0-9_.~!$&'()*+,;=:@-]+/)*")
PAIR: Final = 2  # a directory and an `auth`


def build_filemap_routes(maps: object, where: str) -> Iterator[Route]:
    """Yield a route for each filemap of a call at *where*."""
    if not isinstance(maps, Mapping):
        raise ConfigError(f"filemaps not a dict: {maps!r}")
    for uri, value in maps.items():
        path, given = _split_value(value)
        yield _build_route(check_prefix(uri), path, given, where)


def check_prefix(uri: object) -> str:
    """Return the path of a filemap. Raises ConfigError if it is not one in normal form."""
    if not isinstance(uri, str):
        raise ConfigError(f"filemap key not a string: {uri!r}")
    if not uri.startswith("/") or not uri.endswith("/"):
        raise ConfigError(f"cannot create filemap for {uri}: it must begin and end with /")
    if not PREFIX.fullmatch(uri) or re.search(r"/\.\.?/", uri):
        hint = "between its slashes stand names, of characters that URLs have without escapes"
        raise ConfigError(f"cannot create filemap for {uri!a}: {hint}")
    return uri


def _split_value(value: object) -> tuple[str, object]:
    """Return the directory and the `auth` of a value of the dict of maps."""
    given: object = None
    if isinstance(value, tuple):
        if len(value) != PAIR:
            raise ConfigError(f"filemap value tuple is not (path, auth): {value!r}")
        value, given = value
        if not isinstance(given, Mapping):
            raise ConfigError(f"filemap value tuple auth is not a dict: {given!r}")
        if not isinstance(value, str | os.PathLike):
            raise ConfigError(f"filemap value tuple path is invalid: {value!r}")
    if not isinstance(value, str | os.PathLike):
        raise ConfigError(f"filemap value can be either be a string or tuple, not {value!r}")
    return check_text(os.fspath(value), "filemap path"), given


def _build_route(uri: str, path: str, given: Any, where: str) -> Route:
    """Return the route of one filemap."""
    # Absolute: workers may have another working directory.
    directory = get_working_directory() / path
    with label_errors(f"filemap '{uri}'"):
        requirements = RouteRequirements(auth=build_auth(uri, given))
    return Route(uri, _raise_unserved, METHODS, requirements, str(directory), where=where)


def _raise_unserved(*_: object) -> None:
    """Stand in for the handler of a filemap, which each worker builds when it starts."""
    raise NotImplementedError
