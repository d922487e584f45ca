"""Parameters as a client sent them: split, decoded, and judged by what a route declared."""

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
    """Where parameters come from, and which characters have no business in their values."""

    name: str
    controls: Callable[[str], object]


# A text area has lines; nothing in a query has. Other controls are an attack on who prints them.
FIND_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]").search
FIND_CONTROL_BUT_LINES: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]").search

QUERY: Final = ParameterSource("query", FIND_CONTROL)
FORM: Final = ParameterSource("form", FIND_CONTROL_BUT_LINES)
MULTIPART: Final = ParameterSource("form", FIND_CONTROL_BUT_LINES)


@dataclass(slots=True, eq=False)
class ValidatedParameters:
    """The parameters of one source: values that were accepted, names of those that were not."""

    source: ParameterSource
    values: dict[str, list[str]] = field(default_factory=dict)
    rejected: list[str] = field(default_factory=list)


def parse_pairs(data: bytes, most: int) -> Iterator[tuple[str, bytes]]:
    """Yield names and values of a query or a form; more than *most* of them are refused."""
    if data.count(b"&") >= most:
        raise RefusedError(400, f"more than {most} parameters")
    # Most have no escapes at all, and decoding is what costs.
    escaped = b"%" in data or b"+" in data
    for pair in data.split(b"&"):
        if pair:
            name, _, value = pair.partition(b"=")
            if escaped:
                name, value = _unescape_form(name), _unescape_form(value)
            yield name.decode("utf-8", "replace"), value


def _unescape_form(data: bytes) -> bytes:
    """Decode plus signs and escapes; what is no escape is kept as it was written."""
    return unquote_to_bytes(data.replace(b"+", b" "))


def validate_fields(
    source: ParameterSource,
    fields: Iterable[tuple[str, bytes]],
    rules: Mapping[str, "ParameterRule"],
    request: Any,
) -> Work[ValidatedParameters]:
    """Judge the *fields* that are declared in *rules*; the others are nobody's business."""
    judged = ValidatedParameters(source)
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
            judged.values.setdefault(name, []).append(value)
        else:
            judged.rejected.append(name)
    return judged


def _decode_value(data: bytes, controls: Callable[[str], object]) -> str | None:
    """Return a value as text, or None for one that is none."""
    try:
        value = data.decode()
    except UnicodeDecodeError:
        return None
    return None if controls(value) else value
