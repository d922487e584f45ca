"""A configuration as text: what was asked for and all defaults, in the words of kore.conf."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from kore._conf.schema import (
    Address,
    Config,
    Demands,
    Domain,
    Extras,
    Handler,
    Route,
    Server,
)
from kore._conf.settings import SETTINGS
from kore._conf.syntax import quoted
from kore._http.tables import METHODS
from kore.errors import ConfigError

# Read by whoever starts the server, and of no effect in a file.
LEFT_OUT = frozenset({"file"})


def text(
    config: Config, imports: Sequence[tuple[str, ...]], name_of: Callable[[Handler], str]
) -> str:
    """Return a file that makes *config* again, as far as its functions have names in modules."""
    lines = [
        *settings(config),
        *map(statement, imports),
        *privileges(config),
        *servers(config.servers),
        *(line for domain in config.domains for line in domain_block(domain, name_of)),
    ]
    return "\n".join(lines) + "\n"


def statement(words: Iterable[str]) -> str:
    """Return one line."""
    return " ".join(map(quoted, words))


def settings(config: Config) -> Iterator[str]:
    """Yield all settings."""
    for name in (name for name in SETTINGS if name not in LEFT_OUT):
        value = getattr(config.settings, name)
        for one in value if isinstance(value, tuple) else (value,):
            yield statement((name, in_a_file(one)))


def in_a_file(value: object) -> str:
    """Return a value as a file has it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def privileges(config: Config) -> Iterator[str]:
    """Yield the privsep blocks."""
    for process in config.privsep:
        yield ""
        yield f"privsep {process.process} {{"
        for keyword in ("root", "runas"):
            if value := getattr(process, keyword):
                yield "    " + statement((keyword, value))
        yield from (f"    skip {what}" for what in process.skip)
        yield "}"


def servers(entries: Sequence[Server]) -> Iterator[str]:
    """Yield the server blocks."""
    for name in dict.fromkeys(server.name for server in entries):
        own = [server for server in entries if server.name == name]
        yield ""
        yield f"server {quoted(name)} {{"
        for server in own:
            yield "    " + address(server.address)
        yield f"    tls {in_a_file(own[0].tls)}"
        yield "}"


def address(given: Address) -> str:
    """Return one address."""
    if given.path:
        return statement(("unix", given.path))
    return statement(("bind", given.ip, str(given.port)))


def domain_block(domain: Domain, name_of: Callable[[Handler], str]) -> Iterator[str]:
    """Yield a domain block."""
    yield ""
    yield f"domain {quoted(domain.name)} {{"
    yield "    " + statement(("attach", domain.server))
    for route in domain.routes:
        yield from ("    " + line for line in route_block(route, name_of))
    yield "}"


def route_block(route: Route, name_of: Callable[[Handler], str]) -> Iterator[str]:
    """Yield a route block; a function that no name leads to is shown, in a comment.

    A file without what protects a route must never come to be: it would be loaded one day.
    """
    name = name_of(route.handler)
    if replace(route.demands, extras=None) != Demands():
        raise ConfigError(
            f"route '{route.path}' has validators or authentication, and printing these "
            "is not part of this version yet"
        )
    yield f"route {quoted(route.path)} {{"
    yield f"    handler {quoted(name)}" if name else f"    # handler {route.handler!r}"
    if len(route.methods) < len(METHODS):
        yield "    " + statement(("methods", *map(str.lower, route.methods)))
    if route.demands.extras is not None:
        yield from ("    " + line for line in extras(route, route.demands.extras, name_of))
    yield "}"


def extras(route: Route, wanted: Extras, name_of: Callable[[Handler], str]) -> Iterator[str]:
    """Yield what a route says of hooks and bodies. A hook may protect it, so it needs its name."""
    for word in ("on_headers", "on_body_chunk", "on_free"):
        hook = getattr(wanted, word)
        if hook is None:
            continue
        name = name_of(hook)
        if not name:
            raise ConfigError(f"route '{route.path}': {word} {hook!r} has no name in any module")
        yield statement((word, name))
    if wanted.stream:
        yield "stream yes"
    if wanted.body_max is not None:
        yield f"body_max {wanted.body_max}"
