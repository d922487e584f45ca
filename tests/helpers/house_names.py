"""Rules of naming and prose: functions from source text to a list of violations, as sentences.

What a rule needs to know of the tree (which names other modules use, which files exist) is given
to it, so that each rule can be tested on a few lines of source.
"""

import ast
import functools
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import PurePosixPath

# Top-level functions whose name is one word. All others are a verb and its object.
VERBS = set(
    """append build close compress connect consume decode decompress dump encode escape fork format
       join listen load main match normalize open parse quote read receive reserve resolve run send
       serve spawn split start stop unescape unmap unmask validate write""".split()  # noqa: SIM905
)

# Words that stand for a person or for nothing definite, where the text is about a thing.
VAGUE = re.compile(
    r"\b(?:(?:no|some|any|every)(?:body|one)(?:'s)?|whoever|whomever"
    r"|of its own accord|what is no\b|one more\.)(?!\w)",
    re.I,
)
# Quoted code, the Unix user of that name, and an option of libcurl.
LITERAL = re.compile(r"`[^`\n]*`|\"nobody\"|'nobody'|\buser nobody\b|\bNOBODY\b")

IMPORTED = re.compile(r"\bimport\s+(?:\(([^)]*)\)|([^\n(]+))")
REFERENCE = re.compile(r"(?:\.\s*|:|\"|')([A-Za-z_]\w*)")
CYTHON_FUNCTION = re.compile(
    r"^(?P<indent>[ ]*)(?P<kind>cpdef|cdef|async\s+def|def)\s+"
    r"(?P<type>(?:\([^)\n]*\))?[^\n(=:]*?)\b(?P<name>\w+)\s*\((?!\*)(?P<rest>[^\n]*)$",
    re.M,
)
CYTHON_CLASS = re.compile(r"^[ ]*(?:cdef\s+)?class\s+(\w+)", re.M)


@functools.cache
def parse(source: str) -> ast.Module:
    """Return the syntax tree of a module, which many rules look at."""
    return ast.parse(source)


def cython_functions(source: str) -> Iterator[re.Match[str]]:
    """Yield every definition or declaration of a function in a Cython file."""
    for found in CYTHON_FUNCTION.finditer(source):
        if not re.search(r"\b(?:class|struct|enum|extern)\b", found["type"]):
            yield found


# Names


def class_names(source: str, *, cython: bool = False) -> list[str]:
    """Return the names of all classes that a module defines."""
    if cython:
        return CYTHON_CLASS.findall(source)
    return [node.name for node in ast.walk(parse(source)) if isinstance(node, ast.ClassDef)]


def duplicate_classes(classes: Mapping[str, Iterable[str]]) -> list[str]:
    """Return a sentence for every class name that more than one module defines."""
    owners: dict[str, set[str]] = defaultdict(set)
    for module, names in classes.items():
        for name in names:
            owners[name].add(module)
    return [
        f"class {name} is defined in {', '.join(f'`{module}`' for module in sorted(modules))}"
        for name, modules in sorted(owners.items())
        if len(modules) > 1
    ]


def top_level_functions(source: str, *, cython: bool = False) -> list[str]:
    """Return the names of a module's own functions, without special ones like `__getattr__`."""
    if cython:
        found = [m["name"] for m in cython_functions(source) if not m["indent"]]
    else:
        found = [
            node.name
            for node in parse(source).body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
    return [name for name in found if not name.startswith("__")]


def is_function_name(name: str) -> bool:
    """Return whether a name is verb and object, or one of the verbs that stand alone."""
    return "_" in name.strip("_") or name.strip("_") in VERBS


def vague_names(source: str, public: Collection[str] = (), *, cython: bool = False) -> list[str]:
    """Return a sentence for every function named by one word, but for *public* names."""
    return [
        f"{name}() is one word and none of VERBS"
        for name in top_level_functions(source, cython=cython)
        if not is_function_name(name) and name not in public
    ]


def wrongly_private(source: str, used: Collection[str], imported: Collection[str]) -> list[str]:
    """Return a sentence for every function whose underscore is missing, or contradicted.

    *used* has all names that other files use, tests among them; *imported* those that other
    modules of the package import.
    """
    functions = top_level_functions(source)
    return [
        f"{name}() is used in its module only: _{name}()"
        for name in functions
        if not name.startswith("_") and name not in used
    ] + [
        f"{name}() is private, and another module imports it"
        for name in functions
        if name.startswith("_") and name in imported
    ]


def imported_names(source: str) -> set[str]:
    """Return the names that a Python file imports from modules."""
    return {
        name.name
        for node in ast.walk(parse(source))
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    }


def used_names(source: str) -> set[str]:
    """Return the names a Python file may take from others: imports, attributes, quoted words."""
    lists = " ".join("".join(found) for found in IMPORTED.findall(source))
    return {*re.findall(r"\w+", lists), *REFERENCE.findall(source)}


# Parameters of Cython functions


def cython_parameters(source: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each function of a Cython file with its parameters, `self` and `cls` left out."""
    for found in cython_functions(source):
        text = parameter_list(source, found.start("rest"))
        names = [name for name in map(parameter_name, split_at_commas(text)) if name]
        yield found["name"], [name for name in names if name not in {"self", "cls"}]


def parameter_list(source: str, start: int) -> str:
    """Return the text from *start* up to the bracket that closes the list of parameters."""
    depth = 1
    for at in range(start, len(source)):
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(source[at], 0)
        if not depth:
            return re.sub(r"#[^\n]*", "", source[start:at])
    return source[start:]


def split_at_commas(text: str) -> list[str]:
    """Split a list of parameters at the commas that are not within brackets."""
    parts, depth = [""], 0
    for char in text:
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(char, 0)
        if char == "," and not depth:
            parts.append("")
        else:
            parts[-1] += char
    return parts


def parameter_name(text: str) -> str:
    """Return the name in a declaration like `const char *data=NULL` or `items: list[int]`."""
    declared = re.split(r"[=:]", re.sub(r"\[[^]]*\]", " ", text))[0]
    words = re.findall(r"\w+", declared)
    return words[-1] if words else ""


def too_many_parameters(source: str, most: int) -> list[str]:
    """Return a sentence for every function of a Cython file with more than *most* parameters."""
    return [
        f"{name}() has {len(names)} parameters"
        for name, names in cython_parameters(source)
        if len(names) > most
    ]


# Prose


def vague_words(text: str) -> list[str]:
    """Return a sentence for every forbidden word or phrase, with its line."""
    return [
        f"line {number}: {found[0]!r} in {line.strip()!r}"
        for number, line in enumerate(text.splitlines(), 1)
        for found in VAGUE.finditer(LITERAL.sub("", line))
    ]


# The map


def map_rows(page: str) -> list[str]:
    """Return the files that the tables of docs/map.md have rows for, as paths below `kore`.

    A section's headline names its folder, as in "## `_conf/`: ..."; a row's first column names
    one file or several.
    """
    rows: list[str] = []
    folder: str | None = ""
    for line in page.splitlines():
        if line.startswith("#"):
            found = re.match(r"#+ (?:`src/kore/`|`([\w/]+)/`|Map$)", line)
            folder = (found[1] or "") if found else None
        elif folder is not None and line.startswith("|"):
            rows += row_files(folder, line.split("|")[1])
    return rows


def row_files(folder: str, label: str) -> list[str]:
    """Return the files in the first column of a row; a bare name is in the folder of the first."""
    names = re.findall(r"`([\w./]+)`", label)
    where = str(PurePosixPath(folder, names[0]).parent) if names else folder
    return [
        str(PurePosixPath(folder if "/" in name else where, name)) + "/" * name.endswith("/")
        for name in names
    ]


def map_errors(page: str, files: Collection[str]) -> list[str]:
    """Return a sentence for every file without a row, row without a file, and second row."""
    rows = map_rows(page)
    named = [row for row in rows if not row.endswith("/")]
    stems = {row: row.rpartition(".")[0] for row in named}
    known = {name.rpartition(".")[0] for name in files}
    return (
        [
            f"`{name}` has no row"
            for name in sorted(files)
            if name not in named and name.rpartition(".")[0] not in stems.values()
        ]
        + [f"`{row}` is no file" for row in named if stems[row] not in known]
        + [
            f"`{row}` has {named.count(row)} rows"
            for row in sorted(set(named))
            if named.count(row) > 1
        ]
    )
