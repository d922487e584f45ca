"""What belongs together in a report of coverage."""

from pathlib import Path

import pytest

from tests.cover.core import counter_name, read_regions
from tests.cover.reasons import REASONS
from tests.cover.report import own_tests, ranges

SOURCES = {
    "_conf/paths.py",
    "_conf/paths_odd.py",
    "_process/log/writer.py",
    "_core/writer.pyx",
    "_api.py",
    "_process/worker/worker.py",
}
TESTS = [
    "tests/unit/conf/test_paths.py",
    "tests/unit/conf/test_paths_even.py",
    "tests/unit/conf/test_paths_odd.py",
    "tests/unit/conf/test_pathsxx.py",
    "tests/unit/core/test_writer.py",
    "tests/unit/process/test_writer_full.py",
    "tests/unit/process/log/test_writer.py",
    "tests/unit/process/worker/test_worker.py",
    "tests/unit/test_api.py",
    "tests/server/test_paths.py",
]


@pytest.mark.parametrize(
    ("name", "tests"),
    [
        ("_conf/paths.py", ["conf/test_paths.py", "conf/test_paths_even.py"]),
        ("_conf/paths_odd.py", ["conf/test_paths_odd.py"]),
        ("_core/writer.pyx", ["core/test_writer.py"]),
        (
            "_process/log/writer.py",
            ["process/test_writer_full.py", "process/log/test_writer.py"],
        ),
        ("_process/worker/worker.py", ["process/worker/test_worker.py"]),
        ("_api.py", ["test_api.py"]),
    ],
)
def test_tests_of_a_file_have_its_name(name: str, tests: list[str]) -> None:
    assert own_tests(name, TESTS, SOURCES) == [f"tests/unit/{test}" for test in tests]


def test_line_numbers_in_a_row_are_a_range() -> None:
    assert ranges((1, 2, 3, 7, 9, 10)) == "1-3, 7, 9-10"
    assert ranges(()) == ""


C_CODE = """\
/* "kore/_core/a.pyx":3
 * cdef int add(int a):             # <<<<<<<<<<<<<<
*/

static int __pyx_f_add(int __pyx_v_a) {
  int __pyx_r;

  /* "kore/_core/a.pyx":4
 *     b = a             # <<<<<<<<<<<<<<
*/
  __pyx_v_b = __pyx_v_a;

  /* "kore/_core/b.pxd":9
 *     return b             # <<<<<<<<<<<<<<
*/
  __pyx_r = __pyx_v_b;
  goto __pyx_L0;

  /* function exit code */
  __pyx_L0:;
  return __pyx_r;
}
"""


def test_lines_of_the_core_are_those_cython_names_without_heads_and_ends(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text(C_CODE)
    found = {(region.name, region.line): region.code for region in read_regions(tmp_path / "a.c")}
    lines = C_CODE.splitlines()

    assert list(found) == [("kore/_core/a.pyx", 4), ("kore/_core/b.pxd", 9)]
    assert "  __pyx_v_b = __pyx_v_a;" in [lines[at - 1] for at in found["kore/_core/a.pyx", 4]]
    assert "  __pyx_L0:;" not in [lines[at - 1] for at in found["kore/_core/b.pxd", 9]]


def test_counters_of_the_core_are_kept_apart_for_its_own_tests() -> None:
    assert counter_name("tests/unit/core/test_parser.py") == "test_parser"
    assert counter_name("tests/server/test_wire_lines.py") == "others"
    assert counter_name("tests/fuzz/test_heads.py") == "others"


def test_reasons_are_of_files_there_are() -> None:
    package = Path(__file__).parents[2] / "src" / "kore"

    assert [name for name in REASONS if not (package / name).is_file()] == []
