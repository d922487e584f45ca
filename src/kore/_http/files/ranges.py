"""The Range field: RFC 9110 section 14."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

# Resumed downloads have few ranges. For more of them the whole file is sent.
RANGES_MAX: Final = 32
# Larger than any file. Python refuses to parse numbers of thousands of digits.
NUMBER_MAX: Final = 2**63
DIGITS_MAX: Final = len(str(NUMBER_MAX))
RANGE: Final = re.compile(r"[ \t]*(?:(?P<first>[0-9]+)-(?P<last>[0-9]*)|-(?P<suffix>[0-9]+))[ \t]*")

# Offset and length.
FilePart = tuple[int, int]


def parse_range(text: str, size: int) -> list[FilePart] | None:
    """Return the parts of a file of *size* bytes that a Range field asks for.

    None if the field is malformed or of another unit, and to be ignored. An empty list if no part
    is in the file: 416. Parts that overlap are merged; the others keep their order.
    """
    unit, equals, rest = text.partition("=")
    if unit.strip(" \t").lower() != "bytes" or not equals or not size:
        return None
    if rest.count(",") >= RANGES_MAX:
        return None
    found = [RANGE.fullmatch(one) for one in rest.split(",") if one.strip(" \t")]
    matches = [match for match in found if match is not None]
    if not found or len(matches) < len(found) or any(map(_is_reversed, matches)):
        return None
    return _merge_overlaps(
        [part for part in (_resolve_range(match, size) for match in matches) if part[1] > 0]
    )


def _is_reversed(one: re.Match[str]) -> bool:
    """Return whether the last byte precedes the first; then the whole field is invalid."""
    return bool(one["last"]) and _parse_number(one["last"]) < _parse_number(one["first"])


def _resolve_range(one: re.Match[str], size: int) -> FilePart:
    """Return the part of one range; its length is 0 or less if it is not in the file."""
    if one["suffix"]:
        length = min(_parse_number(one["suffix"]), size)
        return size - length, length
    first = _parse_number(one["first"])
    last = min(_parse_number(one["last"]), size - 1) if one["last"] else size - 1
    return first, last - first + 1


def _parse_number(digits: str) -> int:
    """Return a number; at most NUMBER_MAX, however many digits it has."""
    digits = digits.lstrip("0") or "0"
    return NUMBER_MAX if len(digits) > DIGITS_MAX else min(int(digits), NUMBER_MAX)


def _merge_overlaps(parts: Sequence[FilePart]) -> list[FilePart]:
    """Return *parts* unchanged, or merged and in the order of the file if some overlap."""
    merged = list(_merge_sorted(sorted(parts)))
    return list(parts) if len(merged) == len(parts) else merged


def _merge_sorted(ordered: Sequence[FilePart]) -> Iterator[FilePart]:
    """Yield sorted parts with overlapping ones merged."""
    begin = end = 0
    for first, length in ordered:
        if first < end:
            end = max(end, first + length)
            continue
        if end > begin:
            yield begin, end - begin
        begin, end = first, first + length
    if end > begin:
        yield begin, end - begin
