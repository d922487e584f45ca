"""What a configuration must fulfil, and every message that says it does not.

The words are Kore's where Kore has words, followed by what to do about it.
"""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, Protocol, TypeVar

from kore._conf.diagnostics import Diagnostics
from kore._conf.server_schema import Address, Privsep, Server
from kore._conf.settings import SETTINGS, Setting
from kore._conf.source_location import absolute
from kore._conf.suggestions import foreign_captures
from kore._values import hosts, paths
from kore._values.grammar import PORT_MAX, UNIX_PATH_MAX, parse_port
from kore._values.methods import METHODS
from kore.errors import ConfigError, UnknownSettingError

TLS_KEYWORDS: Final = frozenset({"acme", "cert", "client_verify", "crl", "key", "verify_depth"})
# On a server without TLS these have nothing to do; the others protect something.
IDLE_WITHOUT_TLS: Final = frozenset({"cert", "key", "verify_depth"})
LEGACY: Final = frozenset(
    {"acme_root", "acme_runas", "chroot", "keymgr_root", "keymgr_runas", "root", "runas"}
)
PROCESSES: Final = ("worker", "keymgr", "acme")
SKIPPED: Final = ("chroot",)

FIRST_SERVER: Final = (
    'call kore.server(ip="127.0.0.1", port=8888, tls=False), or write a server block with '
    "`bind 127.0.0.1 8888` and `tls no`"
)

HOST_MAX: Final = 253  # RFC 1035 section 2.3.4, written as text

T = TypeVar("T")


class NamedFunction(Protocol):
    """A domain as far as its name goes."""

    @property
    def name(self) -> str:
        """The host name."""

    @property
    def attach(self) -> str:
        """The name of its server."""


D = TypeVar("D", bound=NamedFunction)


def later(what: str) -> ConfigError:
    """Return the error for what Kore can do and this version cannot."""
    return ConfigError(f"{what} is not part of this version yet")


# Arguments of calls


def typed(value: object, kind: type[T], what: str) -> T:
    """Return *value* if it is a *kind*."""
    if not isinstance(value, kind):
        raise TypeError(f"{what} must be {kind.__name__}, not {type(value).__name__}")
    return value


def text(value: object, what: str) -> str:
    """Return *value* if it is text and not empty."""
    value = typed(value, str, what)
    if not value or "\0" in value:
        raise ValueError(f"{what}: embedded null character" if value else f"{what} is empty")
    return value


def route_path(value: object) -> str:
    """Return the path of a route: a regular expression, or a literal path in its normal form."""
    path = text(value, "path")
    if not path.startswith("/"):
        return path
    try:
        return paths.normalize_literal(path)
    except ValueError as error:
        found = foreign_captures(path)
        why = f"{found[0]} captures nothing here, write '{found[1]}'" if found else error
        raise ConfigError(f"route '{path}': {why}") from None


def printable(value: object, what: str) -> str:
    """Return *value* if it is text that a log line and a process title can show."""
    value = text(value, what)
    if not value.isprintable():
        raise ConfigError(f"{what} has characters that cannot be printed: {value!a}")
    return value


def path_name(value: object, what: str) -> str:
    """Return *value* if it can be the name of a file, printable or not."""
    path = text(os.fspath(value) if isinstance(value, os.PathLike) else value, what)
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        raise ConfigError(f"{what} cannot be the name of a file: {path!a}") from None
    return path


def keywords(
    call: str, given: Mapping[str, object], known: str, later_ones: Collection[str]
) -> None:
    """Refuse the keywords nobody reads. One without a value asks for nothing."""
    for name, value in given.items():
        if name not in later_ones:
            raise TypeError(f"{call}: unknown keyword '{name}', allowed are {known}")
        if value:
            raise later(f"{call}: '{name}'")


def address(ip: object, port: object, path: object) -> Address:
    """Return what `kore.server()` was told to listen on."""
    if ip is path is None:
        missing = "keyword args" if port is None else "ip or path keywords"
        raise ConfigError(f"missing {missing}: pass ip and port, or the path of a unix socket")
    if path is None:
        return Address(ip=printable(ip, "ip").strip("[]"), port=port_number(port))
    if ip is not None or port is not None:
        raise ConfigError("ip/path are exclusive: pass ip and port, or path")
    return Address(path=socket_path(path))


def port_number(port: object) -> int:
    """Return a port given as int or as digits."""
    number = parse_port(port.strip() if isinstance(port, str) else port)
    if number is None:
        allowed = f"a number up to {PORT_MAX}, 0 for any free port"
        raise ConfigError(f"missing or invalid 'port' keyword: {port!r} is not {allowed}")
    return number


def socket_path(path: object) -> str:
    """Return the path of a unix socket; absolute, because another process will bind it."""
    path = path_name(path, "path")
    if not path.startswith("@"):
        path = absolute(path)
    if len(os.fsencode(path)) > UNIX_PATH_MAX:
        raise ConfigError(
            f"path too long for a unix socket: '{path}', {UNIX_PATH_MAX} bytes at most"
        )
    return path


def methods(names: object) -> tuple[str, ...]:
    """Return the methods a route takes; all of them when it names none."""
    if names is None:
        return tuple(METHODS)
    if not isinstance(names, (list, tuple)):
        raise ConfigError(f"methods not a list: {names!r}, write [{names!r}]")
    given = {name.upper() if isinstance(name, str) else name for name in names}
    if unknown := sorted(map(str, given - METHODS.keys())):
        raise ConfigError(f"unknown HTTP method: {unknown[0]}, there are {', '.join(METHODS)}")
    if not given:
        raise ConfigError("methods is empty: such a route would never be taken")
    return in_order(given)


def in_order(given: Collection[str]) -> tuple[str, ...]:
    """Return methods in the order of the table."""
    return tuple(method for method in METHODS if method in given)


def privsep(process: object, root: object, runas: object, skip: object) -> Privsep:
    """Return what one kind of process is to give up."""
    if process not in PROCESSES:
        raise ConfigError(f"unknown privsep process '{process}', there are {', '.join(PROCESSES)}")
    if not isinstance(skip, (list, tuple)):
        raise ConfigError(f"privsep skip keyword needs to be a list, not {skip!r}")
    for word in skip:
        if word not in SKIPPED:
            raise ConfigError(f"unknown skip keyword '{word}', there is {', '.join(SKIPPED)}")
    if root is runas is None and not skip:
        raise ConfigError(f"privsep {process}: nothing to give up: pass root, runas or skip")
    return Privsep(
        str(process),
        root="" if root is None else path_name(root, "root"),
        runas="" if runas is None else printable(runas, "runas"),
        skip=tuple(dict.fromkeys(skip)),
    )


def privilege(keyword: str) -> tuple[str, str]:
    """Return which process an old keyword is about, and what it is called today."""
    process, _, what = keyword.rpartition("_")
    return process or "worker", "root" if what == "chroot" else what


# One thing beside the others


def without_tls_only(name: str, server: Server) -> None:
    """Raise ConfigError if a server speaks TLS."""
    if server.tls:
        raise ConfigError(
            f"server '{name}' is one with TLS, and kore.bind() listens without: "
            "give that server another name, or call kore.server() with a name of its own"
        )


def free_name(server: str, taken: Collection[str]) -> None:
    """Refuse a second server of that name."""
    if server in taken:
        raise ConfigError(f"server '{server}' already exist: give each server a name of its own")


def free_address(wanted: Address, servers: Sequence[Server]) -> None:
    """Refuse a second server on an address. Port 0 is a different one each time."""
    for server in servers:
        if server.address == wanted and (wanted.port or wanted.path):
            raise ConfigError(f"{wanted} is already the address of server '{server.name}'")


def free_domain(name: str, attach: str, domains: Sequence[NamedFunction]) -> None:
    """Refuse a domain that no request could reach: the first match wins."""
    for earlier in domains:
        if earlier.attach == attach and shadows(earlier.name.lower(), name.lower()):
            raise ConfigError(
                f"domain exists: '{earlier.name}' on server '{attach}' already takes '{name}'"
            )


def shadows(earlier: str, name: str) -> bool:
    """Return whether a domain takes what a later one is for."""
    return hosts.compile_wildcard(earlier)(name) is not None


def domain_name(host: object) -> str:
    """Return the name of a domain."""
    host = text(host, "domain")
    if len(host) > HOST_MAX:
        raise ConfigError(f"domain name too long: {len(host)} characters, {HOST_MAX} at most")
    try:
        return hosts.normalize_host(host)
    except ValueError as error:
        raise ConfigError(f"domain '{host}': {error}") from None


def owner(wanted: str | None, domains: Sequence[D]) -> D:
    """Return the domain a route is for: the one named, or the only one there is."""
    if not domains:
        raise ConfigError('no domains configured, please configure one: call kore.domain("*")')
    name = "" if wanted is None else domain_name(wanted).lower()
    found = [d for d in domains if wanted is None or d.name.lower() == name]
    if not found:
        known = ", ".join(sorted({f"'{domain.name}'" for domain in domains}))
        raise ConfigError(f"domain '{wanted}' does not exist, there is {known}")
    if len(found) > 1:
        places = ", ".join(f"'{domain.name}' on '{domain.attach}'" for domain in found)
        hint = "domain takes what kore.domain() returned, too"
        raise ConfigError(f"ambiguous domain on route, please specify one: {places}; {hint}")
    return found[0]


# The whole


def servers(
    configured: Sequence[Server], places: Mapping[str, str], problems: Diagnostics, *, needed: bool
) -> None:
    """Take note of servers that cannot be served, or of there being none where one is needed."""
    # With something wrong a server may be missing that was meant to be there.
    if needed and not configured and not problems.found:
        problems.add("", f"no server configured: {FIRST_SERVER}")
    for server in configured:
        if server.tls:
            with problems.noted(places[server.name], f"server '{server.name}'"):
                hint = problems.tls_hints.get(server.name, "")
                raise ConfigError(f"{later('TLS')}, pass tls=False or write `tls no`{hint}")


def attached(name: str, attach: str, configured: Collection[str]) -> None:
    """Refuse a domain on a server that is not there."""
    if attach not in configured:
        known = ", ".join(f"'{server}'" for server in configured)
        raise ConfigError(f"domain '{name}': server '{attach}' does not exist, there is {known}")


def without_tls(domain: NamedFunction, given: Iterable[str], where: str) -> Iterator[str]:
    """Yield notices of what a domain says of TLS; its server has none."""
    for keyword in given:
        about, server = f"domain '{domain.name}': {keyword}", f"server '{domain.attach}'"
        if keyword not in IDLE_WITHOUT_TLS:
            raise ConfigError(f"{about} needs a server with TLS, and {server} is without")
        yield f"{where}: {about} has no effect: {server} is without TLS"


def setting(name: str) -> Setting:
    """Return a row of the table of settings."""
    if name in SETTINGS:
        return SETTINGS[name]
    if name in LEGACY:
        process, what = privilege(name)
        raise UnknownSettingError(
            f"kore.config.{name} is gone: call kore.privsep({process!r}, {what}=...)"
        )
    import difflib  # only for mistakes

    close = difflib.get_close_matches(name, SETTINGS, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(SETTINGS)}"
    raise UnknownSettingError(f"unknown setting kore.config.{name}: {hint}")


def privsep_notices(wanted: Iterable[Privsep]) -> Iterator[str]:
    """Yield a line for each root that nobody enters: without chroot it is a directory to go to."""
    for process in wanted:
        if process.root:
            yield f"{process.where}: privsep {process.process}: root has no effect in this version"
