"""What belongs together in a report of coverage."""

import pytest

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
