"""Type checks for the fields of messages: one check for each type a field is declared with."""

from collections.abc import Callable, Mapping
from typing import Any, Final

NUMBER_MAX: Final = 2**31 - 1


def _check_number(value: object) -> int:
    """Return *value* if it is an int from 0 to NUMBER_MAX: an id, a count, a pid."""
    if type(value) is not int or not 0 <= value <= NUMBER_MAX:
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


FIELD_CHECKS: Final[Mapping[Any, Callable[[object], Any]]] = {
    int: _check_number,
    str: _require_type(str),
    bool: _require_type(bool),
    dict[str, Any]: _require_type(dict),
    tuple[str, ...]: _check_texts,
}
