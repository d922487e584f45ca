"""Paths of routes, compared with the normal form of a request's path.

Requests have one spelling for each path (`normalize_path` in `_core/grammar.pyx`). What is
configured gets the same one; what no request can have is refused, with the spelling that works.
"""

import re
from typing import Final
from urllib.parse import quote, unquote_to_bytes

# What stands for itself, beside letters, digits and `-._~`: as the URL standard has it.
PLAIN: Final = "/!$&'()*+,;=:@[]|"
SLASH: Final = re.compile("%2[Ff]")

ESCAPE: Final = r"%(?!00)[0-9A-Fa-f]{2}"
# What can stand in a request target before its query.
POSSIBLE: Final = re.compile(rf"(?:[!\"$&->@-\[\]-~]|{ESCAPE})*")
# RFC 3986 section 6.2.2.2: no client has a reason to escape these.
UNRESERVED: Final = re.compile(r"%(?:2[DdEe]|3[0-9]|[46][1-9A-Fa-f]|[57][0-9Aa]|5[Ff]|7[Ee])")
# A regular expression piece by piece. What begins a group, repeats, or stands in brackets stays as
# it is, and so does what is escaped and means no character of its own.
PIECES: Final = re.compile(
    rf"\\?(?P<escape>{ESCAPE})|(?P<impossible>\\?[^!-~]|#)|(?P<escaped>\\[\"<>^`{{}}]|[\"<>`])"
    r"|\(\?#[^)]*\)|\(\?(?:P<\w+>|P=\w+\)|<[=!]|>)|\{(?:[0-9]+(?:,[0-9]*)?|,[0-9]*)\}|(?P<brace>[{}])"
    r"|\\.|\[\^?\]?(?:\\.|\[:\w+:\]|[^\]])*\]",
    re.DOTALL,
)
# Comments, escaped characters, bracket expressions, single characters.
TOKENS: Final = re.compile(
    r"\(\?#[^)]*\)|\\.|\[\^?\]?(?:\\.|\[:\w+:\]|[^\]])*\]|.", re.DOTALL
)
# Repetitions that may be none, behind a token.
OPTIONAL: Final = re.compile(r"[?*]|\{0*[,}]")
VERBOSE: Final = re.compile(r"\(\?[aimsuL]*x")


def normalize_path(path: str) -> str:
    """Return the one spelling of a path, all of whose percent signs begin escapes."""
    return "%2F".join(quote(unquote_to_bytes(piece), PLAIN) for piece in SLASH.split(path))


def normalize_literal(path: str) -> str:
    """Return the normal form of a literal path.

    Raises ValueError if no request has such a path.
    """
    if POSSIBLE.fullmatch(path) and not UNRESERVED.search(path):
        return normalize_path(path)
    query = "; the query is no part of the path" if "?" in path else ""
    raise ValueError(f"no request has this path, write '{_suggest_path(path)}'{query}")


def _suggest_path(path: str) -> str:
    """Return a path that requests can have, close to *path*."""
    text = re.sub(r"%(?![0-9A-Fa-f]{2})|%(?=00)", "%25", path)
    return normalize_path(quote(text, PLAIN + "%"))


def normalize_regex(text: str) -> str:
    """Return a regular expression whose characters are spelled as in the normal form.

    Raises ValueError if it has one that stands in no path, such as a blank outside of a verbose
    expression.
    """
    if found := _find_needed(text):
        query = "; the query is no part of the path" if found == "?" else ""
        raise ValueError(f"no request has {found!r} in its path, write {quote(found)}{query}")
    is_verbose = VERBOSE.search(text) is not None
    return PIECES.sub(lambda found: _normalize_piece(found, is_verbose=is_verbose), text)


def _find_needed(text: str) -> str | None:
    """Return `?` or a backslash that a regular expression cannot match without; None: neither."""
    depth, needed = 0, None
    for found in TOKENS.finditer(text):
        piece = found[0]
        depth += (piece == "(") - (piece == ")")
        if depth == 0 and piece == "|":
            return None
        if depth == 0 and piece in (r"\?", r"\\") and not OPTIONAL.match(text, found.end()):
            needed = needed or piece[1]
    return needed


def _normalize_piece(found: re.Match[str], *, is_verbose: bool) -> str:
    """Return a piece of a regular expression in the spelling of requests."""
    if found["escape"]:
        return re.escape(normalize_path(found["escape"]))
    if found["impossible"] and not is_verbose:
        character = found["impossible"][-1]
        raise ValueError(f"no request has {character!r} in its path, write {quote(character)}")
    if escaped := found["escaped"] or found["brace"]:
        return f"(?:{quote(escaped[-1])})"
    return found[0]
