"""Preconditions, in the order in which they count."""

from collections.abc import Mapping

import pytest

from kore._http.files.conditions import (
    FAILED,
    NOT_MODIFIED,
    SEND,
    FileVersion,
    can_use_range,
    check_preconditions,
)
from kore._values.dates import format_http_date

TAG = '"abc-1"'
CHANGED = 1_000_000_000
THEN, BEFORE, AFTER = (format_http_date(CHANGED + by) for by in (0, -1, 1))


def judged(fields: Mapping[str, str | list[str]], *, settled: bool = True) -> int:
    """Return the verdict on a request with these fields."""
    values = {name: [v] if isinstance(v, str) else v for name, v in fields.items()}
    return check_preconditions(
        lambda name: values.get(name, []), FileVersion(TAG, CHANGED, settled)
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, SEND),
        ({"if-none-match": TAG}, NOT_MODIFIED),
        ({"if-none-match": "W/" + TAG}, NOT_MODIFIED),
        ({"if-none-match": '"x", "y,z", ' + TAG}, NOT_MODIFIED),
        ({"if-none-match": ['"x"', TAG]}, NOT_MODIFIED),
        ({"if-none-match": "*"}, NOT_MODIFIED),
        ({"if-none-match": " * "}, NOT_MODIFIED),
        ({"if-none-match": '"x"'}, SEND),
        ({"if-none-match": TAG.strip('"')}, SEND),
        ({"if-none-match": TAG + " junk"}, SEND),
        ({"if-none-match": '"x' + TAG}, SEND),
        ({"if-none-match": ',, "x" ,, ' + TAG + " , "}, NOT_MODIFIED),
        ({"if-modified-since": THEN}, NOT_MODIFIED),
        ({"if-modified-since": AFTER}, NOT_MODIFIED),
        ({"if-modified-since": BEFORE}, SEND),
        ({"if-modified-since": "yesterday"}, SEND),
        ({"if-modified-since": [THEN, THEN]}, SEND),
        ({"if-none-match": '"x"', "if-modified-since": THEN}, SEND),
        ({"if-match": TAG}, SEND),
        ({"if-match": "*"}, SEND),
        ({"if-match": '"x", ' + TAG}, SEND),
        ({"if-match": "W/" + TAG}, FAILED),
        ({"if-match": '"x"'}, FAILED),
        ({"if-match": "junk"}, FAILED),
        ({"if-unmodified-since": THEN}, SEND),
        ({"if-unmodified-since": AFTER}, SEND),
        ({"if-unmodified-since": BEFORE}, FAILED),
        ({"if-unmodified-since": "junk"}, SEND),
        ({"if-match": TAG, "if-unmodified-since": BEFORE}, SEND),
        ({"if-match": TAG, "if-none-match": TAG}, NOT_MODIFIED),
        ({"if-match": '"x"', "if-none-match": TAG}, FAILED),
    ],
)
def test_preconditions_decide_the_status(fields: dict[str, str], expected: int) -> None:
    assert judged(fields) == expected


@pytest.mark.parametrize(
    ("value", "applies"),
    [
        (None, True), (TAG, True), (THEN, True), ("W/" + TAG, False), ('"x"', False),
        (BEFORE, False), (AFTER, False), ("junk", False), ("*", False), ("", False),
    ],
)  # fmt: skip
def test_a_range_counts_for_exactly_the_file_that_is_known(
    value: str | None, *, applies: bool
) -> None:
    values = [] if value is None else [value]

    assert can_use_range(lambda _: values, FileVersion(TAG, CHANGED)) is applies


@pytest.mark.parametrize(("value", "applies"), [(TAG, True), (THEN, False), (AFTER, False)])
def test_an_unsettled_date_is_not_compared(value: str, *, applies: bool) -> None:
    assert can_use_range(lambda _: [value], FileVersion(TAG, CHANGED, settled=False)) is applies
    assert judged({"if-modified-since": value}, settled=False) == SEND
    assert judged({"if-none-match": TAG, "if-modified-since": value}, settled=False) == NOT_MODIFIED
    assert judged({"if-unmodified-since": BEFORE}, settled=False) == FAILED


def test_a_repeated_field_is_ignored() -> None:
    assert not can_use_range(lambda _: [TAG, TAG], FileVersion(TAG, CHANGED))


def test_a_long_list_is_read_in_linear_time() -> None:
    """Were it not, this would take for ever: 16 KiB is what a head may have."""
    for text in ('"x",' * 4000, '"' * 16000, "W/" * 8000, " ," * 8000 + "x", '"a" ' * 4000):
        assert judged({"if-none-match": text}) == SEND
