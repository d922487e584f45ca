"""Parameters of queries and forms: split, decoded, and validated by the rules of a route."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes

from kore._http.sync_or_async import Work, call_validator
from kore.errors import RefusedError

if TYPE_CHECKING:
    from kore._conf.schema import ParameterRule


@dataclass(frozen=True, slots=True, eq=False)
class ParameterSource:
    """A source of parameters, and the search for control characters that its values cannot have."""

    name: str
    controls: Callable[[str], object]


# Values of forms may have line breaks, those of queries not. Other control characters could attack
# terminals that print them.
FIND_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]").search
FIND_CONTROL_BUT_LINES: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]").search

QUERY: Final = ParameterSource("query", FIND_CONTROL)
FORM: Final = ParameterSource("form", FIND_CONTROL_BUT_LINES)
MULTIPART: Final = ParameterSource("form", FIND_CONTROL_BUT_LINES)


@dataclass(slots=True, eq=False)
class ValidatedParameters:
    """The parameters of one source: accepted values, and names of rejected ones."""

    source: ParameterSource
    values: dict[str, list[str]] = field(default_factory=dict)
    rejected: list[str] = field(default_factory=list)


def parse_pairs(data: bytes, limit: int) -> Iterator[tuple[str, bytes]]:
    """Yield the names and values of a query or a form.

    Raises RefusedError for more than *limit* of them.
    """
    if data.count(b"&") >= limit:
        raise RefusedError(400, f"more than {limit} parameters")
    # Decoding costs the most time, and most queries have no escapes.
    escaped = b"%" in data or b"+" in data
    for pair in data.split(b"&"):
        if pair:
            name, _, value = pair.partition(b"=")
            if escaped:
                name, value = _unescape_form(name), _unescape_form(value)
            yield name.decode("utf-8", "replace"), value


def _unescape_form(data: bytes) -> bytes:
    """Decode plus signs and percent escapes; malformed escapes are kept."""
    return unquote_to_bytes(data.replace(b"+", b" "))


def validate_fields(
    source: ParameterSource,
    fields: Iterable[tuple[str, bytes]],
    rules: Mapping[str, "ParameterRule"],
    request: Any,
) -> Work[ValidatedParameters]:
    """Validate the *fields* that *rules* declares; the others are ignored."""
    validated = ValidatedParameters(source)
    for name, data in fields:
        rule = rules.get(name)
        if rule is None:
            continue
        value = _decode_value(data, source.controls)
        if value is None:
            accepted = False
        elif rule.search is not None:
            accepted = rule.search(value) is not None
        else:
            assert rule.verify is not None  # noqa: S101 - a rule has a pattern or a function
            accepted = yield from call_validator(rule.verify, request, value)
        if accepted and value is not None:
            validated.values.setdefault(name, []).append(value)
        else:
            validated.rejected.append(name)
    return validated


def _decode_value(data: bytes, controls: Callable[[str], object]) -> str | None:
    """Return a value as text; None if it is not UTF-8 or has control characters."""
    try:
        value = data.decode()
    except UnicodeDecodeError:
        return None
    return None if controls(value) else value
