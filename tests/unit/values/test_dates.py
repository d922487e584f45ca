"""Dates in fields: written in one form, read in three, and nothing else."""

import time

import pytest

from kore._values.dates import format_http_date, parse_http_date


def test_a_date_is_written_as_the_standard_has_it() -> None:
    assert format_http_date(784111777) == "Sun, 06 Nov 1994 08:49:37 GMT"
    assert format_http_date(0) == "Thu, 01 Jan 1970 00:00:00 GMT"
    assert format_http_date(-1) == "Wed, 31 Dec 1969 23:59:59 GMT"


@pytest.mark.parametrize("second", [10**12, 10**18, -(10**12), 2**70])
def test_a_year_without_four_digits_is_not_formatted(second: int) -> None:
    assert format_http_date(second) == ""


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
    ],
)
def test_the_three_forms_of_the_standard_are_read(text: str) -> None:
    assert parse_http_date(text) == 784111777


def test_every_date_is_read_as_it_is_written() -> None:
    for second in range(0, 2**33, 12_345_678):
        assert parse_http_date(format_http_date(second)) == second


def test_a_year_of_two_digits_is_not_far_ahead() -> None:
    year = time.gmtime().tm_year
    for ahead, century in ((49, 0), (51, -100)):
        date = parse_http_date(f"Sunday, 06-Nov-{(year + ahead) % 100:02} 08:49:37 GMT")
        assert date is not None
        expected = year + ahead + century
        assert time.gmtime(date).tm_year == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "0", "yesterday", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 +0000",
        "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 31 Feb 1994 08:49:37 GMT", "06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT\n",
        "Sun, \u0660\u0666 Nov 1994 08:49:37 GMT", " Sun, 06 Nov 1994 08:49:37 GMT",
    ],
)  # fmt: skip
def test_a_malformed_date_is_none(text: str) -> None:
    assert parse_http_date(text) is None
