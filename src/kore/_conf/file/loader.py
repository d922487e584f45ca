"""Load kore.conf: a function for each directive, a table for each type of block.

The functions call the Builder. A name may be used above the line that defines it: blocks that
refer to others are run last.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from kore._conf import arguments
from kore._conf.builder import DEFAULT_SERVER, Builder
from kore._conf.file import legacy
from kore._conf.file.authentications import (
    AUTHENTICATION,
    finish_authentication,
    open_authentication,
)
from kore._conf.file.directives import (
    Directive,
    ModuleLoader,
    ParseContext,
    Scope,
    Table,
    make_block_runner,
    read_flag,
)
from kore._conf.file.domains import DOMAIN, finish_domain, open_domain
from kore._conf.file.routes import ROUTE
from kore._conf.file.syntax import Block, quote_word
from kore._conf.file.tls import OTHER_NAMES
from kore._conf.schema import compile_value_regex
from kore._conf.server_schema import Address, Privsep
from kore.errors import ConfigError

# In this order: authentications refer to validators, domains to both.
REFERRING_BLOCKS: Final = ("authentication", "domain")
# Directives of a domain with TLS.
CERTIFICATE_DIRECTIVES: Final = frozenset(
    {"acme", "certfile", "certkey", "client_certificates", "client_verify", "require_client_cert"}
)


@dataclass(slots=True)
class ServerScope(Scope):
    """A server block."""

    name: str = ""
    addresses: list[tuple[Address, str]] = field(default_factory=list)
    tls: bool = True
    redirect_https: bool = False


@dataclass(slots=True)
class PrivsepScope(Scope):
    """A privsep block."""

    process: str = ""
    given: dict[str, Any] = field(default_factory=dict)


def load(blocks: Sequence[Block], builder: Builder, host: ModuleLoader) -> None:
    """Run the statements of a file. Errors are kept for `build()`."""
    hints = {**legacy.REMOVED, **OTHER_NAMES}
    context = ParseContext(builder, host, ALL_TABLES, hints, builder.locate)
    _detect_old_server(context, blocks)
    top = Scope(context)
    last = {keyword: [b for b in blocks if b.keyword == keyword] for keyword in REFERRING_BLOCKS}
    context.run_statements(top, "", [block for block in blocks if block.keyword not in last])
    for group in last.values():
        context.run_statements(top, "", group)


# Modules and validators


def _read_python_path(top: Scope, block: Block) -> None:
    """Read `python_path DIR`."""
    top.context.loader.python_path(block.arguments[0])


def _read_python_configure(top: Scope, block: Block) -> None:
    """Read `python_configure yes|no`."""
    top.context.loader.python_configure(allowed=read_flag(block))


def _read_python_import(top: Scope, block: Block) -> None:
    """Read `python_import PATH [ONLOAD]`."""
    builder = top.context.builder
    before, here = len(builder.problems.found), builder.locate
    path, onload = (*block.arguments, "")[:2]
    # Calls that the module makes are placed in the module.
    builder.locate = top.context.locate_import
    try:
        top.context.loader.python_import(path, onload)
    except Exception:
        top.context.broken.add(("module", ""))
        raise
    finally:
        builder.locate = here
    if len(builder.problems.found) > before:
        top.context.broken.add(("module", ""))


def _read_database(top: Scope, block: Block) -> None:
    """Read `database NAME CONNSTRING`."""
    top.context.builder.database(*block.arguments)


def _read_validator(top: Scope, block: Block) -> None:
    """Read `validator NAME regex|function VALUE`."""
    name, kind, value = block.arguments
    context = top.context
    label = f"validator '{name}'"
    context.broken.add(("validator", name))
    if name in context.validators:
        raise ConfigError(f"{label} exists already")
    with context.locate_errors(block.where, label):
        if kind == "regex":
            _check_pattern(value)
            context.validators[name] = value
        elif kind != "function":
            raise ConfigError(f"bad type '{kind}', there are regex and function")
        elif (function := context.find_callback(value, "function")) is not None:
            context.validators[name] = function


def _check_pattern(text: str) -> None:
    """Raise ConfigError if a regular expression for values cannot be compiled."""
    try:
        compile_value_regex(text)
    except ValueError as error:
        raise ConfigError(f"failed to compile regex for '{text}': {error}") from None


# Servers


def _open_server(top: Scope, block: Block) -> ServerScope:
    """Read `server NAME {`."""
    name = block.arguments[0]
    return ServerScope(top.context, label=f"server '{name}'", name=name)


def _finish_server(scope: ServerScope, block: Block) -> None:
    """Check that a server block is complete, and add the server."""
    if not scope.addresses and not block.has("bind", "unix"):
        raise ConfigError("no address: write `bind HOST PORT` or `unix PATH`")
    if scope.addresses and not scope.broken:
        _add_server(scope)


def _add_server(scope: ServerScope) -> None:
    """Pass a server to the builder."""
    builder, ((address, _), *more) = scope.context.builder, scope.addresses
    builder.server(scope.name, address, tls=scope.tls, redirect_https=scope.redirect_https)
    for address, where in more:
        with scope.context.locate_errors(where, scope.label):
            builder.add_address(scope.name, address)


def _read_bind(scope: ServerScope, block: Block) -> None:
    """Read `bind HOST PORT`."""
    host, port, *callback = block.arguments
    _add_address(scope, block, arguments.build_address(host, port, None), callback)


def _read_unix(scope: ServerScope, block: Block) -> None:
    """Read `unix PATH`."""
    path, *callback = block.arguments
    _add_address(scope, block, arguments.build_address(None, None, path), callback)


def _add_address(scope: ServerScope, block: Block, address: Address, callback: list[str]) -> None:
    """Add an address to a server."""
    if callback:
        raise ConfigError(f"{block.keyword}: a callback for connections is for C Kore's modules")
    scope.addresses.append((address, block.where))


def _read_tls(scope: ServerScope, block: Block) -> None:
    """Read `tls yes|no`."""
    scope.tls = read_flag(block)


def _read_redirect_https(scope: ServerScope, block: Block) -> None:
    """Read `redirect_https yes|no`."""
    scope.redirect_https = read_flag(block)


# Privileges


def _open_privsep(top: Scope, block: Block) -> PrivsepScope:
    """Read `privsep PROCESS {`."""
    process = block.arguments[0]
    if process not in arguments.PROCESSES:
        known = ", ".join(arguments.PROCESSES)
        raise ConfigError(f"unknown privsep context: {process}, there are {known}")
    return PrivsepScope(top.context, label=f"privsep {process}", process=process)


def _finish_privsep(scope: PrivsepScope, _: Block) -> None:
    """Pass the privileges that a process drops to the builder."""
    scope.context.builder.privsep(Privsep(scope.process, **scope.given))


def _read_privilege(scope: PrivsepScope, block: Block) -> None:
    """Read `root PATH` and `runas USER`."""
    accept = arguments.check_path_name if block.keyword == "root" else arguments.check_printable
    scope.given[block.keyword] = accept(block.arguments[0], block.keyword)


def _read_skip(scope: PrivsepScope, block: Block) -> None:
    """Read `skip chroot`."""
    if block.arguments != arguments.SKIP_KEYWORDS:
        raise ConfigError(f"unknown skip option '{block.arguments[0]}', there is chroot")
    scope.given["skip"] = block.arguments


# Old spellings of the directives above


def _read_old_listener(top: Scope, block: Block) -> None:
    """Read `bind` and `bind_unix` outside of a server: until 3.3 all were addresses of one server.

    A release without TLS read them, too: if no directive names a certificate, it is plain HTTP.
    """
    context, (keyword, run) = top.context, LISTENERS[block.keyword]
    scope = ServerScope(context, block.where, name=DEFAULT_SERVER, tls=context.old_tls)
    run(scope, block)
    if scope.tls:
        line = " ".join([keyword, *map(quote_word, block.arguments)])
        context.warn_old_spelling(
            block, f"server {DEFAULT_SERVER} {{", line, "}", f"attach {DEFAULT_SERVER}"
        )
    else:
        text = "is an old spelling; without certificates it serves plain HTTP"
        context.add_notice(block, f"{block.keyword} {text}: write {context.old_server}")
    if context.implicit_server:
        context.builder.add_address(scope.name, scope.addresses[0][0])
    else:
        context.implicit_server = scope.name
        _add_server(scope)


def _read_old_tls(top: Scope, block: Block) -> None:
    """Read `tls yes|no` beside such addresses. `_detect_old_server()` has evaluated it."""
    read_flag(block)
    if not top.context.old_server:
        raise ConfigError("tls belongs inside of a server block")
    top.context.add_notice(block, f"tls is for one server: write {top.context.old_server}")


def _detect_old_server(context: ParseContext, blocks: Sequence[Block]) -> None:
    """Set how addresses outside of servers are written today, and whether they have TLS."""
    lines = [
        " ".join([LISTENERS[block.keyword][0], *map(quote_word, block.arguments)])
        for block in blocks
        if block.keyword in LISTENERS
    ]
    if not lines:
        return
    today = [f"server {DEFAULT_SERVER} {{", *lines, "tls no", "}"]
    written = ", ".join(f"`{line}`" for line in today)
    context.old_server = f"{written} once, and `attach {DEFAULT_SERVER}` in each domain"
    tls = [block.arguments for block in blocks if block.keyword == "tls"]
    context.old_tls = ("no",) not in tls and (
        ("yes",) in tls
        or any(
            inner.keyword in CERTIFICATE_DIRECTIVES and inner.arguments != ("no",)
            for block in blocks
            if block.keyword == "domain"
            for inner in block.body or ()
        )
    )


def _read_old_privilege(top: Scope, block: Block) -> None:
    """Read `runas`, `chroot`, `keymgr_root` and so on outside of a privsep block, until 4.1."""
    process, what = arguments.parse_privsep_keyword(block.keyword)
    value = arguments.check_text(block.arguments[0], block.keyword)
    top.context.warn_old_spelling(
        block, f"privsep {process} {{", f"{what} {quote_word(value)}", "}"
    )
    wanted = Privsep(process, root=value) if what == "root" else Privsep(process, runas=value)
    top.context.builder.privsep(wanted)


def _make_privilege_directive(keyword: str) -> Directive[Scope]:
    """Return the directive of an old keyword."""
    process, what = arguments.parse_privsep_keyword(keyword)
    takes = "USER" if what == "runas" else "PATH"
    return Directive(
        _read_old_privilege, takes, f"`{what}` in a `privsep {process}` block", deprecated=True
    )


GLOBAL: Final[Table] = MappingProxyType(
    {
        "server": Directive(
            make_block_runner(_open_server, "server", _finish_server),
            "NAME",
            "Listen on addresses.",
            block=True,
        ),
        "domain": Directive(
            make_block_runner(open_domain, "domain", finish_domain),
            "NAME",
            "Serve a host name; `*` and `?` match.",
            block=True,
        ),
        "privsep": Directive(
            make_block_runner(_open_privsep, "privsep", _finish_privsep),
            "worker|keymgr|acme",
            "What a kind of process gives up.",
            block=True,
        ),
        "authentication": Directive(
            make_block_runner(open_authentication, "authentication", finish_authentication),
            "NAME",
            "How requests show that they may: for `authenticate`.",
            block=True,
        ),
        "database": Directive(
            _read_database,
            "NAME CONNSTRING",
            "A PostgreSQL database, in the words of libpq.",
        ),
        "validator": Directive(
            _read_validator,
            "NAME regex|function VALUE",
            "What a parameter must be: for `validate`.",
        ),
        "python_path": Directive(_read_python_path, "DIR", "Where modules are looked for, too."),
        "python_configure": Directive(
            _read_python_configure,
            "yes|no",
            "Whether modules imported below, and their hooks, may configure, too; default yes. "
            "`no`: settings, servers, domains, routes and privileges are those of the file.",
        ),
        "python_import": Directive(
            _read_python_import,
            "PATH [ONLOAD]",
            "Import a file or a package. Workers call its function ONLOAD with MODULE_LOAD, and "
            "with MODULE_UNLOAD before new code replaces it.",
        ),
    }
)
SERVER: Final[Table] = MappingProxyType(
    {
        "bind": Directive(
            _read_bind,
            "HOST PORT [CALLBACK]",
            "An address; port 0 is any free one. May be repeated.",
        ),
        "unix": Directive(
            _read_unix,
            "PATH [CALLBACK]",
            "A Unix socket; `@` begins an abstract one. May be repeated.",
        ),
        "tls": Directive(_read_tls, "yes|no", "Whether it speaks TLS; default yes.", once=True),
        "redirect_https": Directive(
            _read_redirect_https,
            "yes|no",
            "Of a server without TLS: redirect the hosts that a server with TLS has, but for "
            "`/.well-known/acme-challenge/`; default no.",
            once=True,
        ),
    }
)
PRIVSEP: Final[Table] = MappingProxyType(
    {
        "root": Directive(_read_privilege, "PATH", "Its root directory.", unsupported=True),
        "runas": Directive(_read_privilege, "USER", "The user it runs as.", unsupported=True),
        "skip": Directive(_read_skip, "chroot", "Do not make that directory its root."),
    }
)

LISTENERS: Final = MappingProxyType(
    {"bind": ("bind", _read_bind), "bind_unix": ("unix", _read_unix)}
)
OLD_GLOBAL: Final[Table] = MappingProxyType(
    {
        "bind": Directive(
            _read_old_listener,
            "HOST PORT [CALLBACK]",
            "`bind` in a `server` block",
            deprecated=True,
        ),
        "bind_unix": Directive(
            _read_old_listener, "PATH [CALLBACK]", "`unix` in a `server` block", deprecated=True
        ),
        "tls": Directive(
            _read_old_tls, "yes|no", "`tls` in a `server` block", deprecated=True, once=True
        ),
        **{
            name: _make_privilege_directive(name) for name in sorted(arguments.OLD_PRIVSEP_KEYWORDS)
        },
    }
)

# The tables of the reference, by type of block.
DOCUMENTED_TABLES: Final[Mapping[str, Table]] = MappingProxyType(
    {
        "": GLOBAL,
        "server": SERVER,
        "domain": DOMAIN,
        "route": ROUTE,
        "authentication": AUTHENTICATION,
        "privsep": PRIVSEP,
    }
)
ALL_TABLES: Final[Mapping[str, Table]] = MappingProxyType(
    {
        **DOCUMENTED_TABLES,
        "": {**GLOBAL, **OLD_GLOBAL, **legacy.GLOBAL},
        "domain": {**DOMAIN, **legacy.DOMAIN},
        "params": legacy.PARAMS,
    }
)
