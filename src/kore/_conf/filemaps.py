"""Maps of paths to directories: `domain.filemaps()`, and `filemap` in a file."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from kore._conf import check
from kore._conf.route_options import auth, labelled
from kore._conf.schema import Route, RouteRequirements
from kore._conf.source_location import working_directory
from kore.errors import ConfigError

METHODS: Final = ("GET", "HEAD")
# What a path consists of that has one spelling only: RFC 3986 section 3.3, without escapes.
SEGMENTS: Final = re.compile(r"/(?:[A-Za-z0-9_.~!$&'()*+,;=:@-]+/)*")
WITH_AUTH: Final = 2  # a path and who may


def routes(maps: object, domain: str) -> Iterator[Route]:
    """Yield a route for each of the maps of a call."""
    if not isinstance(maps, Mapping):
        raise ConfigError(f"filemaps not a dict: {maps!r}")
    for uri, value in maps.items():
        path, given = parts(value)
        yield route(prefix(uri), path, given, domain)


def prefix(uri: object) -> str:
    """Return the path that a map is for."""
    if not isinstance(uri, str):
        raise ConfigError(f"filemap key not a string: {uri!r}")
    if not uri.startswith("/") or not uri.endswith("/"):
        raise ConfigError(f"cannot create filemap for {uri}: it must begin and end with /")
    if not SEGMENTS.fullmatch(uri) or re.search(r"/\.\.?/", uri):
        hint = "between its slashes stand names, of characters that URLs have without escapes"
        raise ConfigError(f"cannot create filemap for {uri!a}: {hint}")
    return uri


def parts(value: object) -> tuple[str, object]:
    """Return the directory and the authentication that a value stands for."""
    given: object = None
    if isinstance(value, tuple):
        if len(value) != WITH_AUTH:
            raise ConfigError(f"filemap value tuple is not (path, auth): {value!r}")
        value, given = value
        if not isinstance(given, Mapping):
            raise ConfigError(f"filemap value tuple auth is not a dict: {given!r}")
        if not isinstance(value, str | os.PathLike):
            raise ConfigError(f"filemap value tuple path is invalid: {value!r}")
    if not isinstance(value, str | os.PathLike):
        raise ConfigError(f"filemap value can be either be a string or tuple, not {value!r}")
    return check.text(os.fspath(value), "filemap path"), given


def route(uri: str, path: str, given: Any, domain: str) -> Route:
    """Return the route of one map."""
    # Whoever serves it may have gone elsewhere by then.
    directory = working_directory() / path
    try:
        reason = "" if directory.is_dir() else missing(directory)
    except OSError as error:
        reason = str(error.strerror)
    if reason:
        raise ConfigError(f"failed to create filemap {uri}->{path} for {domain}: {reason}")
    with labelled(f"filemap '{uri}'"):
        demands = RouteRequirements(auth=auth(uri, given))
    return Route(uri, unserved, METHODS, demands, str(directory))


def missing(directory: Path) -> str:
    """Return why it is no directory."""
    return "it is not a directory" if directory.exists() else f"there is no {directory}"


def unserved(*_: object) -> None:
    """Stand for the handler of a map, which a worker makes when it starts."""
    raise NotImplementedError
