"""Cookies, RFC 6265bis: parse those of a request, format one of a response."""

import re
from collections.abc import Iterable
from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from kore._values.dates import format_http_date
from kore._values.grammar import is_token
from kore._values.hosts import normalize_host

if TYPE_CHECKING:
    # With 0.3 MB, and most applications set no cookie with a date.
    from datetime import datetime

# A value, perhaps in quotes: no blanks, quotes, commas, semicolons or backslashes.
VALUE: Final = re.compile(r'("?)[!#-+\--:<-\[\]-~]*\1')
PATH: Final = re.compile(r"/[ -:<-~]*")
DOMAIN: Final = re.compile(r"\.?[0-9A-Za-z](?:[0-9A-Za-z.-]*[0-9A-Za-z])?")
SAME_SITE: Final = {"lax": "Lax", "strict": "Strict", "none": "None"}

# The limits of browsers in bytes: name and value together, and an attribute.
COOKIE_MAX: Final = 4096
ATTRIBUTE_MAX: Final = 1024
# Years that browsers accept in a date: RFC 6265 section 5.1.1.
YEARS: Final = "1601 to 9999"
FIRST_SECOND: Final = -11_644_473_600


def parse(fields: Iterable[str]) -> dict[str, str]:
    """Return the cookies of all Cookie fields by name: values as sent, the first of each name."""
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
    """A cookie to set. Raises ValueError if browsers would refuse or misread it."""

    name: str
    value: str
    path: str | None = "/"
    domain: str | None = None
    max_age: int | None = None
    expires: "datetime | float | None" = None
    secure: bool = False
    http_only: bool = True
    same_site: str | None = "Lax"

    def __post_init__(self) -> None:
        if not is_token(self.name):
            raise ValueError(f"cookie name {self.name!r} is not a token (letters, digits, hyphens)")
        if not VALUE.fullmatch(self.value):
            raise ValueError(
                f"cookie {self.name!r}: a value cannot hold blanks, quotes, commas, semicolons, "
                "backslashes or what is not ASCII: encode it, urllib.parse.quote() does"
            )
        if len(self.name) + len(self.value) > COOKIE_MAX:
            raise ValueError(f"cookie {self.name!r}: name and value are over {COOKIE_MAX} bytes")
        self._check("path", self.path, PATH)
        if isinstance(self.domain, str) and not self.domain.isascii():
            object.__setattr__(self, "domain", self._domain_to_ascii(self.domain))
        self._check("domain", self.domain, DOMAIN)
        self._check_numbers()
        self._check_safety()

    def _domain_to_ascii(self, domain: str) -> str:
        try:
            return normalize_host(domain)
        except ValueError as error:
            raise ValueError(f"cookie {self.name!r}: bad domain {domain!r}: {error}") from None

    def _check(self, what: str, value: Any, allowed: re.Pattern[str]) -> None:
        if value is None:
            return
        if not isinstance(value, str):
            raise TypeError(f"cookie {self.name!r}: {what} is text, not {value!r}")
        if not allowed.fullmatch(value) or len(value) > ATTRIBUTE_MAX:
            raise ValueError(f"cookie {self.name!r}: bad {what} {value!r}")

    def _check_numbers(self) -> None:
        if self.max_age is not None and type(self.max_age) is not int:
            raise ValueError(f"cookie {self.name!r}: max_age is a number of seconds")
        if self.expires is not None:
            self._check_expires(self.expires)

    def _check_expires(self, expires: Any) -> None:
        from datetime import datetime

        about = f"cookie {self.name!r}: expires"
        if isinstance(expires, bool) or not isinstance(expires, datetime | int | float):
            raise TypeError(
                f"{about} is a datetime with a time zone, or seconds since 1970, not {expires!r}"
            )
        if isinstance(expires, datetime) and expires.tzinfo is None:
            raise ValueError(f"{about} needs a time zone: datetime.now(UTC)")
        if not _format_expires(expires):
            raise ValueError(f"{about} {expires!r} is out of range, the years {YEARS}")

    def _check_safety(self) -> None:
        # Browsers silently ignore cookies that break these rules.
        given: Any = self.same_site
        same_site = given.lower() if isinstance(given, str) else given
        name = self.name.lower()
        if same_site is not None and same_site not in tuple(SAME_SITE):
            raise ValueError(
                f"cookie {self.name!r}: same_site is Lax, Strict or None as text, not {given!r}"
            )
        if same_site == "none" and not self.secure:
            raise ValueError(f"cookie {self.name!r}: same_site 'None' needs secure=True")
        if name.startswith(("__secure-", "__host-")) and not self.secure:
            raise ValueError(f"cookie {self.name!r}: a name like this needs secure=True")
        if name.startswith("__host-") and (self.path != "/" or self.domain is not None):
            raise ValueError(f"cookie {self.name!r}: a name like this needs path='/', no domain")

    @property
    def identity(self) -> tuple[str, str, str | None]:
        """Name, domain and path, which identify a cookie: RFC 6265 section 5.3, step 11."""
        return self.name, (self.domain or "").removeprefix(".").lower(), self.path

    def replaces(self, value: bytes) -> bool:
        """Return whether the value of a Set-Cookie field sets the same cookie."""
        return _parse_identity(value) == self.identity

    def format(self) -> str:
        """Return the value of the Set-Cookie field."""
        parts = [f"{self.name}={self.value}"]
        if self.path is not None:
            parts.append(f"Path={self.path}")
        if self.domain is not None:
            parts.append(f"Domain={self.domain}")
        if self.expires is not None:
            parts.append(f"Expires={_format_expires(self.expires)}")
        if self.max_age is not None:
            parts.append(f"Max-Age={self.max_age}")
        if self.http_only:
            parts.append("HttpOnly")
        if self.secure:
            parts.append("Secure")
        if self.same_site is not None:
            parts.append(f"SameSite={SAME_SITE[self.same_site.lower()]}")
        return "; ".join(parts)


# The attributes of a cookie, beside name and value.
ATTRIBUTES: Final = tuple(each.name for each in fields(Cookie) if each.default is not MISSING)


def _parse_identity(value: bytes) -> tuple[str, str, str | None]:
    """Return the identity of the cookie that a Set-Cookie field sets."""
    pair, *attributes = value.decode("latin-1").split(";")
    attribute_values = {
        name.strip().lower(): value.strip()
        for name, _, value in (attribute.partition("=") for attribute in attributes)
    }
    name = pair.partition("=")[0].strip()
    return (
        name,
        attribute_values.get("domain", "").removeprefix(".").lower(),
        attribute_values.get("path") or None,
    )


def _format_expires(when: "datetime | float") -> str:
    """Return a time as RFC 9110 section 5.6.7 has it; "" if browsers could not parse it."""
    try:
        second = int(when if isinstance(when, int | float) else when.timestamp())
    except (ValueError, OverflowError):
        return ""
    return format_http_date(second) if second >= FIRST_SECOND else ""
