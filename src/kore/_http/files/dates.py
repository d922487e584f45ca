"""Dates in fields: RFC 9110 section 5.6.7. Written in one form, read in three."""

import re
import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

# Not strftime(), which asks the locale.
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
LONGEST: Final = len("Wednesday, 06-Nov-94 08:49:37 GMT")
# A year of two digits that seems to be further ahead is of the century before.
YEARS_AHEAD: Final = 50


@lru_cache(512)
def http_date(second: int) -> str:
    """Return a moment as IMF-fixdate; nothing when its year has not four digits."""
    try:
        at = time.gmtime(second)
    except (OverflowError, OSError, ValueError):
        return ""
    if not 1000 <= at.tm_year <= 9999:
        return ""
    day = f"{DAYS[at.tm_wday]}, {at.tm_mday:02} {MONTHS[at.tm_mon - 1]} {at.tm_year}"
    return f"{day} {at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02} GMT"


def parsed(text: str) -> int | None:
    """Return the second a date stands for; None for what is no date, which is to be ignored."""
    # Clients choose the text: what no date is as long as is not worth to be remembered.
    return read(text) if len(text) <= LONGEST else None


@lru_cache(512)
def read(text: str) -> int | None:
    """Return the second of a date, None for what is none."""
    for form in FORMS:
        if found := form.fullmatch(text):
            return second_of(found)
    return None


def second_of(found: re.Match[str]) -> int | None:
    """Return the second of a date in one of the three forms."""
    day, hour, minute, second = (int(found[of]) for of in ("day", "hour", "minute", "second"))
    year, month = full_year(found["year"]), MONTHS.index(found["month"]) + 1
    try:
        at = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return int(at.timestamp())


def full_year(digits: str) -> int:
    """Return a year, of two digits as well."""
    if len(digits) > 2:
        return int(digits)
    this = time.gmtime().tm_year
    year = this - this % 100 + int(digits)
    return year - 100 if year > this + YEARS_AHEAD else year
