import json
import re

import pytest

from kore._core import accesslog as core
from kore._values.accesslog_format import CONSTANTS, FORMATS, VARIABLES, compile_format


def test_a_format_is_text_and_variables() -> None:
    form = compile_format('$remote_addr "${http_X_Real_IP}" $$status.')

    assert form.parts == (
        ("remote_addr", ""),
        (None, ' "'),
        ("http", "x-real-ip"),
        (None, '" $'),
        ("status", ""),
        (None, "."),
    )
    assert not form.json


@pytest.mark.parametrize("name", FORMATS)
def test_the_named_formats_are_formats(name: str) -> None:
    assert compile_format(name) == compile_format(FORMATS[name])


def test_the_core_knows_every_variable() -> None:
    assert set(core.VARIABLES) == set(VARIABLES)


def test_constants_become_escaped_text() -> None:
    form = compile_format('$server_name "$pid" $status')

    filled = form.fill_constants({"server_name": 'a"b\n', "pid": "7"})

    assert b"".join(text for _, text in filled) == b'a\\x22b\\x0A "7" '
    assert [variable for variable, _ in filled if variable] == ["status"]
    assert compile_format('{"a":"$server_name"}').fill_constants({"server_name": 'ü"'})[1] == (
        None,
        b"\\u00C3\\u00BC\\u0022",
    )


def test_a_format_that_begins_with_a_brace_is_json() -> None:
    assert compile_format('{"status":$status,"agent":"$http_user_agent"}').json


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("common", "'common' is neither combined nor json, and has no variable"),
        ("", "'' is neither combined nor json"),
        ("$status $nothing", "unknown variable $nothing: there are $remote_addr"),
        ("$http_", "unknown variable $http_"),
        ("${}", "unknown variable $: there are"),
        ("$status\n$host", "a format is one line"),
        ('{"agent":$http_user_agent}', "lines of this format are not JSON"),
        ('{"status":$status', "lines of this format are not JSON"),
        (" ".join(f"$http_a{number}" for number in range(17)), "more than 16 header fields"),
    ],
)
def test_an_invalid_format_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)):
        compile_format(text)


def test_the_json_format_has_named_values() -> None:
    names = json.loads(re.sub(r"(?<=:)\$\w+", "0", FORMATS["json"]))

    assert {"time", "remote_addr", "status", "user_agent", "request_time"} <= names.keys()


def test_constants_are_no_variables_of_the_core() -> None:
    assert not CONSTANTS.keys() & core.VARIABLES.keys()
