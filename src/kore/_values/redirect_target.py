"""Targets of redirects: a URL with captures of the path (`$1`) and the query (`$qs`).

Clients choose the text of captures. No text makes the target lead to a host that the rule does not
name: an open redirect.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from kore._values.grammar import is_visible_ascii

CAPTURES_MAX: Final = 15  # as in Kore

# Called with the match of a path and the query. Returns None if the captured text is not allowed.
Target = Callable[[re.Match[str], str], str | None]

REFERENCE: Final = re.compile(
    r"""
      (?P<lead> [?&]? ) \$ (?: qs\b | \{qs\} )
    | \$ (?: (?P<dollar> \$ ) | (?P<number> 1[0-5] | [0-9] ) | \{ (?P<braced> [0-9]+ ) \} )
    """,
    re.VERBOSE,
)
ABSOLUTE: Final = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//")
# Without two slashes and a host: browsers take the host from the text behind the colon.
HOSTLESS: Final = re.compile(r"https?:(?!//[^/?#\\])", re.IGNORECASE)
AFTER_HOST: Final = re.compile(r"[/?#]")
IN_HOST: Final = re.compile(r"[A-Za-z0-9.-]*")
# An authority without empty labels: browsers look for the host behind an empty one.
AUTHORITY: Final = re.compile(r"(?:[^@]*@)?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?(?::[0-9]*)?")


@dataclass(frozen=True, slots=True)
class RedirectQuery:
    """The query; *lead*, `?` or `&`, is left out with it."""

    lead: str


@dataclass(frozen=True, slots=True)
class RedirectValue:
    """A capture within the value of a parameter: `?a=$1`."""

    number: int


# Text, the number of a capture, a capture within a value, or the query.
TargetPart = str | int | RedirectValue | RedirectQuery


def compile_target(text: str, groups: int) -> Target:
    """Return a function that builds the target of a match.

    *groups* is the number of groups of the regular expression. Raises ValueError if the text is
    not a URL, or names a group that does not exist.
    """
    if not is_visible_ascii(text):
        hint = "write other characters as %20, and hosts in other scripts as xn--..."
        raise ValueError(f"target {text!r} is not a URL: {hint}")
    if HOSTLESS.match(text):
        raise ValueError(f"target {text!r} is not a URL: behind http: stand two slashes and a host")
    parts = tuple(_split_target(text))
    for part in parts:
        number = part.number if isinstance(part, RedirectValue) else part
        if isinstance(number, int) and not 0 < number <= min(groups, CAPTURES_MAX):
            there_are = f"the regular expression has {groups}, of which {CAPTURES_MAX} can be used"
            raise ValueError(f"target '{text}': there is no capture ${number}: {there_are}")
    if isinstance(parts[0], str) and ABSOLUTE.match(parts[0]):
        return lambda match, query: _build_absolute_target(parts, match, query)
    return lambda match, query: _build_local_target(parts, match, query)


def _split_target(text: str) -> Iterator[TargetPart]:
    """Yield the parts of a target."""
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
    """Return whether the text behind *before* belongs to the value of a parameter."""
    _, _, query = before.partition("?")
    return "=" in query.rpartition("&")[2] and "#" not in before


def _expand_parts(parts: tuple[TargetPart, ...], match: re.Match[str], query: str) -> Iterator[str]:
    """Yield the text of each part. Without a query, its `?` or `&` is left out, too."""
    missing = False
    for part in parts:
        if isinstance(part, RedirectQuery):
            yield part.lead + query if query else ""
        elif isinstance(part, RedirectValue):
            # Literal in a path; in a query they separate parameters and stand for a blank.
            yield (match[part.number] or "").replace("&", "%26").replace("+", "%2B")
        elif isinstance(part, int):
            yield match[part] or ""
        else:
            # `?$qs&a=1` keeps a question mark.
            yield "?" + part[1:] if missing and part.startswith("&") else part
        missing = isinstance(part, RedirectQuery) and part.lead == "?" and not query


def _build_local_target(parts: tuple[TargetPart, ...], match: re.Match[str], query: str) -> str:
    """Return a target on the same host.

    With `/$1` and a capture that begins with a slash, the target would begin with `//` and name a
    host. Browsers treat a backslash like a slash.
    """
    text = "".join(_expand_parts(parts, match, query))
    rooted = not isinstance(parts[0], str) or parts[0].startswith("/")
    if rooted and (not text.startswith("/") or text[1:2] in ("/", "\\")):
        return "/" + text.lstrip("/\\")
    return text


def _build_absolute_target(
    parts: tuple[TargetPart, ...], match: re.Match[str], query: str
) -> str | None:
    """Return a target with a host. Captures stand in the host name or in the path behind it."""
    target, in_host, is_captured = "", True, False
    for at, text in enumerate(_expand_parts(parts, match, query)):
        if in_host and not isinstance(parts[at], str):
            if target.endswith(("/", "@")) or _host_continues(parts[at + 1 :]):
                if not IN_HOST.fullmatch(text):
                    return None
                is_captured = True
            elif text and not AFTER_HOST.match(text):
                # Without the slash, `https://a.test$1` could lead to a.test.evil.test.
                target += "/"
        target += text
        in_host = in_host and not AFTER_HOST.search(target.partition("//")[2])
    authority = AFTER_HOST.split(target.partition("//")[2])[0]
    return None if is_captured and not AUTHORITY.fullmatch(authority) else target


def _host_continues(rest: tuple[TargetPart, ...]) -> bool:
    """Return whether the host name continues behind a capture."""
    return bool(rest) and isinstance(rest[0], str) and not AFTER_HOST.match(rest[0])
