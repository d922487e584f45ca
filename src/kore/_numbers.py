"""Conversion of real numbers that applications pass to floats."""

from math import inf, nan
from typing import Any


def as_float(value: object) -> float:
    """Return a real number as a float: infinity if it is too large, NaN for any NaN.

    Decimal, Fraction and the numbers of NumPy are real numbers, but str is not. Raises TypeError
    for other types.
    """
    if not hasattr(value, "__float__") and not hasattr(value, "__index__"):
        raise TypeError(f"{value!r} is not a real number")
    number: Any = value
    try:
        return float(number)
    except OverflowError:  # of an int or a Fraction
        return inf if number > 0 else -inf
    except ValueError:  # of a signaling NaN
        return nan
