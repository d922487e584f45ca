"""The rules of the house as data and as functions from source text to sentences."""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from kore._api.lazy import LAZY
from tests.helpers.house_names import parse

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "kore"

# Modules by floor; those of the core have floors of their own, under all others.
FLOORS = {
    10: "_cli.kodev _cli.run",
    9: "__main__ _cli.create _cli.local_ca _cli.project",
    8: "_cli.delayed_imports _cli.main _cli.skeleton _cli.sources _cli.watch",
    7: "__init__",
    6: "_api.clients _api.databases _api.functions _api.lazy _api.tasks",
    5: """_process.parent.children _process.parent.generation _process.parent.launcher
          _process.parent.message_router _process.parent.parent _process.parent.resources
          _process.parent.shutdown _process.parent.singletons
          _process.keymgr.signer _process.parent.stuck_workers
          _process.spawn _process.template.check_config
          _process.template.directory_checks _process.template.template
          _process.worker.accesslogs _process.worker.bodies _process.worker.bus
          _process.worker.bus_receiver _process.worker.bus_sender _process.worker.databases
          _process.worker.heartbeat _process.worker.hooks _process.worker.objects
          _process.worker.parent_link _process.worker.refusal_log
          _process.worker.filemaps _process.worker.routing
          _process.worker.signals _process.worker.slow_handlers _process.worker.stop_sequence
          _process.worker.tasks _process.worker.websockets _process.worker.worker
          _process.keymgr.key_process _process.keymgr.keymgr _process.parent.key_process_link
          _process.parent.tls _process.parent.tls_domains _process.parent.tls_loader
          _process.parent.tls_rollout _process.template.tls_checks
          _process.worker.tls _process.worker.tls_contexts
          _process.parent.optional_tls""",
    4: """_app _bytecode _process.ipc.channel _process.ipc.scoreboard
          _process.log.formats
          _process.log.handlers _process.log.open_file _process.log.outputs _process.log.writer
          _process.output _process.parent.accesslog_files _process.parent.addresses
          _process.parent.daemon _process.eventloop _process.parent.listeners
          _process.parent.orphans _process.parent.parent_death
          _process.parent.pidfile _process.parent.reload_requests
          _process.parent.working_directory _process.parent_config
          _process.process_end _process.process_marks _process.roles
          _process.privsep _process.template.host_lookup _process.worker.params
          _process.ipc.sealed_file _process.keymgr.domain_reader _process.parent.domain_files""",
    3: """_aio.addresses _aio.affinity _aio.child _aio.connecting _aio.edge_poller _aio.gather
          _aio.lock _aio.nonblocking_io _aio.parent_death _aio.plain_reap _aio.proc _aio.queue
          _aio.sleep _aio.socket _aio.status _aio.task_utils _aio.tasks _aio.timer _aio.tracing
          _aio.waiters
          _httpclient.client _httpclient.curl _httpclient.stream _httpclient.transfer
          _httpclient.transfers _httpclient.upload _pgsql.connect _pgsql.connection
          _pgsql.conninfo _pgsql.database _pgsql.epoll _pgsql.errors _pgsql.listen
          _pgsql.pipeline _pgsql.pool _pgsql.query _pgsql.rows _pgsql.session _pgsql.slices
          _pgsql.stream _pgsql.transaction _symbols _tracebacks""",
    2: """_conf.arguments _conf.builder _conf.cross_checks _conf.databases _conf.domain_handle
          _conf.domain_routes
          _conf.domain_rules _conf.domain_tls _conf.file.authentications _conf.file.directives
          _conf.file.domains _conf.file.legacy _conf.file.loader _conf.file.printer
          _conf.file.routes _conf.file.tls _conf.filemaps _conf.notices _conf.route_options
          _conf.settings_checks _conf.signatures _conf.unserved
          _conf.websockets _http.auth _http.body.body_storage _http.body.body_stream
          _http.body.multipart _http.body.spool _http.body.spool_directory
          _http.body.uploaded_file _http.files.file_response _http.files.filemap
          _http.https_redirect _http.pipeline
          _http.redirects _http.request_data _http.router _http.steps _http.streaming""",
    1: """_conf.cpus _conf.diagnostics _conf.file.syntax _conf.schema _conf.settings
          _conf.value_types _http.cookies _http.field_parameters _http.files.conditions
          _http.files.content_encoding _http.files.file_cache _http.files.media
          _http.files.ranges _http.files.safe_path _http.params _http.sync_or_async
          _httpclient.body_receiver _httpclient.codings _httpclient.curlopts _httpclient.fields
          _httpclient.lazy _httpclient.options _httpclient.prepared _httpclient.urls
          _pgsql.harmless _pgsql.queue _pgsql.statements _pgsql.values _process.ipc.datagrams
          _process.ipc.descriptors _process.ipc.fragments _process.ipc.messages
          _process.ipc.send_queue _process.ipc.tls_messages
          _process.ipc.validation _process.worker.codec _process.heap _process.worker.memory
          _websocket.broadcast _websocket.deflate _websocket.groups _websocket.handshake
          _process.ipc.tls_material _process.keymgr.certificates _process.keymgr.expiry
          _process.keymgr.loaded_domain _process.keymgr.pem_files _process.keymgr.ticket_keys""",
    0: """_conf.server_schema _conf.suggestions _context _maybe_async _numbers _pgsql.functions
          _unawaited _values.accesslog_format _values.dates _values.grammar _values.hosts
          _values.methods _values.paths _values.redirect_target errors
          _process.keymgr.domain_names""",
    -1: """_core.broadcast _core.first_protocol _core.listener _core.testing _core.testing_protocol
           _core.testing_handshake _core.testing_tls _core.tls_handshake _core.tls_self_test""",
    -2: "_core.http1",
    -3: "_core.http1_reader",
    -4: "_core.connection _core.dispatch _core.exchange_log",
    -5: "_core.request _core.websocket",
    -6: "_core.sender _core.tls_context",
    -7: "_core.exchange _core.tls_session _core.transport",
    -8: """_core.remote_key _core.server_context _core.signing_service _core.socket_stream
          _core.tls_hello
          _core.tls_peer _core.tls_pem _core.tls_settings""",
    -9: """_core.accesslog _core.body _core.key_channel _core.request_head
          _core.tls_client _core.tls_errors _core.tls_tickets _core.writer""",
    -10: """_core.accesslog_format _core.chunked _core.eager_task _core.file _core.format
          _core.log_file _core.openssl_errors _core.openssl_provider _core.poller _core.probes
          _core.protocol _core.response _core.signing_queue _core.state _core.tls_key
          _core.tls_bio _core.tls_layer _core.tls_state _core.ws_assembler _core.ws_options""",
    -11: """_core.buffer _core.frames _core.grammar _core.libc _core.openssl _core.parser
          _core.refusals _core.scoreboard_slot _core.socket_io _core.table
           _core.tls_names""",
    # Below all, since everything may use it.
}
FLOOR = {module: floor for floor, modules in FLOORS.items() for module in modules.split()}
DATA = 1
# The core is handed what it calls. Only who runs it may import it, and who names its types.
CORE_IS_FOR = 5

# Modules of the standard library that would make a test of these need more than values.
IMPURE = {
    "asyncio",
    "fcntl",
    "multiprocessing",
    "select",
    "selectors",
    "shutil",
    "signal",
    "socket",
    "ssl",
    "tempfile",
    "threading",
}
# Functions of os, and methods of paths, that open or change files.
DISK_FUNCTIONS = {
    "chmod", "copy_file_range", "ftruncate", "link", "makedirs", "mkdir", "open", "pwrite",
    "remove", "rename", "replace", "rmdir", "sendfile", "symlink", "truncate", "unlink", "utime",
    "write",
}  # fmt: skip
PATH_METHODS = {"hardlink_to", "mkdir", "rmdir", "symlink_to", "touch", "write_bytes", "write_text"}
# The modules, among the pure ones, whose subject are files.
FILE_MODULES = {
    "_http.body.body_storage",
    "_http.body.spool",
    "_http.body.spool_directory",
    "_http.body.uploaded_file",
    "_http.files.filemap",
}
PURE = (
    "_conf.",
    "_http.",
    "_pgsql.queue",
    "_pgsql.statements",
    "_pgsql.values",
    "_process.worker.codec",
    "_process.ipc.datagrams",
    "_process.ipc.messages",
    "_process.ipc.tls_messages",
    "_process.keymgr.ticket_keys",
    "_process.keymgr.pem_files",
    "_process.keymgr.loaded_domain",
    "_process.keymgr.expiry",
    "_process.keymgr.domain_names",
    "_process.keymgr.certificates",
    "_process.ipc.tls_material",
    "_process.ipc.fragments",
    "_values.",
    "_websocket.",
)

SETS_THE_CONTEXT = {
    "_app": {"builder"},
    "_process.worker.worker": {"worker"},
    "_api.functions": {"app", "unserved"},
    "_api.tasks": {"tasks"},
}
READS_THE_CONTEXT = {
    "__init__",
    "_api.clients",
    "_api.databases",
    "_api.functions",
    "_api.tasks",
    "_app",
    "_process.worker.worker",
}

ROLE_ROOMS = ("_process.keymgr", "_process.parent", "_process.template", "_process.worker")
# Which room of `_process` may not import which other ones.
ROOMS = {
    "_process.ipc": ROLE_ROOMS,
    "_process.keymgr": ("_process.parent", "_process.template", "_process.worker"),
    "_process.log": ROLE_ROOMS,
    "_process.parent": ("_process.keymgr", "_process.template", "_process.worker"),
    "_process.worker": ("_process.keymgr", "_process.parent", "_process.template"),
}

# What the root parent may import: rooms, the modules of `_process` itself, and these.
PARENT_ROOMS = ("_process", "_process.ipc", "_process.log", "_process.parent")
PARENT_IMPORTS = {
    "_conf.server_schema",
    "_conf.settings",
    # Imported by these two, and the names of months for syslog.
    "_conf.cpus",
    "_conf.diagnostics",
    "_conf.value_types",
    "_values.dates",
    "_values.grammar",
    "errors",
    # Removes bodies that workers have left, when the last one has exited.
    "_http.body.spool_directory",
}

# From 400 lines on, a file may have two subjects: look. At 500 it is too long.
LINES_OF_A_FILE = 500
LINES_OF_A_FUNCTION = 60
PARAMETERS = 6

CYTHON_IMPORT = re.compile(
    r"^\s*(?:from\s+(?P<whence>[\w.]+)\s+)?c?import\s+(?P<names>[\w., ]*)", re.M
)

# A system call that moves bytes, as code of the core has it: `recv(2)` is prose, `self.send(...)`
# and `cdef int send(self, ...)` are methods.
SOCKET_CALL = re.compile(
    r"(?<![\w.])((?:recv|send|read|write)(?:from|to|m?msg|file|v)?|splice)\((?!\d\)|self[,)])"
)

Graph = Mapping[str, Iterable[str]]


# What is there


def module_of(path: Path) -> str:
    """Return a module's name below `kore`; a package's is that of its folder."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


FILES = [path for path in SOURCE.rglob("*") if path.suffix in {".py", ".pyx", ".pxd"}]
PATHS = {module_of(path): path for path in FILES if path.suffix == ".py"}
PYTHON = {module: path.read_text() for module, path in PATHS.items()}
CYTHON = {str(path.relative_to(SOURCE)): path.read_text() for path in FILES if path.suffix != ".py"}
PACKAGES = {module_of(path) for path in SOURCE.glob("*/**/__init__.py")}
MODULES = {module_of(path) for path in FILES} - PACKAGES


def shown(module: str) -> str:
    """Return a module as the file it is."""
    return module.replace(".", "/") + (".pyx" if module.startswith("_core.") else ".py")


def statements(tree: ast.AST, *, types: bool = False) -> Iterator[ast.AST]:
    """Yield everything that runs; with *types* also what is there for the type checker."""
    for node in ast.iter_child_nodes(tree):
        for_types = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        if types or not for_types:
            yield node
            yield from statements(node, types=types)


def imports(source: str, *, types: bool = False) -> Iterator[str]:
    """Yield the names a Python module imports, each with all its parts."""
    for node in statements(parse(source), types=types):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"a relative import: {ast.unparse(node)}"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def cython_imports(source: str) -> Iterator[str]:
    """Yield the names a Cython file imports, as far as they stand on the first line."""
    for found in CYTHON_IMPORT.finditer(source):
        names = found["names"].replace(",", " ").split()
        yield from (f"{found['whence']}.{name}" if found["whence"] else name for name in names)
        if found["whence"]:
            yield found["whence"]


def resolved(name: str) -> str | None:
    """Return the module of ours that an imported name is, or is in."""
    if name != "kore" and not name.startswith("kore."):
        return None
    below = name.removeprefix("kore").removeprefix(".")
    while below and below not in MODULES:
        below = below.rpartition(".")[0]
    return below or "__init__"


def graph(*, types: bool = False) -> dict[str, set[str]]:
    """Return which modules each imports when it runs; with *types* also those for its types."""
    found: dict[str, set[str]] = {module: set() for module in MODULES}
    for path in FILES:
        if module_of(path) in MODULES:
            source = path.read_text()
            python = path.suffix == ".py"
            names = imports(source, types=types) if python else cython_imports(source)
            found[module_of(path)] |= {m for m in map(resolved, names) if m} - {module_of(path)}
    return found


# The rules


def wrong_ways(modules: Graph) -> list[str]:
    """Return a sentence for every import that goes up, or sideways."""
    return [
        f"`{shown(module)}` (floor {FLOOR[module]}) imports `{shown(other)}` (floor {FLOOR[other]})"
        for module, others in sorted(modules.items())
        for other in sorted(others)
        if not allowed(module, other)
    ]


def allowed(module: str, other: str) -> bool:
    """Return whether one module may import another."""
    own, floor = FLOOR[module], FLOOR[other]
    if module.startswith("_core.") != other.startswith("_core."):
        return own >= CORE_IS_FOR and floor < 0
    same_package = _package_of(module) == _package_of(other)
    return floor < own or (floor == own and (same_package or floor == DATA))


def wrong_rooms(modules: Graph) -> list[str]:
    """Return a sentence for every import from a room of `_process` into one closed to it."""
    return [
        f"`{shown(module)}` imports `{shown(other)}`"
        for module, others in sorted(modules.items())
        for other in sorted(others)
        for closed in ROOMS.get(module.rpartition(".")[0], ())
        if other.startswith(f"{closed}.")
    ]


def foreign_to_parent(modules: Graph) -> list[str]:
    """Return what the parent imports, directly or by way of others, and may not."""
    return sorted(
        module
        for module in reachable(modules, "_process.parent.parent")
        if module.rpartition(".")[0] not in PARENT_ROOMS and module not in PARENT_IMPORTS
    )


def _package_of(module: str) -> str:
    """Return the package below `kore` that a module is in, at any depth."""
    return module.partition(".")[0] if "." in module else ""


def rings(modules: Graph) -> list[list[str]]:
    """Return the groups of modules that import one another, directly or by way of others."""
    reached = {module: reachable(modules, module) for module in modules}
    found = {
        tuple(sorted(other for other in reached[module] if module in reached[other]))
        for module in modules
    }
    return sorted(map(list, found - {()}))


def reachable(modules: Graph, start: str) -> set[str]:
    """Return what a module imports, directly or by way of others."""
    found: set[str] = set()
    todo = list(modules[start])
    while todo:
        module = todo.pop()
        if module not in found:
            found.add(module)
            todo += modules[module]
    return found


def impure(module: str, source: str) -> list[str]:
    """Return a sentence for everything a pure module must not import, or call."""
    found = {name.partition(".")[0] for name in imports(source)} & IMPURE
    if module in FILE_MODULES:
        return [f"`{shown(module)}` imports {name}" for name in sorted(found - {"fcntl"})]
    return [f"`{shown(module)}` is pure and imports {name}" for name in sorted(found)] + [
        f"`{shown(module)}` is pure and calls {call}()" for call in sorted(disk_calls(source))
    ]


def disk_calls(source: str) -> set[str]:
    """Return the calls of a module that open or change files."""
    calls = {
        ast.unparse(node.func) for node in ast.walk(parse(source)) if isinstance(node, ast.Call)
    }
    return {
        call
        for call in calls
        if call == "open"
        or (call.startswith("os.") and call.removeprefix("os.") in DISK_FUNCTIONS)
        or ("." in call and call.rpartition(".")[2] in PATH_METHODS)
    }


def context_writes(module: str, source: str) -> list[str]:
    """Return a sentence for everything of the context that is not this module's to set."""
    mine = SETS_THE_CONTEXT.get(module, set())
    return [
        f"`{shown(module)}` sets {ast.unparse(target)}"
        for node in ast.walk(parse(source))
        for target in getattr(node, "targets", [getattr(node, "target", None)])
        if isinstance(target, ast.Attribute)
        and ast.unparse(target.value) in {"_context.current", "current"}
        and target.attr not in mine
    ]


def socket_calls(source: str) -> set[str]:
    """Return the system calls of a Cython file that receive or send."""
    return set(SOCKET_CALL.findall(source))


def global_statements(source: str) -> list[int]:
    """Return the lines on which a module-level name is made mutable."""
    lines = enumerate(source.splitlines(), 1)
    return [number for number, line in lines if re.match(r"\s*global\s+\w", line)]


def too_big(source: str) -> list[str]:
    """Return a sentence for every function that is too long or takes too much."""
    said = []
    for node in ast.walk(parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (node.end_lineno or 0) - node.lineno + 1
            if length > LINES_OF_A_FUNCTION:
                said.append(f"{node.name}() has {length} lines")
            names = [
                a.arg for a in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            ]
            if len(set(names) - {"self", "cls"}) > PARAMETERS:
                said.append(f"{node.name}() has {len(names)} parameters")
    return said


def public_names() -> set[str]:
    """Return what `import kore` offers."""
    # Beside them there are the names of libcurl's options, which have a page of their own.
    return {*LAZY, "errors"}
