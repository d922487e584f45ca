"""The public names of `kore`, each imported when it is first used."""

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

FUNCTIONS: Final = """
    CONN_PROTO_HTTP CONN_PROTO_UNKNOWN CONN_PROTO_WEBSOCKET
    CONN_STATE_DISCONNECTING CONN_STATE_ESTABLISHED
    LOG_ALERT LOG_CRIT LOG_DEBUG LOG_EMERG LOG_ERR LOG_INFO LOG_NOTICE LOG_WARNING
    MODULE_LOAD MODULE_UNLOAD RESULT_ERROR RESULT_OK RESULT_RETRY TIMER_ONESHOT
    WEBSOCKET_BROADCAST_GLOBAL WEBSOCKET_BROADCAST_LOCAL WEBSOCKET_OP_BINARY WEBSOCKET_OP_TEXT
    app bind bind_unix blocking config dbsetup domain fatal fatalx log prerequest privsep pydomain
    register_database route sendobj sendobj_drained server setname shutdown sigtrap time tracer
    websocket_broadcast worker
"""
METHODS: Final = "DELETE GET HEAD OPTIONS PATCH POST PUT"
# Where each name is, `module:attribute`. The parent imports this package and uses none of them: it
# runs no compiled code of ours, has no event loop, and no use for their memory.
LAZY: Final[Mapping[str, str]] = {
    **{name: f"kore._api.functions:{name}" for name in FUNCTIONS.split()},
    **{
        f"HTTP_METHOD_{name}": f"kore._values.methods:HTTP_METHOD_{name}"
        for name in METHODS.split()
    },
    "Connection": "kore._core.connection:Connection",
    "Request": "kore._core.request:Request",
    "Upload": "kore._http.body.uploaded_file:HttpFile",
    "coroname": "kore._api.tasks:coroname",
    "corotrace": "kore._api.tasks:corotrace",
    "curl": "kore._api.clients:curl",
    "dbexecute": "kore._api.databases:dbexecute",
    "dbpipeline": "kore._api.databases:dbpipeline",
    "dbquery": "kore._api.databases:dbquery",
    "dbstream": "kore._api.databases:dbstream",
    "gather": "kore._aio.gather:Gather",
    "httpclient": "kore._api.clients:httpclient",
    "listen": "kore._api.databases:listen",
    "lock": "kore._aio.lock:Lock",
    "proc": "kore._aio.proc:Process",
    "pyconnection": "kore._core.connection:Connection",
    "pycurlhandle": "kore._httpclient.curl:CurlHandle",
    "pyhttp_file": "kore._http.body.uploaded_file:HttpFile",
    "pyhttp_request": "kore._core.request:Request",
    "pyhttpclient": "kore._httpclient.client:HttpClient",
    "pylock": "kore._aio.lock:Lock",
    "pyproc": "kore._aio.proc:Process",
    "pyqueue": "kore._aio.queue:Queue",
    "pysocket": "kore._aio.socket:Socket",
    "pytimer": "kore._aio.timer:Timer",
    "queue": "kore._aio.queue:Queue",
    "socket_wrap": "kore._aio.socket:socket_wrap",
    "suspend": "kore._aio.sleep:suspend",
    "task_create": "kore._api.tasks:task_create",
    "task_id": "kore._api.tasks:task_id",
    "task_kill": "kore._api.tasks:task_kill",
    "tasks": "kore._api.tasks:tasks",
    "timer": "kore._aio.timer:Timer",
    "transaction": "kore._api.databases:transaction",
}

# How the names of libcurl's options begin: 279 of them, in a module of their own.
OPTION: Final = "CURLOPT_"


def load_name(name: str) -> Any:
    """Return a public name, and keep it as an attribute of the package."""
    if name.startswith(OPTION):
        return _load_option(name)
    if name == "__all__":  # `from kore import *`
        return list_names()
    if name not in LAZY:
        raise AttributeError(f"module 'kore' has no attribute {name!r}{_hint_at(name)}")
    module, _, attribute = LAZY[name].partition(":")
    value = getattr(import_module(module), attribute)
    setattr(sys.modules["kore"], name, value)
    return value


def list_names() -> list[str]:
    """Return every public name, loaded or not."""
    options = vars(import_module("kore._httpclient.curlopts"))
    return sorted(
        {"errors", *LAZY, *(name for name in options if name.startswith(OPTION)), *_own_names()}
    )


def _load_option(name: str) -> int:
    """Return the number of an option of libcurl."""
    number: int | None = getattr(import_module("kore._httpclient.curlopts"), name, None)
    if number is None:
        raise AttributeError(f"module 'kore' has no attribute {name!r}")
    return number


def _own_names() -> set[str]:
    """Return the public attributes that the package has by now."""
    return {name for name in vars(sys.modules["kore"]) if not name.startswith("_")}


def _hint_at(name: str) -> str:
    """Return a suggestion for an unknown name, or nothing."""
    if name.startswith("_"):  # tools ask for names such as __wrapped__
        return ""
    from kore._conf.suggestions import suggest_for_module

    return suggest_for_module(name, [*_own_names(), *LAZY])
