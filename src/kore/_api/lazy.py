"""Public names that are loaded when somebody asks for them."""

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

from kore._conf.foreign import module_hint

# Loaded when asked for. The parent imports this package too: it may be root, and runs no compiled
# code of ours; it has no event loop, and no use for 7 MB of asyncio.
LAZY: Final[Mapping[str, str]] = {
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


def loaded(name: str) -> Any:
    """Return one of the public names that are loaded when asked for, and keep it."""
    if name.startswith(OPTION):
        return option(name)
    if name == "__all__":  # `from kore import *`
        return public_names()
    if name not in LAZY:
        # Tools ask for names such as __wrapped__.
        known = [*vars(sys.modules["kore"]), *LAZY]
        hint = "" if name.startswith("_") else module_hint(name, known)
        raise AttributeError(f"module 'kore' has no attribute {name!r}{hint}")
    module, _, attribute = LAZY[name].partition(":")
    value = getattr(import_module(module), attribute)
    setattr(sys.modules["kore"], name, value)
    return value


def public_names() -> list[str]:
    """Return every public name, of what is loaded and of what is not yet."""
    loaded_now = vars(sys.modules["kore"])
    options = vars(import_module("kore._httpclient.curlopts"))
    names = {name for name in loaded_now if not name.startswith("_")}
    return sorted({*names, *LAZY, *(name for name in options if name.startswith(OPTION))})


def option(name: str) -> int:
    """Return the number of an option of libcurl."""
    number: int | None = getattr(import_module("kore._httpclient.curlopts"), name, None)
    if number is None:
        raise AttributeError(f"module 'kore' has no attribute {name!r}")
    return number
