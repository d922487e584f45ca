"""Notices for the log: configuration that is allowed, but has no effect or a surprising one."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote

from kore._conf.schema import Route
from kore._conf.server_schema import Privsep
from kore._conf.settings import Settings
from kore._conf.suggestions import find_foreign_capture

# Settings of features that do not exist yet, or that only C Kore has, each with a reason or "".
NO_EFFECT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "acme_email": "",
        "acme_provider": "",
        "pledge": "",
        "rand_file": "the kernel provides random numbers",
        "seccomp_tracing": "",
        "task_threads": "",
        "tls_dhparam": "key exchange is by elliptic curves only",
    }
)
DEFAULTS: Final = Settings()


def find_route_notices(routes: Sequence[Route], *, needs_routes: bool) -> Iterator[str]:
    """Yield a notice if there are no routes, and one for each path with a capture that is none."""
    if needs_routes and not routes:
        yield (
            "the application has no routes: every request will be answered with 404; write "
            '@kore.route("/") above a function that takes a request'
        )
    for route in routes:
        found = None if route.files else find_foreign_capture(route.path)
        if found is not None:
            part, path = found
            shown = route.path if route.pattern else unquote(route.path)
            yield (
                f"{route.where}: route '{shown}': {part} captures nothing here, clients "
                f"would have to send it as it is; write '{path}', and the handler gets each group"
            )


def find_settings_notices(given: Settings, places: Mapping[str, str]) -> tuple[str, ...]:
    """Return a notice for each setting that was changed and has no effect."""
    return tuple(
        f"{where}: {name} has no effect{reason and ': '}{reason or ' in this version'}"
        for name, where in places.items()
        if (reason := NO_EFFECT.get(name)) is not None
        and getattr(given, name) != getattr(DEFAULTS, name)
    )


def find_privsep_notices(wanted: Iterable[Privsep]) -> Iterator[str]:
    """Yield a notice for each root directory: no process changes its root in this version."""
    for process in wanted:
        if process.root:
            yield f"{process.where}: privsep {process.process}: root has no effect in this version"
