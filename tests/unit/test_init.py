"""The public names that are not functions, and what importing them costs."""

import subprocess
import sys

import pytest

import kore
from kore._api.lazy import LAZY
from kore._httpclient import curlopts as options_of_libcurl

VALUES = """
    LOG_EMERG=0 LOG_ALERT=1 LOG_CRIT=2 LOG_ERR=3 LOG_WARNING=4 LOG_NOTICE=5 LOG_INFO=6 LOG_DEBUG=7
    RESULT_ERROR=0 RESULT_OK=1 RESULT_RETRY=2 MODULE_LOAD=1 MODULE_UNLOAD=2 TIMER_ONESHOT=1
    CONN_PROTO_UNKNOWN=0 CONN_PROTO_HTTP=1 CONN_PROTO_WEBSOCKET=2
    CONN_STATE_ESTABLISHED=2 CONN_STATE_DISCONNECTING=3
    HTTP_METHOD_GET=1 HTTP_METHOD_POST=2 HTTP_METHOD_PUT=4 HTTP_METHOD_DELETE=16
    HTTP_METHOD_HEAD=32 HTTP_METHOD_OPTIONS=64 HTTP_METHOD_PATCH=128
    WEBSOCKET_OP_TEXT=1 WEBSOCKET_OP_BINARY=2
    WEBSOCKET_BROADCAST_LOCAL=1 WEBSOCKET_BROADCAST_GLOBAL=2
"""


@pytest.mark.parametrize("pair", VALUES.split())
def test_constant_has_the_value_of_kore(pair: str) -> None:
    name, value = pair.split("=")

    assert getattr(kore, name) == int(value)


def test_there_are_no_other_constants() -> None:
    constants = {name for name in dir(kore) if name.isupper() and not name.startswith("CURLOPT_")}

    assert constants == {pair.split("=")[0] for pair in VALUES.split()}


@pytest.mark.parametrize("name", ["pyhttp_request", "pyhttp_file", "pyconnection", "pydomain"])
def test_type_names_can_be_used_in_isinstance(name: str) -> None:
    assert isinstance(getattr(kore, name), type)


def test_every_public_name_is_listed() -> None:
    listed = dir(kore)
    assert listed == sorted(set(listed))
    assert {*LAZY, "CURLOPT_TIMEOUT", "CURLOPT_URL", "errors", "config", "route"} <= set(listed)
    assert not [name for name in listed if name.startswith("_")]
    for name in listed:
        assert getattr(kore, name) is not None, name
    options = {name for name in vars(options_of_libcurl) if name.startswith("CURLOPT_")}
    assert {name for name in listed if name.startswith("CURLOPT_")} == options


def test_star_import_has_every_public_name() -> None:
    found: dict[str, object] = {}
    exec("from kore import *", found)
    assert set(dir(kore)) == found.keys() - {"__builtins__"}


def test_importing_the_package_imports_no_asyncio() -> None:
    code = "import kore, sys; print('asyncio' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)

    assert done.stdout == b"False\n"
