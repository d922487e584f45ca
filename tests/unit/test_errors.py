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


def test_unknown_setting_error_is_an_attribute_error() -> None:
    assert issubclass(errors.UnknownSettingError, AttributeError)


def test_fatal_is_not_an_exception() -> None:
    assert not issubclass(errors.Fatal, Exception)


def test_fatal_has_its_reason() -> None:
    assert str(errors.Fatal("no database")) == "fatal: no database"


def test_uncaught_fatal_is_one_line_and_status_1() -> None:
    code = "from kore.errors import Fatal; raise Fatal('no database')"

    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert ended.returncode == 1
    assert ended.stderr == "fatal: no database\n"
