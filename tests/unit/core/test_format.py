"""Numbers and dates as text."""

from email.utils import formatdate

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kore._core.testing import format_date, format_number

LARGEST = 2**63 - 1
SECOND_MAX = 253_402_300_799  # the end of the year 9999


@given(st.integers(0, LARGEST))
@example(0)
@example(9)
@example(10)
@example(LARGEST)
def test_number_has_its_decimal_digits(number: int) -> None:
    assert format_number(number) == str(number).encode()


def test_negative_number_raises() -> None:
    with pytest.raises(ValueError, match="-1 is negative"):
        format_number(-1)


@given(st.integers(0, SECOND_MAX))
@example(784111777)  # the example of RFC 9110
@example(SECOND_MAX)
def test_date_is_imf_fixdate(second: int) -> None:
    assert format_date(second) == formatdate(second, usegmt=True).encode()


@pytest.mark.parametrize("second", [-1, SECOND_MAX + 1])
def test_date_beyond_four_digit_years_raises(second: int) -> None:
    with pytest.raises(ValueError, match="no year of four digits"):
        format_date(second)
