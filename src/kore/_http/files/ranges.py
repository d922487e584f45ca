"""The Range field: RFC 9110 section 14."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

# More of them are no download that goes on where it broke off: the whole is sent instead.
RANGES_MAX: Final = 32
# Larger than any file. Python refuses to read numbers of thousands of digits.
ENDLESS: Final = 2**63
DIGITS: Final = len(str(ENDLESS))
ONE: Final = re.compile(r"[ \t]*(?:(?P<first>[0-9]+)-(?P<last>[0-9]*)|-(?P<suffix>[0-9]+))[ \t]*")

# Where it begins, and how many bytes it has.
Part = tuple[int, int]


def wanted(text: str, size: int) -> list[Part] | None:
    """Return the parts of *size* bytes that a Range field asks for.

    None: the field says nothing that could be followed, and is ignored. An empty list: of what it
    asks for there is nothing, 416. Parts that overlap become one, so that no byte is sent twice;
    the others stay in their order.
    """
    unit, equals, rest = text.partition("=")
    if unit.strip(" \t").lower() != "bytes" or not equals or not size:
        return None
    if rest.count(",") >= RANGES_MAX:
        return None
    found = [ONE.fullmatch(one) for one in rest.split(",") if one.strip(" \t")]
    matches = [match for match in found if match is not None]
    if not found or len(matches) < len(found) or any(map(backwards, matches)):
        return None
    return disjoint([part for part in (part_of(match, size) for match in matches) if part[1] > 0])


def backwards(one: re.Match[str]) -> bool:
    """Whether the last byte precedes the first: such a field is invalid as a whole."""
    return bool(one["last"]) and number(one["last"]) < number(one["first"])


def part_of(one: re.Match[str], size: int) -> Part:
    """Return what one range asks for; of 0 bytes or fewer when there is nothing there."""
    if one["suffix"]:
        length = min(number(one["suffix"]), size)
        return size - length, length
    first = number(one["first"])
    last = min(number(one["last"]), size - 1) if one["last"] else size - 1
    return first, last - first + 1


def number(digits: str) -> int:
    """Return a number, however long."""
    digits = digits.lstrip("0") or "0"
    return ENDLESS if len(digits) > DIGITS else min(int(digits), ENDLESS)


def disjoint(parts: Sequence[Part]) -> list[Part]:
    """Return *parts* as they are, or, when some overlap, merged and in the order of the file."""
    merged = list(merge(sorted(parts)))
    return list(parts) if len(merged) == len(parts) else merged


def merge(ordered: Sequence[Part]) -> Iterator[Part]:
    """Yield parts that do not overlap."""
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
