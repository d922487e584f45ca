"""Cookies: read those of a request, write one of a response. RFC 6265bis."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from time import gmtime
from typing import Final

NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# Octets of a value, perhaps in quotes: neither blanks nor quotes, comma, semicolon, backslash.
VALUE: Final = re.compile(r'("?)[!#-+\--:<-\[\]-~]*\1')
PATH: Final = re.compile(r"/[ -:<-~]*")
DOMAIN: Final = re.compile(r"\.?[0-9A-Za-z](?:[0-9A-Za-z.-]*[0-9A-Za-z])?")
SAME_SITE: Final = {"lax": "Lax", "strict": "Strict", "none": "None"}

# What browsers keep, in bytes: of name and value together, and of an attribute.
COOKIE_MAX: Final = 4096
ATTRIBUTE_MAX: Final = 1024

DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def parse(fields: Iterable[str]) -> dict[str, str]:
    """Return the cookies of all Cookie fields by name; values as sent, the first of a name."""
    found: dict[str, str] = {}
    for field in fields:
        for pair in field.split(";"):
            name, equals, value = pair.partition("=")
            name = name.strip(" \t")
            if name and equals:
                found.setdefault(name, value.strip(" \t"))
    return found


@dataclass(frozen=True, slots=True)
class Cookie:
    """A cookie to be set. Raises ValueError for one that a browser would refuse or misread."""

    name: str
    value: str
    path: str | None = "/"
    domain: str | None = None
    max_age: int | None = None
    expires: datetime | float | None = None
    secure: bool = False
    http_only: bool = True
    same_site: str | None = "Lax"

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError(f"cookie name {self.name!r} is not a token (letters, digits, hyphens)")
        if not VALUE.fullmatch(self.value):
            raise ValueError(
                f"cookie {self.name!r}: a value cannot hold blanks, quotes, commas, semicolons, "
                "backslashes or what is not ASCII: encode it, urllib.parse.quote() does"
            )
        if len(self.name) + len(self.value) > COOKIE_MAX:
            raise ValueError(f"cookie {self.name!r}: name and value are over {COOKIE_MAX} bytes")
        self._check("path", self.path, PATH)
        self._check("domain", self.domain, DOMAIN)
        self._check_numbers()
        self._check_safety()

    def _check(self, what: str, value: str | None, allowed: re.Pattern[str]) -> None:
        if value is None:
            return
        if not allowed.fullmatch(value) or len(value) > ATTRIBUTE_MAX:
            raise ValueError(f"cookie {self.name!r}: bad {what} {value!r}")

    def _check_numbers(self) -> None:
        if self.max_age is not None and type(self.max_age) is not int:
            raise ValueError(f"cookie {self.name!r}: max_age is a number of seconds")
        if isinstance(self.expires, datetime) and self.expires.tzinfo is None:
            raise ValueError(f"cookie {self.name!r}: expires needs a time zone: datetime.now(UTC)")

    def _check_safety(self) -> None:
        # Browsers drop cookies that break these rules, without a word.
        same_site, name = (self.same_site or "").lower(), self.name.lower()
        if same_site and same_site not in SAME_SITE:
            raise ValueError(f"cookie {self.name!r}: same_site is Lax, Strict or None as text")
        if same_site == "none" and not self.secure:
            raise ValueError(f"cookie {self.name!r}: same_site 'None' needs secure=True")
        if name.startswith(("__secure-", "__host-")) and not self.secure:
            raise ValueError(f"cookie {self.name!r}: a name like this needs secure=True")
        if name.startswith("__host-") and (self.path != "/" or self.domain is not None):
            raise ValueError(f"cookie {self.name!r}: a name like this needs path='/', no domain")

    def text(self) -> str:
        """Return the value of its Set-Cookie field."""
        parts = [f"{self.name}={self.value}"]
        if self.path is not None:
            parts.append(f"Path={self.path}")
        if self.domain is not None:
            parts.append(f"Domain={self.domain}")
        if self.expires is not None:
            parts.append(f"Expires={date(self.expires)}")
        if self.max_age is not None:
            parts.append(f"Max-Age={self.max_age}")
        if self.http_only:
            parts.append("HttpOnly")
        if self.secure:
            parts.append("Secure")
        if self.same_site is not None:
            parts.append(f"SameSite={SAME_SITE[self.same_site.lower()]}")
        return "; ".join(parts)


def date(when: datetime | float) -> str:
    """Return a time as RFC 9110 5.6.7 has it; strftime would ask the locale."""
    t = gmtime(when.timestamp() if isinstance(when, datetime) else when)
    clock = f"{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02}"
    return f"{DAYS[t.tm_wday]}, {t.tm_mday:02} {MONTHS[t.tm_mon - 1]} {t.tm_year:04} {clock} GMT"
