"""The house stands: imports go down, files and functions are short, state has one owner.

A module imports from its own floor or below, and from another package on its own floor only
data. What breaks a rule is named in a sentence.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.house import (
    FLOOR,
    LINES_OF_A_FILE,
    MODULES,
    PACKAGES,
    PURE,
    PYTHON,
    READS_THE_CONTEXT,
    ROOT,
    allowed,
    context_writes,
    cycle,
    cython_imports,
    global_statements,
    graph,
    imports,
    impure,
    public_names,
    resolved,
    too_big,
    wrong_ways,
)
from tests.helpers.waiting import waits

# The house


def test_every_module_has_a_floor() -> None:
    assert set(FLOOR) == MODULES, "FLOORS lists the modules there are"


def test_imports_go_down() -> None:
    assert wrong_ways(graph()) == []


def test_no_modules_import_each_other() -> None:
    assert cycle(graph()) == []


@pytest.mark.parametrize("module", sorted(m for m in PYTHON if m.startswith(PURE)))
def test_pure_modules_need_no_kernel(module: str) -> None:
    assert impure(module, PYTHON[module]) == []


@pytest.mark.parametrize("module", sorted(PYTHON))
def test_the_context_is_set_and_read_by_those_who_own_it(module: str) -> None:
    assert context_writes(module, PYTHON[module]) == []
    assert module in READS_THE_CONTEXT or "kore._context" not in imports(PYTHON[module])


def test_the_parent_brings_neither_an_event_loop_nor_an_application() -> None:
    code = "import sys, kore._cli.main, kore._process.parent; print(*sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)

    loaded = set(done.stdout.decode().split())
    assert "kore._process.parent" in loaded
    assert loaded.isdisjoint(
        {"asyncio", "msgpack", "multipart", "uvloop", "setproctitle"}
        | {"kore._app", "kore._process.worker"}
    )


def parents_modules() -> list[str]:
    """Return the modules that the parent runs, but for what only reads configurations."""
    code = "import sys, kore._process.parent; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    found = [name.removeprefix("kore.") for name in done.stdout.split()]
    return sorted(name for name in found if name in PYTHON and not name.startswith("_conf"))


@pytest.mark.parametrize("module", parents_modules())
def test_the_parent_never_waits(module: str) -> None:
    assert waits(module, PYTHON[module]) == []


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


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_an_init_has_no_code(package: str) -> None:
    body = ast.parse(PYTHON[package]).body

    assert [ast.unparse(node) for node in body[1:]] == [], "a docstring, and that is all"


def test_the_public_names_are_exports_and_nothing_else() -> None:
    docstring, *exports = ast.parse(PYTHON["__init__"]).body

    assert isinstance(docstring, ast.Expr)
    assert ast.unparse(exports.pop(0)) == "import typing as _typing"
    types = exports.pop()
    assert isinstance(types, ast.If)
    assert {type(node) for node in (*types.body, *types.orelse)} == {ast.ImportFrom}
    for node in exports:
        assert isinstance(node, ast.ImportFrom)
        assert [alias.name for alias in node.names] == [alias.asname for alias in node.names]


def test_the_public_names_are_those_of_the_reference() -> None:
    page = (ROOT / "docs" / "reference" / "api.md").read_text()

    assert set(re.findall(r"^- `kore\.(\w+)", page, re.M)) == public_names()


def test_no_public_name_is_a_modules_name() -> None:
    top = {module.partition(".")[0] for module in MODULES}

    assert top & public_names() == {"errors"}, "importing a submodule would rebind the name"


CHECKED = [
    path.relative_to(ROOT)
    for folder in ("src/kore", "tests")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in {".py", ".pyi", ".pyx", ".pxd"}
]


@pytest.mark.parametrize("path", CHECKED, ids=str)
def test_a_file_is_short_and_has_no_global_statement(path: Path) -> None:
    source = (ROOT / path).read_text()

    assert len(source.splitlines()) <= LINES_OF_A_FILE
    assert global_statements(source) == []


@pytest.mark.parametrize("module", sorted(PYTHON))
def test_a_function_is_short_and_takes_little(module: str) -> None:
    assert too_big(PYTHON[module]) == []


# The rules, on houses that break them


@pytest.mark.parametrize(
    ("module", "other", "good"),
    [
        ("_http.router", "_process.worker", False),
        ("_http.router", "_conf.builder", False),
        ("_http.router", "_http.pipeline", True),
        ("_http.router", "_conf.schema", True),
        ("_conf.schema", "_http.tables", True),
        ("_process.worker", "_http.router", True),
        ("_http.router", "_core.request", False),
        ("_process.worker", "_core.listener", True),
        ("_core.stream", "_core.connection", False),
        ("_core.connection", "_core.stream", True),
        ("_core.stream", "errors", False),
    ],
)
def test_up_and_sideways_are_told_from_down(module: str, other: str, *, good: bool) -> None:
    assert allowed(module, other) == good


def test_a_wrong_way_is_a_sentence() -> None:
    assert wrong_ways({"_http.router": {"_process.worker"}}) == [
        "`_http/router.py` (floor 2) imports `_process/worker.py` (floor 5)"
    ]


def test_a_ring_is_found() -> None:
    assert cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]


@pytest.mark.parametrize(
    ("source", "modules"),
    [
        ("import kore", {"__init__"}),
        ("from kore import _app, log", {"_app", "__init__"}),
        ("from kore._conf.builder import Builder", {"_conf.builder"}),
        ("def f():\n    from kore._conf import check", {"_conf.check"}),
        ("import json, kore._api", {"_api"}),
        ("if TYPE_CHECKING:\n    from kore._process.worker import Worker", set()),
    ],
)
def test_imports_are_found_wherever_they_stand(source: str, modules: set[str]) -> None:
    assert {m for m in map(resolved, imports(source)) if m} == modules


def test_a_relative_import_is_refused() -> None:
    with pytest.raises(AssertionError, match="a relative import"):
        list(imports("from . import _api"))


@pytest.mark.parametrize(
    "source",
    [
        "from kore._core.stream cimport Stream",
        "from kore._core.stream cimport (\n    Stream)",
        "from kore._core cimport stream",
        "cimport kore._core.stream",
        "import kore._core.stream",
    ],
)
def test_cython_imports_are_found(source: str) -> None:
    assert "_core.stream" in set(map(resolved, cython_imports(source)))


def test_other_breaches_are_found() -> None:
    assert impure("_conf.schema", "import asyncio.tasks") == [
        "`_conf/schema.py` is pure and imports asyncio"
    ]
    assert context_writes("_http.router", "_context.current.worker = None") == [
        "`_http/router.py` sets _context.current.worker"
    ]
    assert context_writes("_app", "builder = _context.current.builder = None") == []
    assert global_statements("x = 1\ndef f():\n    global x\n") == [3]
    assert too_big("def f(a, b, c, d, e, f, g):\n" + "    pass\n" * 60) == [
        "f() has 61 lines",
        "f() has 7 parameters",
    ]
