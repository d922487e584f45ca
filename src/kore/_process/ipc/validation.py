"""Type checks for the fields of messages: one check for each type a field is declared with."""

from collections.abc import Callable, Mapping
from typing import Any, Final

NUMBER_MAX: Final = 2**31 - 1
# The end of the year 9999, the last one of a certificate's dates (RFC 5280, 4.1.2.5).
TIME_MAX: Final = 253402300800.0


def _check_number(value: object) -> int:
    """Return *value* if it is an int from 0 to NUMBER_MAX: an id, a count, a pid."""
    if type(value) is not int or not 0 <= value <= NUMBER_MAX:
        raise ValueError
    return value


def _check_time(value: object) -> float:
    """Return *value* if it is a time in seconds since the epoch: no NaN, nothing absurd."""
    if type(value) is not float or not 0 <= value <= TIME_MAX:
        raise ValueError
    return value


def _require_type(wanted: type[Any]) -> Callable[[object], Any]:
    """Return a check for one type, its subclasses excluded."""

    def check(value: object) -> Any:
        if type(value) is not wanted:
            raise ValueError
        return value

    return check


def _check_texts(value: object) -> tuple[str, ...]:
    """Return a list of str as a tuple."""
    if type(value) is not list or any(type(entry) is not str for entry in value):
        raise ValueError
    return tuple(value)


def _check_numbers(value: object) -> tuple[int, ...]:
    """Return a list of numbers as a tuple."""
    if type(value) is not list:
        raise ValueError
    return tuple(map(_check_number, value))


FIELD_CHECKS: Final[Mapping[Any, Callable[[object], Any]]] = {
    int: _check_number,
    str: _require_type(str),
    bool: _require_type(bool),
    dict[str, Any]: _require_type(dict),
    float: _check_time,
    tuple[str, ...]: _check_texts,
    tuple[int, ...]: _check_numbers,
}
