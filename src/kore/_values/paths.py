"""Paths of routes in the normal form of request paths.

The core normalizes the path of each request (`normalize_path` in `_core/grammar.pyx`). Configured
paths and regular expressions are normalized the same way. Those that no request could match are
refused, and the error shows the spelling that works.
"""

import re
from typing import Final
from urllib.parse import quote, unquote_to_bytes

# Not escaped beside letters, digits and `-._~`: as in the URL standard.
UNESCAPED: Final = "/!$&'()*+,;=:@[]|"
ESCAPED_SLASH: Final = re.compile("%2[Ff]")

ESCAPE: Final = r"%(?!00)[0-9A-Fa-f]{2}"
# A request target up to its query.
TARGET_PATH: Final = re.compile(rf"(?:[!\"$&->@-\[\]-~]|{ESCAPE})*")
# RFC 3986 section 6.2.2.2: no client has a reason to escape these.
UNRESERVED_ESCAPE: Final = re.compile(
    r"%(?:2[DdEe]|3[0-9]|[46][1-9A-Fa-f]|[57][0-9Aa]|5[Ff]|7[Ee])"
)
# The parts of a regular expression. Starts of groups, repetitions, bracket expressions, and escapes
# like `\d` are kept as they are.
PIECES: Final = re.compile(
    rf"\\?(?P<escape>{ESCAPE})|(?P<impossible>\\?[^!-~]|#)|(?P<escaped>\\[\"<>^`{{}}]|[\"<>`])"
    r"|\(\?#[^)]*\)|\(\?(?:P<\w+>|P=\w+\)|<[=!]|>)|\{(?:[0-9]+(?:,[0-9]*)?|,[0-9]*)\}|(?P<brace>[{}])"
    r"|\\.|\[\^?\]?(?:\\.|\[:\w+:\]|[^\]])*\]",
    re.DOTALL,
)
# Comments, escaped characters, bracket expressions, single characters.
TOKENS: Final = re.compile(r"\(\?#[^)]*\)|\\.|\[\^?\]?(?:\\.|\[:\w+:\]|[^\]])*\]|.", re.DOTALL)
# A repetition that matches zero times, too, behind a token.
OPTIONAL: Final = re.compile(r"[?*]|\{0*[,}]")
VERBOSE: Final = re.compile(r"\(\?[aimsuL]*x")


def normalize_path(path: str) -> str:
    """Return the normal form of a path in which each percent sign begins an escape."""
    return "%2F".join(
        quote(unquote_to_bytes(piece), UNESCAPED) for piece in ESCAPED_SLASH.split(path)
    )


def normalize_literal(path: str) -> str:
    """Return the normal form of a literal path.

    Raises ValueError if no request has such a path.
    """
    if TARGET_PATH.fullmatch(path) and not UNRESERVED_ESCAPE.search(path):
        return normalize_path(path)
    query = "; the query is not part of the path" if "?" in path else ""
    raise ValueError(f"no request has this path, write '{_suggest_path(path)}'{query}")


def _suggest_path(path: str) -> str:
    """Return a path that requests can have and that is close to *path*."""
    text = re.sub(r"%(?![0-9A-Fa-f]{2})|%(?=00)", "%25", path)
    return normalize_path(quote(text, UNESCAPED + "%"))


def normalize_regex(text: str) -> str:
    """Return a regular expression with its literal characters in normal form.

    Raises ValueError if it needs a character that no path has, such as a blank outside of a verbose
    expression.
    """
    if found := _find_needed(text):
        query = "; the query is not part of the path" if found == "?" else ""
        raise ValueError(f"no request has {found!r} in its path, write {quote(found)}{query}")
    is_verbose = VERBOSE.search(text) is not None
    return PIECES.sub(lambda found: _normalize_piece(found, is_verbose=is_verbose), text)


def _find_needed(text: str) -> str | None:
    """Return `?` or a backslash if every match of a regular expression has one, else None."""
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
    """Return a part of a regular expression in normal form."""
    if found["escape"]:
        return re.escape(normalize_path(found["escape"]))
    if found["impossible"] and not is_verbose:
        character = found["impossible"][-1]
        raise ValueError(f"no request has {character!r} in its path, write {quote(character)}")
    if escaped := found["escaped"] or found["brace"]:
        return f"(?:{quote(escaped[-1])})"
    return found[0]
