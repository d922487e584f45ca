"""Hints for names that other frameworks have, and for misspelled ones of ours."""

from collections.abc import Mapping
from typing import Any, Final

from kore._conf.suggestions import meant

OURS: Final = "kore."
METHODS: Final = ("get", "post", "put", "patch", "delete", "head", "options")
RUN: Final = "the command `kore app.py` serves the functions that @kore.route() decorates"
# What to write in place of names of a module.
OF_MODULE: Final[Mapping[str, str]] = {
    **{name: f'write @kore.route("/", methods=["{name}"])' for name in METHODS},
    **dict.fromkeys(("run", "serve", "Kore", "App", "Application", "FastAPI", "Flask"), RUN),
    **dict.fromkeys(
        ("Response", "jsonify", "json", "JSONResponse", "abort"),
        "a handler writes req.response(200, body); json.dumps() makes JSON",
    ),
    "before_request": "write @kore.prerequest",
    "middleware": "write @kore.prerequest",
    "websocket": "a handler writes req.websocket_handshake(onconnect, onmsg, ondisconnect)",
    "static": "write filemap() of the domain",
    "sleep": "write await kore.suspend(milliseconds)",
}
# And of a request.
ANSWER: Final = "write req.response(200, body)"
OF_REQUEST: Final[Mapping[str, str]] = {
    **dict.fromkeys(("respond", "send", "write", "reply", "end", "render"), ANSWER),
    **dict.fromkeys(("json", "get_json"), "write json.loads(req.body)"),
    **dict.fromkeys(
        ("args", "query_params", "query", "params", "GET"),
        "write req.populate_get() and req.argument(name), with get={name: pattern} in the route",
    ),
    **dict.fromkeys(
        ("form", "POST"),
        "write req.populate_post() and req.argument(name), with post={name: pattern} in the route",
    ),
    "files": "write req.populate_multi() and req.file_lookup(name)",
    "cookies": "write req.populate_cookies() and req.cookie(name)",
    "header": "write req.request_header(name)",
    "url": "it has host, path and query_string",
    "remote_addr": "write req.connection.addr",
    "client": "write req.connection.addr",
    "data": "write req.body",
    "text": "write req.body.decode()",
    "session": "there are no sessions: keep a number in a cookie",
    "redirect": 'write req.response_header("location", url) and req.response(302)',
    "status": ANSWER,
    "status_code": ANSWER,
}

# What to write in place of calls, by the end of what Python says of them.
OF_CALLS: Final[Mapping[str, str]] = {
    "route() missing 1 required positional argument: 'handler'": (
        'write @kore.route(path, domain="*") above the handler, or domain.route(path, handler)'
    ),
    "response() got an unexpected keyword argument 'headers'": (
        "write req.response_header(name, value) before it"
    ),
    "server() got an unexpected keyword argument 'host'": "write ip=",
}


def module_hint(name: str, known: list[str]) -> str:
    """Return the end of a message: what to write in place of `kore.NAME`, or nothing."""
    said = OF_MODULE.get(name)
    return f": {said}" if said else meant(name, known)


def error_hint(error: BaseException) -> str:
    """Return a line on what to write in place of what raised *error*, or nothing."""
    if isinstance(error, TypeError):
        hints = [hint for end, hint in OF_CALLS.items() if str(error).endswith(end)]
        return "".join(f"{hint}\n" for hint in hints)
    return _attribute_hint(error)


def _attribute_hint(error: BaseException) -> str:
    """Return a line on what to write in place of an attribute that an object of ours lacks."""
    owner: Any = getattr(error, "obj", None)
    name = getattr(error, "name", None)
    kind = type(owner)
    if not isinstance(error, AttributeError) or not isinstance(name, str):
        return ""
    if owner is None or not kind.__module__.startswith(OURS):
        return ""
    said = OF_REQUEST.get(name) if kind.__name__ == "Request" else None
    guess = meant(name, [known for known in dir(owner) if not known.startswith("_")])
    hint = said or guess.strip(" ()")
    return f"{name}: {hint}\n" if hint else ""
