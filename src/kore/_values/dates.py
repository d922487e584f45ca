"""Dates of header fields, RFC 9110 section 5.6.7: formatted in one form, parsed in three."""

import re
import time
from functools import lru_cache
from typing import Final

# Not strftime(), which depends on the locale.
DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)
CLOCK: Final = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
MONTH: Final = rf"(?P<month>{'|'.join(MONTHS)})"
FORMS: Final = tuple(
    re.compile(form, re.ASCII)
    for form in (
        rf"[MTWFS][a-z]{{2}}, (?P<day>\d\d) {MONTH} (?P<year>\d{{4}}) {CLOCK} GMT",
        rf"[MTWFS][a-z]{{5,8}}, (?P<day>\d\d)-{MONTH}-(?P<year>\d\d) {CLOCK} GMT",
        rf"[MTWFS][a-z]{{2}} {MONTH} (?P<day>[ \d]\d) {CLOCK} (?P<year>\d{{4}})",
    )
)
DATE_SIZE_MAX: Final = len("Wednesday, 06-Nov-94 08:49:37 GMT")
# A year of two digits that would be more years ahead belongs to the century before: RFC 9110.
YEARS_AHEAD: Final = 50


@lru_cache(512)
def format_http_date(second: int) -> str:
    """Return a Unix time as IMF-fixdate; "" if its year does not have four digits."""
    try:
        at = time.gmtime(second)
    except (OverflowError, OSError, ValueError):
        return ""
    if not 1000 <= at.tm_year <= 9999:
        return ""
    day = f"{DAYS[at.tm_wday]}, {at.tm_mday:02} {MONTHS[at.tm_mon - 1]} {at.tm_year}"
    return f"{day} {at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02} GMT"


def parse_http_date(text: str) -> int | None:
    """Return the Unix time of a date; None if the text is not a date, and is to be ignored."""
    # Clients choose the text: longer ones would only fill the cache.
    return _parse_date(text) if len(text) <= DATE_SIZE_MAX else None


@lru_cache(512)
def _parse_date(text: str) -> int | None:
    """Parse a date, or return None."""
    for form in FORMS:
        if found := form.fullmatch(text):
            return _to_timestamp(found)
    return None


def _to_timestamp(found: re.Match[str]) -> int | None:
    """Return the Unix time of a date in one of the three forms; None if there is no such day."""
    # Not at the top: the parent uses only MONTHS.
    from datetime import UTC, datetime

    day, hour, minute, second = (int(found[of]) for of in ("day", "hour", "minute", "second"))
    year, month = _expand_year(found["year"]), MONTHS.index(found["month"]) + 1
    try:
        at = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return int(at.timestamp())


def _expand_year(digits: str) -> int:
    """Return a year of four or two digits as a number."""
    if len(digits) > 2:
        return int(digits)
    now = time.gmtime().tm_year
    year = now - now % 100 + int(digits)
    return year - 100 if year > now + YEARS_AHEAD else year
