"""Warnings about certificates and revocation lists that expire soon. Pure."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Final

from kore._process.keymgr.certificates import format_date
from kore._process.keymgr.pem_files import CheckedDomain

# Certificates are usually renewed when a third of their lifetime is left. If less than this part
# is left, the renewal does not work.
CERTIFICATE_PART: Final = Fraction(1, 6)
# Of the time between two lists.
CRL_PART: Final = Fraction(1, 4)


def list_expiry_warnings(domain: CheckedDomain, now: datetime) -> Iterator[str]:
    """Yield a line for each certificate and revocation list of a domain that expires soon."""
    for pair in domain.pairs:
        one = pair.certificate
        if _is_nearly_over(
            one.not_valid_before_utc, one.not_valid_after_utc, now, CERTIFICATE_PART
        ):
            yield f"{pair.file}: {_describe_end(one.not_valid_after_utc, now)}: renew it"
    for crl in domain.crls:
        end = crl.next_update_utc
        if end is not None and _is_nearly_over(crl.last_update_utc, end, now, CRL_PART):
            yield (
                f"the revocation list of {crl.issuer.rfc4514_string()} {_describe_end(end, now)}: "
                "without a new one all clients of it are refused"
            )


def _is_nearly_over(start: datetime, end: datetime, now: datetime, part: Fraction) -> bool:
    """Return whether less than *part* of the time between *start* and *end* is left."""
    return end - now < (end - start) * part.numerator / part.denominator


def _describe_end(end: datetime, now: datetime) -> str:
    """Return when something expires, or that it has expired."""
    if now > end:
        return f"expired on {format_date(end)}"
    left = end - now
    days = left // timedelta(days=1)
    text = f"{days} days" if days > 1 else f"{left // timedelta(hours=1)} hours"
    return f"expires in {text}, on {format_date(end)}"
