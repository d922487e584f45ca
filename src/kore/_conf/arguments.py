"""Arguments of calls and words of statements: each is checked and returned in its normal form.

The messages begin with Kore's words where Kore has the same check.
"""

import os
from collections.abc import Collection, Mapping
from typing import Final, TypeVar

from kore._conf.diagnostics import make_absolute
from kore._conf.server_schema import Address, Privsep
from kore._conf.settings import SETTINGS, Setting
from kore._conf.suggestions import find_foreign_capture, suggest_name
from kore._values import hosts, paths
from kore._values.grammar import PORT_MAX, UNIX_PATH_MAX, is_token, parse_port
from kore._values.methods import (
    ANY_METHOD,
    METHODS,
    REGISTERED_METHODS,
    UNAVAILABLE_METHODS,
)
from kore.errors import ConfigError, UnknownSettingError

# Keywords for privsep of earlier releases.
OLD_PRIVSEP_KEYWORDS: Final = frozenset(
    {"acme_root", "acme_runas", "chroot", "keymgr_root", "keymgr_runas", "root", "runas"}
)
PROCESSES: Final = ("worker", "keymgr", "acme")
SKIP_KEYWORDS: Final = ("chroot",)
HOST_MAX: Final = 253  # RFC 1035 section 2.3.4, written as text

T = TypeVar("T")


def build_unsupported_error(what: str) -> ConfigError:
    """Return the error for a feature of Kore that this version does not have."""
    return ConfigError(f"{what} is not part of this version yet")


# Text


def check_type(value: object, kind: type[T], what: str) -> T:
    """Return *value*, or raise TypeError if it is not an instance of *kind*."""
    if not isinstance(value, kind):
        raise TypeError(f"{what} must be {kind.__name__}, not {type(value).__name__}")
    return value


def check_text(value: object, what: str) -> str:
    """Return *value*, or raise an error if it is not text, empty, or has a NUL."""
    value = check_type(value, str, what)
    if not value or "\0" in value:
        raise ValueError(f"{what}: embedded null character" if value else f"{what} is empty")
    return value


def normalize_route_path(value: object) -> str:
    """Return a route's path: a regular expression unchanged, a literal path in normal form."""
    path = check_text(value, "path")
    if not path.startswith("/"):
        return path
    try:
        return paths.normalize_literal(path)
    except ValueError as error:
        found = find_foreign_capture(path)
        why = f"{found[0]} captures nothing here, write '{found[1]}'" if found else error
        raise ConfigError(f"route '{path}': {why}") from None


def check_printable(value: object, what: str) -> str:
    """Return *value*, or raise an error if it is not printable text, as logs need it."""
    value = check_text(value, what)
    if not value.isprintable():
        raise ConfigError(f"{what} has characters that cannot be printed: {value!a}")
    return value


def check_path_name(value: object, what: str) -> str:
    """Return *value*, or raise an error if it cannot be the name of a file."""
    path = check_text(os.fspath(value) if isinstance(value, os.PathLike) else value, what)
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        raise ConfigError(f"{what} cannot be the name of a file: {path!a}") from None
    return path


def reject_keywords(
    call: str, given: Mapping[str, object], known: str, later_ones: Collection[str]
) -> None:
    """Raise an error for keywords that are unknown, or known but unsupported and not false."""
    for name, value in given.items():
        if name not in later_ones:
            raise TypeError(f"{call}: unknown keyword '{name}', allowed are {known}")
        if value:
            raise build_unsupported_error(f"{call}: '{name}'")


def build_address(ip: object, port: object, path: object) -> Address:
    """Return the address that the arguments of `kore.server()` name."""
    if ip is path is None:
        missing = "keyword args" if port is None else "ip or path keywords"
        raise ConfigError(f"missing {missing}: pass ip and port, or the path of a unix socket")
    if path is None:
        return Address(ip=check_printable(ip, "ip").strip("[]"), port=_check_port(port))
    if ip is not None or port is not None:
        raise ConfigError("ip/path are exclusive: pass ip and port, or path")
    return Address(path=_check_socket_path(path))


def _check_port(port: object) -> int:
    """Return a port given as int or as digits."""
    number = parse_port(port.strip() if isinstance(port, str) else port)
    if number is None:
        allowed = f"a number up to {PORT_MAX}, 0 for any free port"
        raise ConfigError(f"missing or invalid 'port' keyword: {port!r} is not {allowed}")
    return number


def _check_socket_path(path: object) -> str:
    """Return the path of a Unix socket, absolute, because another process will bind it."""
    path = check_path_name(path, "path")
    if not path.startswith("@"):
        path = make_absolute(path)
    if len(os.fsencode(path)) > UNIX_PATH_MAX:
        raise ConfigError(
            f"path too long for a unix socket: '{path}', {UNIX_PATH_MAX} bytes at most"
        )
    return path


def normalize_methods(names: object) -> tuple[str, ...]:
    """Return the methods of a route in the order of METHODS, others behind them.

    METHODS for None; for "*" these and "*".
    """
    if names is None:
        return tuple(METHODS)
    if not isinstance(names, (list, tuple)):
        raise ConfigError(f"methods not a list: {names!r}, write [{names!r}]")
    given = {name.upper() if isinstance(name, str) else name for name in names}
    if unknown := sorted(str(name) for name in given - METHODS.keys() if not _is_method(name)):
        raise ConfigError(
            f"unknown HTTP method: {unknown[0]}, there are {', '.join(METHODS)}, others such as "
            f"PROPFIND, and {ANY_METHOD} for all"
        )
    if not given:
        raise ConfigError("methods is empty: such a route would never be taken")
    return sort_methods({*given, *METHODS} if ANY_METHOD in given else given)


def _is_method(name: object) -> bool:
    """Return whether *name* is a method beside METHODS, and not one of these misspelled."""
    if not isinstance(name, str) or not is_token(name) or name in UNAVAILABLE_METHODS:
        return False
    return name == ANY_METHOD or name in REGISTERED_METHODS or not suggest_name(name, METHODS)


def sort_methods(given: Collection[str]) -> tuple[str, ...]:
    """Return methods in the order of METHODS, others behind them."""
    others = sorted(set(given) - METHODS.keys(), key=lambda name: (name == ANY_METHOD, name))
    return (*(method for method in METHODS if method in given), *others)


def normalize_domain_name(host: object) -> str:
    """Return the name of a domain in ASCII."""
    host = check_text(host, "domain")
    if len(host) > HOST_MAX:
        raise ConfigError(f"domain name too long: {len(host)} characters, {HOST_MAX} at most")
    try:
        return hosts.normalize_host(host)
    except ValueError as error:
        raise ConfigError(f"domain '{host}': {error}") from None


def build_privsep(process: object, root: object, runas: object, skip: object) -> Privsep:
    """Return the privileges that one kind of process drops."""
    if process not in PROCESSES:
        raise ConfigError(f"unknown privsep process '{process}', there are {', '.join(PROCESSES)}")
    if not isinstance(skip, (list, tuple)):
        raise ConfigError(f"privsep skip keyword needs to be a list, not {skip!r}")
    for word in skip:
        if word not in SKIP_KEYWORDS:
            raise ConfigError(f"unknown skip keyword '{word}', there is {', '.join(SKIP_KEYWORDS)}")
    if root is runas is None and not skip:
        raise ConfigError(f"privsep {process}: nothing to give up: pass root, runas or skip")
    return Privsep(
        str(process),
        root="" if root is None else check_path_name(root, "root"),
        runas="" if runas is None else check_printable(runas, "runas"),
        skip=tuple(dict.fromkeys(skip)),
    )


def parse_privsep_keyword(keyword: str) -> tuple[str, str]:
    """Return the process and the current keyword for a keyword of OLD_PRIVSEP_KEYWORDS."""
    process, _, what = keyword.rpartition("_")
    return process or "worker", "root" if what == "chroot" else what


def find_setting(name: str) -> Setting:
    """Return the setting of a name. Raises UnknownSettingError if there is none."""
    if name in SETTINGS:
        return SETTINGS[name]
    if name in OLD_PRIVSEP_KEYWORDS:
        process, what = parse_privsep_keyword(name)
        raise UnknownSettingError(
            f"kore.config.{name} is gone: call kore.privsep({process!r}, {what}=...)"
        )
    import difflib  # only for mistakes

    close = difflib.get_close_matches(name, SETTINGS, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(SETTINGS)}"
    raise UnknownSettingError(f"unknown setting kore.config.{name}: {hint}")
