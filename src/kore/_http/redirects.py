"""Where a redirect leads: a target with captures of the path (`$1`), and the query (`$qs`).

Clients choose what is captured. What they choose leads to no other host than the target names.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from kore._dataclass import dataclass

CAPTURES_MAX: Final = 15  # as in Kore

# From the path that matched, and the query. None: what was captured cannot stand there.
Target = Callable[[re.Match[str], str], str | None]

REFERENCE: Final = re.compile(
    r"""
      (?P<lead> [?&]? ) \$ (?: qs\b | \{qs\} )
    | \$ (?: (?P<dollar> \$ ) | (?P<number> 1[0-5] | [0-9] ) | \{ (?P<braced> [0-9]+ ) \} )
    """,
    re.VERBOSE,
)
PRINTABLE: Final = re.compile(r"[!-~]+")
ABSOLUTE: Final = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//")
# Browsers take the host from whatever follows.
HOSTLESS: Final = re.compile(r"https?:(?!//[^/?#\\])", re.IGNORECASE)
AFTER_HOST: Final = re.compile(r"[/?#]")
IN_HOST: Final = re.compile(r"[A-Za-z0-9.-]*")
# An authority whose name has no empty part: browsers look for the host behind an empty one.
AUTHORITY: Final = re.compile(r"(?:[^@]*@)?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?(?::[0-9]*)?")


@dataclass(frozen=True, slots=True)
class RedirectQuery:
    """The place of the query; *lead* goes with it."""

    lead: str


@dataclass(frozen=True, slots=True)
class RedirectValue:
    """The place of a capture that is a parameter's value, or a part of one: `?a=$1`."""

    number: int


# Text, the number of a capture, or the query.
Piece = str | int | RedirectValue | RedirectQuery


def target(text: str, groups: int) -> Target:
    """Return what makes the target of a match, or raise ValueError with the reason against it.

    *groups* is how many the regular expression has.
    """
    if not PRINTABLE.fullmatch(text):
        hint = "write other characters as %20, and hosts in other scripts as xn--..."
        raise ValueError(f"target {text!r} is no URL: {hint}")
    if HOSTLESS.match(text):
        raise ValueError(f"target {text!r} is no URL: behind http: stand two slashes and a host")
    found = tuple(pieces(text))
    for piece in found:
        number = piece.number if isinstance(piece, RedirectValue) else piece
        if isinstance(number, int) and not 0 < number <= min(groups, CAPTURES_MAX):
            there_are = f"the regular expression has {groups}, of which {CAPTURES_MAX} can be used"
            raise ValueError(f"target '{text}': there is no capture ${number}: {there_are}")
    if isinstance(found[0], str) and ABSOLUTE.match(found[0]):
        return lambda match, query: elsewhere(found, match, query)
    return lambda match, query: here(found, match, query)


def pieces(text: str) -> Iterator[Piece]:
    """Yield what a target consists of."""
    literal, at = "", 0
    for found in REFERENCE.finditer(text):
        literal += text[at : found.start()]
        at = found.end()
        if found["dollar"]:
            literal += "$"
            continue
        if literal:
            yield literal
        literal = ""
        digits = found["number"] or found["braced"]
        if not digits:
            yield RedirectQuery(found["lead"])
        else:
            yield RedirectValue(int(digits)) if _is_value(text[:at]) else int(digits)
    if literal or text[at:]:
        yield literal + text[at:]


def _is_value(before: str) -> bool:
    """Return whether what follows in a target belongs to the value of a parameter."""
    _, _, query = before.partition("?")
    return "=" in query.rpartition("&")[2] and "#" not in before


def values(found: tuple[Piece, ...], match: re.Match[str], query: str) -> Iterator[str]:
    """Yield the text of each piece. Without a query, what leads it is left out, too."""
    missing = False
    for piece in found:
        if isinstance(piece, RedirectQuery):
            yield piece.lead + query if query else ""
        elif isinstance(piece, RedirectValue):
            # In a path these stand for themselves; in a query they would begin another parameter,
            # or a blank.
            yield (match[piece.number] or "").replace("&", "%26").replace("+", "%2B")
        elif isinstance(piece, int):
            yield match[piece] or ""
        else:
            # `?$qs&a=1` keeps a question mark.
            yield "?" + piece[1:] if missing and piece.startswith("&") else piece
        missing = isinstance(piece, RedirectQuery) and piece.lead == "?" and not query


def here(found: tuple[Piece, ...], match: re.Match[str], query: str) -> str:
    """Return a target on this host.

    A capture that begins with a slash would make a host of `/$1`, and browsers take a backslash
    for a slash.
    """
    text = "".join(values(found, match, query))
    rooted = not isinstance(found[0], str) or found[0].startswith("/")
    if rooted and (not text.startswith("/") or text[1:2] in ("/", "\\")):
        return "/" + text.lstrip("/\\")
    return text


def elsewhere(found: tuple[Piece, ...], match: re.Match[str], query: str) -> str | None:
    """Return a target with a host: a capture is a part of its name, or the path behind it."""
    made, in_host, chosen = "", True, False
    for at, text in enumerate(values(found, match, query)):
        if in_host and not isinstance(found[at], str):
            if made.endswith(("/", "@")) or names_on(found[at + 1 :]):
                if not IN_HOST.fullmatch(text):
                    return None
                chosen = True
            elif text and not AFTER_HOST.match(text):
                # Or `https://a.test$1` could lead to a.test.evil.test.
                made += "/"
        made += text
        in_host = in_host and not AFTER_HOST.search(made.partition("//")[2])
    authority = AFTER_HOST.split(made.partition("//")[2])[0]
    return None if chosen and not AUTHORITY.fullmatch(authority) else made


def names_on(rest: tuple[Piece, ...]) -> bool:
    """Return whether the host's name goes on behind a capture."""
    return bool(rest) and isinstance(rest[0], str) and not AFTER_HOST.match(rest[0])


def redirect_to_directory(request: Any) -> None:
    """Send a client to where a directory is, with a slash at its end.

    To the same host: names are never empty, so that the path cannot begin with two slashes.
    """
    query = request.query_string
    request.response_header("location", request.path + "/" + (f"?{query}" if query else ""))
    request.response(301, b"")
