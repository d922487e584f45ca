"""Hints for mistakes: misspelled names, names and captures as other frameworks have them."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import unquote

# The least likeness of a suggestion, from 0 to 1. A common prefix brings the likeness nearer to 1,
# by PREFIX_BONUS for each letter and for PREFIX_MAX letters at most (Winkler).
LIKENESS_MIN: Final = 0.6
PREFIX_BONUS: Final = 0.1
PREFIX_MAX: Final = 4
# A captured part of a path, as other frameworks write it.
FOREIGN_CAPTURE: Final = re.compile(r"\{[A-Za-z_][^{}/]*\}|<[A-Za-z_][^<>/]*>")
# A group of a regular expression in a literal path: `/u/([0-9]+)`.
LITERAL_GROUP: Final = re.compile(r"\([^()]*(?:[\[\\]|\.[*+?])[^()]*\)")
NAMED_GROUP: Final = re.compile(r"\(\?P<[^>]*>|\(\?P=[^)]*\)")

PACKAGE_PREFIX: Final = "kore."
METHOD_NAMES: Final = ("get", "post", "put", "patch", "delete", "head", "options")
RUN_HINT: Final = "the command `kore app.py` serves the functions that @kore.route() decorates"
# What to write in place of `kore.NAME`.
MODULE_HINTS: Final[Mapping[str, str]] = {
    **{name: f'write @kore.route("/", methods=["{name}"])' for name in METHOD_NAMES},
    **dict.fromkeys(("run", "serve", "Kore", "App", "Application", "FastAPI", "Flask"), RUN_HINT),
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
# What to write in place of an attribute of a request.
RESPONSE_HINT: Final = "write req.response(200, body)"
REQUEST_HINTS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("respond", "send", "write", "reply", "end", "render"), RESPONSE_HINT),
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
    "status": RESPONSE_HINT,
    "status_code": RESPONSE_HINT,
}

# What to write in place of a call, by the end of the message of Python's TypeError.
CALL_HINTS: Final[Mapping[str, str]] = {
    "route() missing 1 required positional argument: 'handler'": (
        'write @kore.route(path, domain="*") above the handler, or domain.route(path, handler)'
    ),
    "response() got an unexpected keyword argument 'headers'": (
        "write req.response_header(name, value) before it"
    ),
    "server() got an unexpected keyword argument 'host'": "write ip=",
}


# Misspelled names


def suggest_name(name: str, known: Iterable[str]) -> str:
    """Return ` (did you mean 'NAME'?)` with the most similar of *known*; "" if none is similar."""
    found = [(_compute_likeness(name, other), other) for other in known]
    close = max((pair for pair in found if pair[0]), default=None)
    return f" (did you mean '{close[1]}'?)" if close else ""


def find_foreign_capture(path: str) -> tuple[str, str] | None:
    """Return a part of a path that looks like a capture, and the path with groups; None if none."""
    literal = path.startswith("/")
    plain = unquote(path) if literal else NAMED_GROUP.sub("(", path)
    found = FOREIGN_CAPTURE.search(plain)
    group = LITERAL_GROUP.search(plain) if literal else None
    if found is None and group is not None:
        return group[0], f"^{plain.removesuffix('$')}$"
    if found is None:
        return None
    inner = FOREIGN_CAPTURE.sub("([^/]+)", plain).removeprefix("^").removesuffix("$")
    return found[0], f"^{inner}$"


def _compute_likeness(name: str, other: str) -> float:
    """Return the likeness of two names, up to 1; 0 if they are not similar."""
    from difflib import SequenceMatcher  # only for mistakes

    ratio = SequenceMatcher(None, other, name).ratio()
    if ratio < LIKENESS_MIN:
        return 0
    return ratio + PREFIX_BONUS * _count_common_prefix(name, other) * (1 - ratio)


def _count_common_prefix(name: str, other: str) -> int:
    """Return the length of the common prefix, PREFIX_MAX at most."""
    pairs = list(zip(name[:PREFIX_MAX], other[:PREFIX_MAX], strict=False))
    return next((i for i, (a, b) in enumerate(pairs) if a != b), len(pairs))


# Names of other frameworks


def suggest_for_module(name: str, known: list[str]) -> str:
    """Return the end of a message that `kore.NAME` does not exist; "" without a hint."""
    hint = MODULE_HINTS.get(name)
    return f": {hint}" if hint else suggest_name(name, known)


def suggest_for_error(error: BaseException) -> str:
    """Return a line with what to write in place of the call that failed; "" without a hint."""
    if isinstance(error, TypeError):
        hints = [hint for end, hint in CALL_HINTS.items() if str(error).endswith(end)]
        return "".join(f"{hint}\n" for hint in hints)
    return _suggest_for_attribute(error)


def _suggest_for_attribute(error: BaseException) -> str:
    """Return a line with what to write in place of an attribute that an object of kore lacks."""
    owner: Any = getattr(error, "obj", None)
    name = getattr(error, "name", None)
    kind = type(owner)
    if not isinstance(error, AttributeError) or not isinstance(name, str):
        return ""
    if owner is None or not kind.__module__.startswith(PACKAGE_PREFIX):
        return ""
    request_hint = REQUEST_HINTS.get(name) if kind.__name__ == "Request" else None
    suggestion = suggest_name(name, [known for known in dir(owner) if not known.startswith("_")])
    hint = request_hint or suggestion.strip(" ()")
    return f"{name}: {hint}\n" if hint else ""
