"""The rules of the house as data and as functions from source text to sentences."""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tests.helpers.house_names import parse

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "kore"

# Modules by floor; those of the core have floors of their own, under all others.
FLOORS = {
    9: "_cli.kodev _cli.run",
    8: "__main__ _cli.create _cli.project",
    7: "_cli.main _cli.skeleton _cli.sources _cli.watch",
    6: "__init__ _api _clients _databases _tasks _lazy",
    5: """_process.bodies _process.children _process.databases _process.disk _process.endings
          _process.generation _process.heartbeat _process.holdings _process.incoming
          _process.journals _process.nursery _process.objects _process.outgoing _process.parent
          _process.post _process.process_end _process.refusal_log _process.relay _process.roles
          _process.signals _process.site _process.slow_handlers
          _process.spawn _process.starts _process.stopping _process.stuck _process.successors
          _process.talk _process.tasks _process.template _process.trial _process.websockets
          _process.worker""",
    4: """_app _bytecode _process.accesslogs _process.addresses _process.background _process.birth
          _process.channel _process.destination _process.eventloop _process.hostnames _process.lines
          _process.logs _process.loop _process.openfile _process.orphans _process.output
          _process.pidfile _process.plan _process.privsep _process.reloads _process.scoreboard
          _process.sinks _process.sockets _process.terminal _process.workdir""",
    3: """_aio.addresses _aio.affinity _aio.child _aio.connecting _aio.edges _aio.gather
          _aio.leash _aio.lock _aio.loose _aio.plain_reap _aio.proc _aio.queue _aio.readiness
          _aio.socket _aio.status _aio.suspend _aio.tasks _aio.timer _aio.tracing
          _httpclient.client _httpclient.curl _httpclient.exchange _httpclient.stream
          _httpclient.transfers _httpclient.upload _modules _pgsql.connection _pgsql.database
          _pgsql.hub _pgsql.listen _pgsql.opening _pgsql.pipeline _pgsql.pool _pgsql.question
          _pgsql.rows _pgsql.session _pgsql.slices _pgsql.stream _pgsql.target
          _pgsql.transaction""",
    2: """_conf.answers _conf.authentications _conf.builder _conf.calls _conf.check _conf.databases
          _conf.demands _conf.directives _conf.domains _conf.filemaps _conf.legacy _conf.loader
          _conf.printer _conf.routes _conf.rules _conf.unserved _conf.unusual _conf.wanted
          _conf.websockets
          _http.auth _http.filemap
          _http.parts _http.pipeline _http.router _http.sending _http.steps _http.streaming""",
    1: """_conf.cpus _conf.foreign _conf.problems _conf.schema _conf.settings _conf.syntax
          _http.accesslog _http.codings
          _http.conditions _http.cookies _http.dates _http.field_parameters _http.files
          _http.flow _http.folder _http.keeping _http.media _http.multipart _http.names
          _http.params _http.ranges _http.redirects _http.sources _http.spool
          _http.tables _http.verdicts _httpclient.codings _httpclient.fields
          _httpclient.later _httpclient.names _httpclient.options _httpclient.plan
          _httpclient.urls _pgsql.harmless _pgsql.line _pgsql.statements _pgsql.values
          _process.codec _process.fields _process.mail _process.memory _process.messages
          _process.parcels
          _websocket.broadcast _websocket.deflate _websocket.handshake _websocket.rooms""",
    0: """_conf.guesses _conf.hosts _conf.kinds _conf.paths _conf.places _context _maybe_async
          _numbers _pgsql.functions _unawaited errors""",
    -1: "_core.broadcast _core.listener _core.testing",
    -2: "_core.connection",
    -3: "_core.lifecycle",
    -4: "_core.websocket",
    -5: "_core.sender",
    -6: "_core.intake",
    -7: "_core.receiver",
    -8: "_core.responder",
    -9: "_core.recorder",
    -10: "_core.request _core.service",
    -11: "_core.accesslog _core.body _core.content _core.stream _core.writer",
    -12: """_core.accesslog_format _core.chunked _core.eager_task _core.file _core.format
          _core.log_file _core.poller _core.probes _core.question _core.response _core.ws_assembler
          _core.ws_options""",
    -13: """_core.buffer _core.frames _core.grammar _core.libc _core.parser
          _core.refusals _core.scoreboard_slot _core.table""",
}
FLOOR = {module: floor for floor, modules in FLOORS.items() for module in modules.split()}
DATA = 1
# The core is handed what it calls. Only who runs it may import it, and who names its types.
CORE_IS_FOR = 5

# Modules of the standard library that would make a test of these need more than values.
IMPURE = {
    "asyncio",
    "multiprocessing",
    "select",
    "selectors",
    "signal",
    "socket",
    "ssl",
    "threading",
}
PURE = (
    "_conf.",
    "_http.",
    "_pgsql.line",
    "_pgsql.statements",
    "_pgsql.values",
    "_process.codec",
    "_process.messages",
    "_process.parcels",
    "_websocket.",
)

SETS_THE_CONTEXT = {
    "_app": {"builder"},
    "_process.worker": {"worker"},
    "_api": {"app", "unserved"},
    "_tasks": {"tasks"},
}
READS_THE_CONTEXT = {"_api", "_app", "_clients", "_databases", "_process.worker", "_tasks"}

# Which room of `_process` may not import which other ones.
ROOMS = {
    "_process.ipc": ("_process.parent", "_process.template", "_process.worker"),
    "_process.log": ("_process.parent", "_process.template", "_process.worker"),
    "_process.parent": ("_process.template", "_process.worker"),
    "_process.worker": ("_process.parent", "_process.template"),
}

# From 400 lines on, a file may have two subjects: look. At 500 it is too long.
LINES_OF_A_FILE = 500
LINES_OF_A_FUNCTION = 60
PARAMETERS = 6

CYTHON_IMPORT = re.compile(
    r"^\s*(?:from\s+(?P<whence>[\w.]+)\s+)?c?import\s+(?P<names>[\w., ]*)", re.M
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
    same_package = module.rpartition(".")[0] == other.rpartition(".")[0]
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
    """Return a sentence for everything a pure module must not import."""
    found = {name.partition(".")[0] for name in imports(source)} & IMPURE
    return [f"`{shown(module)}` is pure and imports {name}" for name in sorted(found)]


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
    exports = list(ast.walk(parse(PYTHON["__init__"])))
    names = {a.asname or a.name for e in exports if isinstance(e, ast.ImportFrom) for a in e.names}
    # A star stands for the names of libcurl's options, which have a page of their own.
    return {name for name in names if not name.startswith("_")} - {"*"}
