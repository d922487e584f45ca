"""The house stands: imports go down, files and functions are short, state has one owner.

A module imports from its own floor or below, and from another package on its own floor only
data. What breaks a rule is named in a sentence.
"""

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Iterable

import pytest

from kore._api.lazy import LAZY
from tests.helpers.blocking_calls import waits
from tests.helpers.house import (
    CYTHON,
    FILES,
    FLOOR,
    LINES_OF_A_FILE,
    MODULES,
    PACKAGES,
    PARAMETERS,
    PATHS,
    PURE,
    PYTHON,
    READS_THE_CONTEXT,
    ROOT,
    SOURCE,
    allowed,
    context_writes,
    cython_imports,
    foreign_to_parent,
    global_statements,
    graph,
    imports,
    impure,
    public_names,
    resolved,
    rings,
    socket_calls,
    too_big,
    wrong_rooms,
    wrong_ways,
)
from tests.helpers.house_names import (
    class_names,
    duplicate_classes,
    imported_names,
    map_errors,
    too_many_parameters,
    used_names,
    vague_names,
    vague_words,
    wrongly_private,
)

# The house


def test_every_module_has_a_floor() -> None:
    assert set(FLOOR) == MODULES, "FLOORS lists the modules there are"


def test_imports_go_down() -> None:
    assert wrong_ways(graph()) == []


def test_no_modules_import_each_other() -> None:
    assert rings(graph()) == []
    assert rings(graph(types=True)) == []


def test_rooms_of_processes_are_apart() -> None:
    assert wrong_rooms(graph(types=True)) == []


def test_the_parent_imports_its_rooms_and_the_tables_of_settings() -> None:
    assert foreign_to_parent(graph(types=True)) == []


def breaches(
    check: Callable[..., list[str]], modules: Iterable[str] = PYTHON
) -> dict[str, list[str]]:
    """Return what a rule finds, by module."""
    takes_names = len(inspect.signature(check).parameters) > 1
    found = {m: check(m, PYTHON[m]) if takes_names else check(PYTHON[m]) for m in modules}
    return {module: sentences for module, sentences in found.items() if sentences}


def test_pure_modules_need_no_kernel() -> None:
    assert breaches(impure, [m for m in PYTHON if m.startswith(PURE)]) == {}


def test_the_context_is_set_by_the_modules_that_own_it() -> None:
    assert breaches(context_writes) == {}


def test_the_context_is_read_by_few_modules() -> None:
    assert {
        module
        for module in PYTHON
        if "kore._context" in imports(PYTHON[module]) and module not in READS_THE_CONTEXT
    } == set()


def test_the_parent_brings_neither_an_event_loop_nor_an_application() -> None:
    code = "import sys, kore._cli.main, kore._process.parent.parent; print(*sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)

    loaded = set(done.stdout.decode().split())
    assert "kore._process.parent.parent" in loaded
    assert loaded.isdisjoint(
        {"asyncio", "msgpack", "multipart", "uvloop", "setproctitle"}
        | {"kore._app", "kore._process.worker.worker"}
        # What costs memory, and belongs to applications and their configuration.
        | {"ast", "dis", "difflib", "email", "hashlib", "html", "http", "random", "ssl"}
        | {"subprocess", "tempfile", "kore._conf.builder", "kore._conf.schema"}
        # It hands keys on and never reads one.
        | {"cryptography"}
        # Only for servers with TLS.
        | {"kore._process.parent.tls", "kore._process.parent.tls_loader"}
    )


def test_workers_bring_no_library_for_private_keys() -> None:
    code = (
        "import sys, kore._process.template.template, kore._process.worker.worker; "
        "print(*sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)

    assert not {"cryptography", "_cffi_backend"} & set(done.stdout.decode().split())


def parents_modules() -> list[str]:
    """Return the modules that the parent runs, but for what only reads configurations."""
    code = "import sys, kore._process.parent.parent; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    found = [name.removeprefix("kore.") for name in done.stdout.split()]
    return [name for name in found if name in PYTHON and not name.startswith("_conf")]


def test_the_parent_never_waits() -> None:
    modules = parents_modules()

    assert "_process.spawn" in modules
    assert breaches(waits, modules) == {}


@pytest.mark.parametrize(
    ("code", "good"),
    [
        ("socket.getaddrinfo(host, 80)", False),
        ("socket.getaddrinfo(host, 80, flags=socket.AI_NUMERICHOST)", True),
        ("os.open(path, os.O_WRONLY | os.O_CREAT)", False),
        ("os.open(path, os.O_WRONLY | os.O_NONBLOCK)", True),
        ("os.open(path, FLAGS)", True),
        ("os.open(path, OTHERS)", False),
        ("open(path)", False),
        ("path.open()", False),
        ("path.read_text()", False),
        ("sock.connect(path)", False),
        ("sock.setblocking(False); sock.connect(path)", True),
        ("socket.create_connection(address)", False),
        ("fcntl.flock(fd, fcntl.LOCK_EX)", False),
        ("os.waitpid(pid, 0)", False),
        ("time.sleep(1)", False),
    ],
)
def test_what_waits_is_told_from_what_does_not(code: str, *, good: bool) -> None:
    constants = "NO_WAIT = os.O_NONBLOCK\nFLAGS = os.O_RDWR | NO_WAIT\nOTHERS = os.O_RDWR\n"

    assert bool(waits("house", f"{constants}def function():\n    {code}\n")) != good


def test_an_init_has_a_docstring_and_no_code() -> None:
    bodies = {package: ast.parse(PYTHON[package]).body for package in sorted(PACKAGES)}

    assert {package: len(body) for package, body in bodies.items() if len(body) != 1} == {}


def test_the_public_names_are_exports_and_nothing_else() -> None:
    docstring, *imports = ast.parse(PYTHON["__init__"]).body

    assert isinstance(docstring, ast.Expr)
    assert [ast.unparse(node) for node in imports] == [
        "from kore import _context as _context",
        "from kore._api.lazy import list_names as __dir__",
        "from kore._api.lazy import load_name as __getattr__",
    ]
    assert {name for name, place in LAZY.items() if not place.startswith("kore._")} == set()


def test_the_public_names_are_those_of_the_reference() -> None:
    page = (ROOT / "docs" / "reference" / "api.md").read_text()

    assert set(re.findall(r"^- `kore\.(\w+)", page, re.M)) == public_names()


def test_no_public_name_is_a_modules_name() -> None:
    top = {module.partition(".")[0] for module in MODULES}

    assert top & public_names() == {"errors"}, "importing a submodule would rebind the name"


CALLERS = [
    path
    for folder in ("src", "tests", "docs", "benchmarks", "examples")
    for path in (ROOT / folder).rglob("*.py")
]
CHECKED = [
    path.relative_to(ROOT)
    for folder in ("src/kore", "tests")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in {".py", ".pyi", ".pyx", ".pxd"}
]


def test_a_file_is_short_and_has_no_global_statement() -> None:
    sources = {path: (ROOT / path).read_text() for path in CHECKED}
    lengths = {path: len(source.splitlines()) for path, source in sources.items()}

    assert {path: length for path, length in lengths.items() if length > LINES_OF_A_FILE} == {}
    assert {path for path, source in sources.items() if global_statements(source)} == set()


def test_a_function_is_short_and_takes_little() -> None:
    assert breaches(too_big) == {}


def test_functions_of_the_core_take_little() -> None:
    assert not {
        path: found
        for path, source in CYTHON.items()
        if (found := too_many_parameters(source, PARAMETERS))
    }


def test_bytes_of_clients_pass_where_tls_is() -> None:
    calls = {path: found for path, source in CYTHON.items() if (found := socket_calls(source))}

    del calls["_core/libc.pxd"]  # declarations
    assert calls == {
        "_core/socket_stream.pyx": {"recv", "send", "sendfile", "sendmsg"},
        "_core/tls_bio.pyx": {"recv", "send"},
        "_core/log_file.pyx": {"write"},
        # The channel to the key process.
        "_core/key_channel.pyx": {"read", "recv"},
        "_core/signing_queue.pxd": {"sendmsg"},
        "_core/signing_service.pyx": {"recv", "send"},
    }, "everything else would reach a client of a TLS port without encryption"


# Names and prose


def test_class_names_are_unique() -> None:
    classes = {
        **{module: class_names(source) for module, source in PYTHON.items()},
        **{
            path: class_names(source, cython=True)
            for path, source in CYTHON.items()
            if path.endswith(".pyx")
        },
    }

    assert duplicate_classes(classes) == []


def test_functions_are_named_by_verb_and_object() -> None:
    public = public_names()

    assert not {
        path: found
        for sources, cython in ((PYTHON, False), (CYTHON, True))
        for path, source in sources.items()
        if (found := vague_names(source, public, cython=cython))
    }


def test_private_functions_begin_with_an_underscore() -> None:
    used = {path: used_names(path.read_text()) for path in CALLERS}
    imported = {module: imported_names(source) for module, source in PYTHON.items()}
    cython = {word for source in CYTHON.values() for word in re.findall(r"\w+", source)}

    assert not {
        module: found
        for module, source in PYTHON.items()
        if (
            found := wrongly_private(
                source,
                cython.union(*(names for path, names in used.items() if path != PATHS[module])),
                set().union(*(names for other, names in imported.items() if other != module)),
            )
        )
    }


def test_prose_names_what_it_is_about() -> None:
    pages = [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "changelog.d").glob("*.md"),
    ]
    texts = {str(path.relative_to(ROOT)): path.read_text() for path in pages}

    assert not {
        path: found
        for path, text in {**PYTHON, **CYTHON, **texts}.items()
        if (found := vague_words(text))
    }


def test_the_map_has_one_row_for_each_file() -> None:
    files = {
        str(path.relative_to(SOURCE))
        for path in FILES
        if path.name != "__init__.py" or path.parent == SOURCE
    }

    assert map_errors((ROOT / "docs" / "map.md").read_text(), files) == []


# The rules, on houses that break them


@pytest.mark.parametrize(
    ("module", "other", "good"),
    [
        ("_http.router", "_process.worker.worker", False),
        ("_http.router", "_conf.builder", False),
        ("_http.router", "_http.pipeline", True),
        ("_http.router", "_conf.schema", True),
        ("_conf.schema", "_values.methods", True),
        ("_process.worker.worker", "_http.router", True),
        ("_http.router", "_core.request", False),
        ("_process.worker.worker", "_core.listener", True),
        ("_core.transport", "_core.connection", False),
        ("_core.connection", "_core.transport", True),
        ("_core.transport", "errors", False),
    ],
)
def test_up_and_sideways_are_told_from_down(module: str, other: str, *, good: bool) -> None:
    assert allowed(module, other) == good


def test_a_wrong_way_is_a_sentence() -> None:
    assert wrong_ways({"_http.router": {"_process.worker.worker"}}) == [
        "`_http/router.py` (floor 2) imports `_process/worker/worker.py` (floor 5)"
    ]


def test_a_ring_is_found() -> None:
    modules = {"a": {"b"}, "b": {"c"}, "c": {"d"}, "d": {"b"}, "e": {"f"}, "f": {"e"}}

    assert rings(modules) == [["b", "c", "d"], ["e", "f"]]


def test_a_closed_room_is_found() -> None:
    assert wrong_rooms(
        {
            "_process.parent.launcher": {"_process.worker.worker", "_process.parent.children"},
            "_process.template.template": {"_process.worker.worker"},
            "_process.ipc.channel": {"_process.ipc.messages", "_process.spawn"},
        }
    ) == ["`_process/parent/launcher.py` imports `_process/worker/worker.py`"]


def test_an_import_that_is_foreign_to_the_parent_is_found_behind_others() -> None:
    modules = {
        "_process.parent.parent": {"_process.spawn"},
        "_process.spawn": {"_conf.settings", "_conf.builder"},
        "_conf.settings": set(),
        "_conf.builder": {"_process.worker.worker"},
        "_process.worker.worker": set(),
    }

    assert foreign_to_parent(modules) == ["_conf.builder", "_process.worker.worker"]


@pytest.mark.parametrize(
    ("source", "modules"),
    [
        ("import kore", {"__init__"}),
        ("from kore import _app, log", {"_app", "__init__"}),
        ("from kore._conf.builder import Builder", {"_conf.builder"}),
        ("def f():\n    from kore._conf import arguments", {"_conf.arguments"}),
        ("import json, kore._api.functions", {"_api.functions"}),
        ("if TYPE_CHECKING:\n    from kore._api.functions import config", set()),
    ],
)
def test_imports_are_found_wherever_they_stand(source: str, modules: set[str]) -> None:
    assert {m for m in map(resolved, imports(source)) if m} == modules


def test_imports_for_types_are_found_when_asked_for() -> None:
    source = "if TYPE_CHECKING:\n    from kore._api import config"

    assert list(imports(source, types=True)) == ["kore._api.config"]


def test_a_relative_import_is_refused() -> None:
    with pytest.raises(AssertionError, match="a relative import"):
        list(imports("from . import _api"))


@pytest.mark.parametrize(
    "source",
    [
        "from kore._core.transport cimport Transport",
        "from kore._core.transport cimport (\n    Transport)",
        "from kore._core cimport transport",
        "cimport kore._core.transport",
        "import kore._core.transport",
    ],
)
def test_cython_imports_are_found(source: str) -> None:
    assert "_core.transport" in set(map(resolved, cython_imports(source)))


def test_other_breaches_are_found() -> None:
    assert impure("_conf.schema", "import asyncio.tasks") == [
        "`_conf/schema.py` is pure and imports asyncio"
    ]
    assert impure("_conf.schema", "import os\nos.unlink(x)\nPath(x).mkdir()\nself.open(x)\n") == [
        "`_conf/schema.py` is pure and calls Path(x).mkdir()",
        "`_conf/schema.py` is pure and calls os.unlink()",
    ]
    assert impure("_http.body.spool", "import fcntl\nos.unlink(x)") == []
    assert context_writes("_http.router", "_context.current.worker = None") == [
        "`_http/router.py` sets _context.current.worker"
    ]
    assert context_writes("_app", "builder = _context.current.builder = None") == []
    source = "x = send(self.fd, data, size)\n# as recv(2) does\nreturn readv(fd, v, 2)"
    assert socket_calls(source) == {"send", "readv"}
    assert socket_calls("cdef int send(self)\nself.send(data)\nsendfile_max(1)") == set()
    assert global_statements("x = 1\ndef f():\n    global x\n") == [3]
    assert too_big("def f(a, b, c, d, e, f, g):\n" + "    pass\n" * 60) == [
        "f() has 61 lines",
        "f() has 7 parameters",
    ]
