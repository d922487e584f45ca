"""Problems are collected, put in the order of the files, and told as one error."""

import pytest

from kore._conf.diagnostics import Diagnostics
from kore.errors import ConfigError


def told(problems: Diagnostics) -> str:
    with pytest.raises(ConfigError) as raised:
        problems.raise_if_any()
    return str(raised.value)


def test_nothing_is_raised_without_errors() -> None:
    Diagnostics().raise_if_any()


def test_one_error_is_raised_as_its_message() -> None:
    problems = Diagnostics()
    with problems.collect_errors("kore.conf:3", "route '/'"):
        raise ConfigError("no handler")

    assert told(problems) == "kore.conf:3: route '/': no handler"


def test_several_errors_are_sorted_by_line() -> None:
    problems = Diagnostics()
    for where in ("kore.conf:10", "", "more.conf:1", "kore.conf:9"):
        problems.add(where, "wrong")

    assert told(problems) == (
        "4 errors in the configuration:\n"
        "kore.conf:9: wrong\nkore.conf:10: wrong\nmore.conf:1: wrong\nwrong"
    )


def test_a_repeated_error_is_kept_once() -> None:
    problems = Diagnostics()
    problems.add("kore.conf:1", "wrong")
    problems.add("kore.conf:1", "wrong")

    assert told(problems) == "kore.conf:1: wrong"


def test_other_exceptions_are_not_collected() -> None:
    with pytest.raises(ZeroDivisionError), Diagnostics().collect_errors():
        raise ZeroDivisionError
