"""What type checkers make of programs with the public names, and that the stubs say the truth."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

import kore

HERE: Final = Path(__file__).parent
SOURCE: Final = HERE.parent / "src"
STUBS: Final = SOURCE / "kore" / "_types"
ERROR: Final = re.compile(r"wrong_uses\.py:(\d+): error: .*\[([a-z-]+)\]$", re.M)
EXPECTED: Final = re.compile(r"# ([a-z-]+(?:, [a-z-]+)*)$")


def mypy(*names: str) -> str:
    """Return what mypy says, as strict as it can be."""
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--no-incremental"]
        + [str(HERE / "typing" / name) for name in names],
        env={"MYPYPATH": str(SOURCE), "PATH": "/usr/bin:/bin"},
        cwd=HERE,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_a_type_checker_tells_right_from_wrong() -> None:
    pytest.importorskip("mypy")
    found = mypy("right_uses.py", "wrong_uses.py")

    errors: dict[int, list[str]] = {}
    for line, code in ERROR.findall(found):
        errors.setdefault(int(line), []).append(code)
    text = (HERE / "typing" / "wrong_uses.py").read_text()
    expected = {
        number: match[1].split(", ")
        for number, line in enumerate(text.splitlines(), 1)
        if (match := EXPECTED.search(line))
    }
    assert errors == expected, found
    assert "right_uses.py" not in found, found


# What the stubs say, against what there is


def classes() -> list[tuple[str, ast.ClassDef]]:
    """Return the public names of classes, each with what its stub says."""
    stub = ast.parse((SOURCE / "kore" / "__init__.pyi").read_text())
    known = {
        node.name: node
        for path in STUBS.glob("*.pyi")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef)
    }
    aliases = {
        node.target.id: node.value.id.lstrip("_")
        for node in stub.body
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and isinstance(node.value, ast.Name)
    }
    direct = {name: name for name in ("Connection", "Request", "Upload")}
    return [(name, known[of]) for name, of in {**aliases, **direct}.items()]


def functions() -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return the functions of the stubs."""
    return [
        node
        for path in sorted(STUBS.glob("*.pyi"))
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def names_in(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """Return the names of a function's parameters that may be given by name."""
    arguments = node.args
    return [each.arg for each in (*arguments.args, *arguments.kwonlyargs)]


def names_of(function: Any) -> list[str] | None:
    """Return the same of a real function; None: it does not say."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters):
        return None
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [each.name for each in parameters if each.kind in named]


def test_the_stubs_have_every_public_name_and_no_other() -> None:
    stub = ast.parse((SOURCE / "kore" / "__init__.pyi").read_text())
    names: set[str] = set()
    for node in stub.body:
        if isinstance(node, ast.ImportFrom):
            names.update(alias.asname for alias in node.names if alias.asname)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
        elif isinstance(node, ast.Assign):
            names.update(each.id for each in node.targets if isinstance(each, ast.Name))
    options = {name for name in dir(kore) if name.startswith("CURLOPT_")}
    assert {name for name in names if not name.startswith("_")} == {*dir(kore)} - options


@pytest.mark.parametrize(("name", "stub"), classes(), ids=[n for n, _ in classes()])
def test_a_class_has_what_its_stub_says(name: str, stub: ast.ClassDef) -> None:
    real = getattr(kore, name)
    for node in stub.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        member = inspect.getattr_static(real, node.name)
        decorated = {ast.unparse(each).rpartition(".")[2] for each in node.decorator_list}
        if "property" in decorated or "setter" in decorated:
            assert not inspect.isfunction(member), f"{node.name} is no property"
        elif (found := names_of(member)) is not None and not node.name.startswith("__"):
            assert found == names_in(node), node.name


@pytest.mark.parametrize("stub", functions(), ids=lambda node: node.name)
def test_a_function_takes_what_its_stub_says(
    stub: ast.FunctionDef | ast.AsyncFunctionDef,
) -> None:
    if (found := names_of(getattr(kore, stub.name))) is not None:
        assert found == names_in(stub)


def test_the_names_can_be_annotated_with() -> None:
    assert kore.Request is kore.pyhttp_request
    assert kore.Connection is kore.pyconnection
    assert kore.Upload is kore.pyhttp_file
