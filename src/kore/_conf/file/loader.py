"""kore.conf becomes calls of the Builder: one function for each directive, a table for each block.

Names may be used above the line that defines them: what refers to them is read last.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from kore._conf import check, databases
from kore._conf.builder import DEFAULT_SERVER, Builder
from kore._conf.file import legacy
from kore._conf.file.authentications import AUTHENTICATION, authenticate, authentication
from kore._conf.file.directives import (
    Directive,
    ModuleLoader,
    ParseContext,
    Scope,
    Table,
    flag,
    opened,
)
from kore._conf.file.domains import DOMAIN, domain, finish_domain
from kore._conf.file.routes import ROUTE
from kore._conf.file.syntax import Block, quoted
from kore._conf.schema import value_regex
from kore._conf.server_schema import Address, Privsep
from kore.errors import ConfigError

# Authentications refer to validators, domains to both.
REFERRING: Final = ("authentication", "domain")
# What a domain says that has TLS.
CERTIFICATES: Final = frozenset(
    {"acme", "certfile", "certkey", "client_certificates", "client_verify", "require_client_cert"}
)


@dataclass(slots=True)
class ServerScope(Scope):
    """A server block."""

    name: str = ""
    addresses: list[tuple[Address, str]] = field(default_factory=list)
    tls: bool = True


@dataclass(slots=True)
class PrivsepScope(Scope):
    """A privsep block."""

    process: str = ""
    given: dict[str, Any] = field(default_factory=dict)


def load(blocks: Sequence[Block], builder: Builder, host: ModuleLoader) -> None:
    """Configure what the statements of a file say; what is wrong is left to `build()`."""
    reading = ParseContext(builder, host, CONTEXTS, legacy.GONE, builder.locate)
    look_for_old_server(reading, blocks)
    top = Scope(reading)
    last = {keyword: [b for b in blocks if b.keyword == keyword] for keyword in REFERRING}
    reading.statements(top, "", [block for block in blocks if block.keyword not in last])
    for group in last.values():
        reading.statements(top, "", group)


# Modules and validators


def python_path(top: Scope, block: Block) -> None:
    """Read `python_path DIR`."""
    top.reading.host.python_path(block.arguments[0])


def python_configure(top: Scope, block: Block) -> None:
    """Read `python_configure yes|no`."""
    top.reading.host.python_configure(allowed=flag(block))


def python_import(top: Scope, block: Block) -> None:
    """Read `python_import PATH [ONLOAD]`."""
    builder = top.reading.builder
    before, here = len(builder.problems.found), builder.locate
    path, onload = (*block.arguments, "")[:2]
    # What the module itself configures is placed in the module.
    builder.locate = top.reading.outside
    try:
        top.reading.host.python_import(path, onload)
    except Exception:
        top.reading.broken.add(("module", ""))
        raise
    finally:
        builder.locate = here
    if len(builder.problems.found) > before:
        top.reading.broken.add(("module", ""))


def validator(top: Scope, block: Block) -> None:
    """Read `validator NAME regex|function VALUE`."""
    name, kind, value = block.arguments
    reading = top.reading
    label = f"validator '{name}'"
    reading.broken.add(("validator", name))
    if name in reading.validators:
        raise ConfigError(f"{label} exists already")
    with reading.at(block.where, label):
        if kind == "regex":
            pattern(value)
            reading.validators[name] = value
        elif kind != "function":
            raise ConfigError(f"bad type '{kind}', there are regex and function")
        elif (function := reading.callback(value, "function")) is not None:
            reading.validators[name] = function


def pattern(text: str) -> None:
    """Refuse what is no regular expression for values."""
    try:
        value_regex(text)
    except ValueError as error:
        raise ConfigError(f"failed to compile regex for '{text}': {error}") from None


# Servers


def server(top: Scope, block: Block) -> ServerScope:
    """Read `server NAME {`."""
    name = block.arguments[0]
    return ServerScope(top.reading, label=f"server '{name}'", name=name)


def serve(scope: ServerScope, block: Block) -> None:
    """Make a server of what its block says."""
    if not scope.addresses and not block.has("bind", "unix"):
        raise ConfigError("no address: write `bind HOST PORT` or `unix PATH`")
    if scope.addresses and not scope.broken:
        start(scope)


def start(scope: ServerScope) -> None:
    """Hand a server to the builder."""
    builder, ((address, _), *more) = scope.reading.builder, scope.addresses
    builder.server(scope.name, address, tls=scope.tls)
    for address, where in more:
        with scope.reading.at(where, scope.label):
            builder.also(scope.name, address)


def bind(scope: ServerScope, block: Block) -> None:
    """Read `bind HOST PORT`."""
    host, port, *callback = block.arguments
    listen(scope, block, check.address(host, port, None), callback)


def unix(scope: ServerScope, block: Block) -> None:
    """Read `unix PATH`."""
    path, *callback = block.arguments
    listen(scope, block, check.address(None, None, path), callback)


def listen(scope: ServerScope, block: Block, address: Address, callback: list[str]) -> None:
    """Add an address to a server."""
    if callback:
        raise ConfigError(f"{block.keyword}: a callback for connections is for C Kore's modules")
    scope.addresses.append((address, block.where))


def tls(scope: ServerScope, block: Block) -> None:
    """Read `tls yes|no`."""
    scope.tls = flag(block)


# Privileges


def privsep(top: Scope, block: Block) -> PrivsepScope:
    """Read `privsep PROCESS {`."""
    process = block.arguments[0]
    if process not in check.PROCESSES:
        known = ", ".join(check.PROCESSES)
        raise ConfigError(f"unknown privsep context: {process}, there are {known}")
    return PrivsepScope(top.reading, label=f"privsep {process}", process=process)


def separate(scope: PrivsepScope, _: Block) -> None:
    """Hand over what a process gives up."""
    scope.reading.builder.privsep(Privsep(scope.process, **scope.given))


def given(scope: PrivsepScope, block: Block) -> None:
    """Read `root PATH` and `runas USER`."""
    accept = check.path_name if block.keyword == "root" else check.printable
    scope.given[block.keyword] = accept(block.arguments[0], block.keyword)


def skip(scope: PrivsepScope, block: Block) -> None:
    """Read `skip chroot`."""
    if block.arguments != check.SKIPPED:
        raise ConfigError(f"unknown skip option '{block.arguments[0]}', there is chroot")
    scope.given["skip"] = block.arguments


# Old spellings that need what is above


def old_listener(top: Scope, block: Block) -> None:
    """Read `bind` and `bind_unix` outside of a server, until 3.3: all added up to one server.

    A release without TLS read them too: where nothing names a certificate, it is plain HTTP.
    """
    reading, (keyword, run) = top.reading, LISTENERS[block.keyword]
    scope = ServerScope(reading, block.where, name=DEFAULT_SERVER, tls=reading.old_tls)
    run(scope, block)
    if scope.tls:
        line = " ".join([keyword, *map(quoted, block.arguments)])
        reading.spelled(block, f"server {DEFAULT_SERVER} {{", line, "}", f"attach {DEFAULT_SERVER}")
        hint = f"; for plain HTTP write {reading.old_server}, and leave out certificates"
        reading.builder.problems.tls_hints[DEFAULT_SERVER] = hint
    else:
        text = "is an old spelling; without certificates it serves plain HTTP"
        reading.notice(block, f"{block.keyword} {text}: write {reading.old_server}")
    if reading.implicit:
        reading.builder.also(scope.name, scope.addresses[0][0])
    else:
        reading.implicit = scope.name
        start(scope)


def old_tls(top: Scope, block: Block) -> None:
    """Read `tls yes|no` beside such addresses; it has been taken account of."""
    flag(block)
    if not top.reading.old_server:
        raise ConfigError("tls belongs inside of a server block")
    top.reading.notice(block, f"tls is for one server: write {top.reading.old_server}")


def look_for_old_server(reading: ParseContext, blocks: Sequence[Block]) -> None:
    """Note how the addresses outside of servers are written today, and whether they have TLS."""
    lines = [
        " ".join([LISTENERS[block.keyword][0], *map(quoted, block.arguments)])
        for block in blocks
        if block.keyword in LISTENERS
    ]
    if not lines:
        return
    today = [f"server {DEFAULT_SERVER} {{", *lines, "tls no", "}"]
    written = ", ".join(f"`{line}`" for line in today)
    reading.old_server = f"{written} once, and `attach {DEFAULT_SERVER}` in each domain"
    said = [block.arguments for block in blocks if block.keyword == "tls"]
    reading.old_tls = ("no",) not in said and (
        ("yes",) in said
        or any(
            inner.keyword in CERTIFICATES and inner.arguments != ("no",)
            for block in blocks
            if block.keyword == "domain"
            for inner in block.body or ()
        )
    )


def old_privilege(top: Scope, block: Block) -> None:
    """Read `runas`, `chroot`, `keymgr_root` and so on outside of a privsep block, until 4.1."""
    process, what = check.privilege(block.keyword)
    value = check.text(block.arguments[0], block.keyword)
    top.reading.spelled(block, f"privsep {process} {{", f"{what} {quoted(value)}", "}")
    wanted = Privsep(process, root=value) if what == "root" else Privsep(process, runas=value)
    top.reading.builder.privsep(wanted)


def privilege_row(keyword: str) -> Directive[Scope]:
    """Return the row of an old keyword."""
    process, what = check.privilege(keyword)
    takes = "USER" if what == "runas" else "PATH"
    return Directive(old_privilege, takes, f"`{what}` in a `privsep {process}` block", old=True)


GLOBAL: Final[Table] = MappingProxyType(
    {
        "server": Directive(
            opened(server, "server", serve), "NAME", "Listen on addresses.", block=True
        ),
        "domain": Directive(
            opened(domain, "domain", finish_domain),
            "NAME",
            "Serve a host name; `*` and `?` match.",
            block=True,
        ),
        "privsep": Directive(
            opened(privsep, "privsep", separate),
            "worker|keymgr|acme",
            "What a kind of process gives up.",
            block=True,
        ),
        "authentication": Directive(
            opened(authentication, "authentication", authenticate),
            "NAME",
            "How requests show that they may: for `authenticate`.",
            block=True,
        ),
        "database": Directive(
            databases.read, "NAME CONNSTRING", "A PostgreSQL database, in the words of libpq."
        ),
        "validator": Directive(
            validator, "NAME regex|function VALUE", "What a parameter must be: for `validate`."
        ),
        "python_path": Directive(python_path, "DIR", "Where modules are looked for, too."),
        "python_configure": Directive(
            python_configure,
            "yes|no",
            "Whether modules imported below, and their hooks, may configure, too; default yes. "
            "`no`: settings, servers, domains, routes and privileges are those of the file.",
        ),
        "python_import": Directive(
            python_import,
            "PATH [ONLOAD]",
            "Import a file or a package. Workers call its function ONLOAD with MODULE_LOAD, and "
            "with MODULE_UNLOAD before new code replaces it.",
        ),
    }
)
SERVER: Final[Table] = MappingProxyType(
    {
        "bind": Directive(
            bind, "HOST PORT [CALLBACK]", "An address; port 0 is any free one. May be repeated."
        ),
        "unix": Directive(
            unix, "PATH [CALLBACK]", "A Unix socket; `@` begins an abstract one. May be repeated."
        ),
        "tls": Directive(
            tls, "yes|no", "Whether it speaks TLS; default yes.", later=True, once=True
        ),
    }
)
PRIVSEP: Final[Table] = MappingProxyType(
    {
        "root": Directive(given, "PATH", "Its root directory.", later=True),
        "runas": Directive(given, "USER", "The user it runs as.", later=True),
        "skip": Directive(skip, "chroot", "Do not make that directory its root."),
    }
)

LISTENERS: Final = MappingProxyType({"bind": ("bind", bind), "bind_unix": ("unix", unix)})
OLD: Final[Table] = MappingProxyType(
    {
        "bind": Directive(
            old_listener, "HOST PORT [CALLBACK]", "`bind` in a `server` block", old=True
        ),
        "bind_unix": Directive(
            old_listener, "PATH [CALLBACK]", "`unix` in a `server` block", old=True
        ),
        "tls": Directive(old_tls, "yes|no", "`tls` in a `server` block", old=True, once=True),
        **{name: privilege_row(name) for name in sorted(check.LEGACY)},
    }
)

# What the reference lists, block by block.
TABLES: Final[Mapping[str, Table]] = MappingProxyType(
    {
        "": GLOBAL,
        "server": SERVER,
        "domain": DOMAIN,
        "route": ROUTE,
        "authentication": AUTHENTICATION,
        "privsep": PRIVSEP,
    }
)
CONTEXTS: Final[Mapping[str, Table]] = MappingProxyType(
    {
        **TABLES,
        "": {**GLOBAL, **OLD, **legacy.GLOBAL},
        "domain": {**DOMAIN, **legacy.DOMAIN},
        "params": legacy.PARAMS,
    }
)
