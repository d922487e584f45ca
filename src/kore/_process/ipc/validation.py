"""What the fields of messages may hold: a check for each type they are declared with. Pure."""

from collections.abc import Callable, Mapping
from typing import Any, Final

NUMBER_MAX: Final = 2**31 - 1


def number(value: object) -> int:
    """Accept a whole number that fits where numbers go: an id, a count, a pid."""
    if type(value) is not int or not 0 <= value <= NUMBER_MAX:
        raise ValueError
    return value


def exactly(kind: type[Any]) -> Callable[[object], Any]:
    """Return a check for one type, its subclasses excluded."""

    def check(value: object) -> Any:
        if type(value) is not kind:
            raise ValueError
        return value

    return check


def names(value: object) -> tuple[str, ...]:
    """Accept a list of text."""
    if type(value) is not list or any(type(entry) is not str for entry in value):
        raise ValueError
    return tuple(value)


CHECKS: Final[Mapping[Any, Callable[[object], Any]]] = {
    int: number,
    str: exactly(str),
    bool: exactly(bool),
    dict[str, Any]: exactly(dict),
    tuple[str, ...]: names,
}
