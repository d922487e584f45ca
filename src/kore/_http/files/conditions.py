"""Preconditions: RFC 9110 section 13. Values in, a verdict out."""

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
    """What a client may know of the file that there is."""

    # Strong, and in its quotes.
    etag: str
    # The second of the last change.
    modified: int
    # Whether no other version can have that second, too.
    settled: bool = True


# Returns the values of a field, none when it was not sent.
GetFields = Callable[[str], Sequence[str]]


def check_preconditions(ask: GetFields, version: FileVersion) -> int:
    """Say what follows from the preconditions of a GET or HEAD, in the order of section 13.2.2."""
    etag, modified = version.etag, version.modified
    if match := ", ".join(ask("if-match")):
        # Strong comparison: a weak tag never fits.
        if match.strip() != "*" and etag not in _parse_tags(match, weak=False):
            return FAILED
    elif (limit := _parse_date(ask("if-unmodified-since"))) is not None and modified > limit:
        return FAILED
    if none := ", ".join(ask("if-none-match")):
        known = none.strip() == "*" or etag in _parse_tags(none, weak=True)
        return NOT_MODIFIED if known else SEND
    since = _parse_date(ask("if-modified-since"))
    return NOT_MODIFIED if version.settled and since is not None and modified <= since else SEND


def can_use_range(ask: GetFields, version: FileVersion) -> bool:
    """Say whether a Range field counts: If-Range wants exactly the file that the client knows."""
    values = ask("if-range")
    if not values:
        return True
    if len(values) > 1:
        return False
    if values[0] == version.etag:
        return True
    return version.settled and parse_http_date(values[0]) == version.modified


def _parse_tags(text: str, *, weak: bool) -> list[str]:
    """Return the tags of a list, without what makes one weak; none of a list that is broken."""
    if not TAGS.fullmatch(text):
        return []
    return [tag for mark, tag in TAG.findall(text) if weak or not mark]


def _parse_date(values: Sequence[str]) -> int | None:
    """Return the second a field names; None when it is missing, or is to be ignored."""
    return parse_http_date(values[0]) if len(values) == 1 else None
