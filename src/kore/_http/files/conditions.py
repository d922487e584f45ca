"""Preconditions of requests for files: RFC 9110 section 13."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from kore._values.dates import parse_http_date

SEND: Final = 0
NOT_MODIFIED: Final = 304
FAILED: Final = 412

TAG: Final = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')
TAGS: Final = re.compile(rf"[ \t,]*(?:{TAG.pattern}[ \t]*(?:,[ \t,]*|$))*")


@dataclass(frozen=True, slots=True)
class FileVersion:
    """The validators of the current version of a file."""

    # Strong, with its quotes.
    etag: str
    # Unix time of the last change.
    modified: int
    # Whether no other version can have the same time.
    settled: bool = True


# Returns the values of a field; none if it was not sent.
GetFields = Callable[[str], Sequence[str]]


def check_preconditions(get_fields: GetFields, version: FileVersion) -> int:
    """Return SEND, NOT_MODIFIED or FAILED for a GET or HEAD, in the order of section 13.2.2."""
    etag, modified = version.etag, version.modified
    if match := ", ".join(get_fields("if-match")):
        # Strong comparison: a weak tag never matches.
        if match.strip() != "*" and etag not in _parse_tags(match, weak=False):
            return FAILED
    elif (limit := _parse_date(get_fields("if-unmodified-since"))) is not None and modified > limit:
        return FAILED
    if none := ", ".join(get_fields("if-none-match")):
        known = none.strip() == "*" or etag in _parse_tags(none, weak=True)
        return NOT_MODIFIED if known else SEND
    since = _parse_date(get_fields("if-modified-since"))
    return NOT_MODIFIED if version.settled and since is not None and modified <= since else SEND


def can_use_range(get_fields: GetFields, version: FileVersion) -> bool:
    """Return whether a Range field applies: If-Range, if sent, must match this version exactly."""
    values = get_fields("if-range")
    if not values:
        return True
    if len(values) > 1:
        return False
    if values[0] == version.etag:
        return True
    return version.settled and parse_http_date(values[0]) == version.modified


def _parse_tags(text: str, *, weak: bool) -> list[str]:
    """Return the tags of a list, without the prefix of weak ones; none if it is malformed."""
    if not TAGS.fullmatch(text):
        return []
    return [tag for mark, tag in TAG.findall(text) if weak or not mark]


def _parse_date(values: Sequence[str]) -> int | None:
    """Return the Unix time in a field; None if it is missing, repeated or malformed."""
    return parse_http_date(values[0]) if len(values) == 1 else None
