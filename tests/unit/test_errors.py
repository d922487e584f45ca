"""The tree of errors."""

import subprocess
import sys

import pytest

from kore import errors


@pytest.mark.parametrize(
    "error",
    [
        errors.KoreError,
        errors.ConfigError,
        errors.UnknownSettingError,
        errors.StartError,
        errors.RefusedError,
    ],
)
def test_every_error_is_a_kore_error_and_a_runtime_error(error: type[Exception]) -> None:
    assert issubclass(error, errors.KoreError)
    assert issubclass(error, RuntimeError)


def test_an_unknown_setting_is_an_attribute_that_is_not_there() -> None:
    assert issubclass(errors.UnknownSettingError, AttributeError)


def test_an_end_is_no_exception_that_an_application_would_catch() -> None:
    assert not issubclass(errors.Fatal, Exception)


def test_an_end_says_what_it_is() -> None:
    assert str(errors.Fatal("no database")) == "fatal: no database"


def test_an_end_that_nobody_catches_is_one_line_and_status_1() -> None:
    code = "from kore.errors import Fatal; raise Fatal('no database')"

    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert ended.returncode == 1
    assert ended.stderr == "fatal: no database\n"
