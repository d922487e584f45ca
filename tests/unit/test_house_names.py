"""The rules of naming and prose, on source that breaks them."""

import pytest

from tests.helpers.house_names import (
    class_names,
    cython_parameters,
    duplicate_classes,
    map_errors,
    map_rows,
    too_many_parameters,
    used_names,
    vague_names,
    vague_words,
    wrongly_private,
)

MAP = """
# Map

| `errors.py` | raised |
| `_cli/create.py`, `skeleton.py` | `kodev create` |

## `_conf/`: configuration

| `paths.py` | names of `other.py` are not rows |

### `_http/files/`

| `ranges.py`, `dates.py` | |
| `_types/` | a folder |

## Beside the source

| `tests/unit.py` | |
"""


def test_class_names_are_found_in_python_and_cython() -> None:
    assert class_names("class A:\n    class B: ...\n") == ["A", "B"]
    assert class_names("cdef class A(B):\n    pass\nclass C:\n", cython=True) == ["A", "C"]


def test_a_class_of_two_modules_is_found() -> None:
    classes = {"a": ["Form", "Form"], "b": ["Form", "Kind"], "c": ["Other"]}

    assert duplicate_classes(classes) == ["class Form is defined in `a`, `b`"]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def shown(): ...", ["shown() is one word and none of VERBS"]),
        ("async def _shown(): ...", ["_shown() is one word and none of VERBS"]),
        ("def parse(): ...\ndef _parse(): ...\ndef show_address(): ...", []),
        ("def __getattr__(name): ...\ndef config(): ...", []),
        ("class A:\n    def shown(self): ...", []),
    ],
)
def test_a_function_named_by_one_word_is_found(source: str, found: list[str]) -> None:
    assert vague_names(source, {"config"}) == found


@pytest.mark.parametrize(
    "source",
    [
        "def shown(x): ...",
        "cdef int shown(int x) except -1 nogil:",
        "cdef inline const char *shown(\n    int x,\n) noexcept:",
        "cpdef (int, int) shown(int x):",
    ],
)
def test_a_cython_function_named_by_one_word_is_found(source: str) -> None:
    assert vague_names(source, cython=True) == ["shown() is one word and none of VERBS"]


@pytest.mark.parametrize(
    "source",
    [
        "cdef class Shown(Base):",
        "cdef class A:\n    cdef int shown(self): ...",
        "cdef int shown = f(1)",
    ],
)
def test_cython_declarations_of_other_things_are_no_functions(source: str) -> None:
    assert vague_names(source, cython=True) == []


def test_underscores_that_are_missing_or_wrong_are_found() -> None:
    source = "def read_a(): ...\ndef read_b(): ...\ndef _read_c(): ...\ndef _read_d(): ...\n"

    assert wrongly_private(source, {"read_b", "_read_c", "_read_d"}, {"_read_d"}) == [
        "read_a() is used in its module only: _read_a()",
        "_read_d() is private, and another module imports it",
    ]


def test_used_names_are_imports_attributes_and_quoted_words() -> None:
    source = (
        "from kore.x import (\n    a,\n    b,\n)\nimport c.d\nx.e()\nf(\"pkg.y:g\", 'h')\ni()\n"
    )

    assert used_names(source).issuperset("abcdegh")
    assert not used_names(source) & set("i")


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("def f(self, a, b=(1, 2), *, c: dict[str, int] = {}): ...", ["a", "b", "c"]),
        ("cdef f(const char *data, int[:] view, Py_ssize_t n=0)", ["data", "view", "n"]),
        ("cpdef int f(\n    object a,  # first, of two\n    b,\n):", ["a", "b"]),
        ("def f(cls, *args, **kwargs): ...", ["args", "kwargs"]),
        ("cdef void (*f)(int a, int b)", []),
    ],
)
def test_parameters_of_cython_functions_are_counted(source: str, names: list[str]) -> None:
    assert [parameters for _, parameters in cython_parameters(source)] == [names][: bool(names)]


def test_too_many_parameters_are_found() -> None:
    source = "cdef class A:\n    cdef int put(self, int a, int b, int c):\n        pass\n"

    assert too_many_parameters(source, 2) == ["put() has 3 parameters"]
    assert too_many_parameters(source, 3) == []


@pytest.mark.parametrize(
    "text",
    [
        "# Nobody reads it",
        "for whoever asks",
        "someone's own",
        '"""Take one more."""',
        "f'what is no path'",
        "it ends of its own accord",
    ],
)
def test_vague_words_are_found(text: str) -> None:
    (found,) = vague_words(f"first line\n{text}\n")

    assert found.startswith("line 2: ")


@pytest.mark.parametrize(
    "text",
    ['user = "nobody"', "the user `nobody`", "no one thing", "somebodyness", "one more path"],
)
def test_other_words_are_not_vague(text: str) -> None:
    assert vague_words(text) == []


def test_rows_of_the_map_are_paths() -> None:
    assert map_rows(MAP) == [
        "errors.py",
        "_cli/create.py",
        "_cli/skeleton.py",
        "_conf/paths.py",
        "_http/files/ranges.py",
        "_http/files/dates.py",
        "_http/files/_types/",
    ]


def test_a_complete_map_has_no_errors() -> None:
    files = {name.replace("paths.py", "paths.pyx") for name in map_rows(MAP)[:-1]}

    assert map_errors(MAP, {*files, "_conf/paths.pxd"}) == []


def test_rows_that_are_missing_wrong_or_double_are_found() -> None:
    files = {*map_rows(MAP)[1:-1], "worker.py"}

    assert map_errors(MAP + "## `_conf/`\n| `paths.py` | again |\n", files) == [
        "`worker.py` has no row",
        "`errors.py` is no file",
        "`_conf/paths.py` has 2 rows",
    ]
