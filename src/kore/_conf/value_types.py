"""Types of the values of settings: numbers with units, words, paths."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Protocol

from kore._values.grammar import TOKEN

U8: Final = 2**8 - 1
U16: Final = 2**16 - 1
S32: Final = 2**31 - 1
U32: Final = 2**32 - 1
S64: Final = 2**63 - 1

BYTE_SUFFIXES: Final = MappingProxyType({"k": 1 << 10, "m": 1 << 20, "g": 1 << 30})
SECOND_SUFFIXES: Final = MappingProxyType({"s": 1, "m": 60, "h": 3600, "d": 86400})
MILLISECOND_SUFFIXES: Final = MappingProxyType({"ms": 1, "s": 1000})

# C Kore also takes `true`, `false`, `1` and `0`.
FLAG_WORDS: Final = MappingProxyType(
    {"yes": True, "no": False, "true": True, "false": False, "1": True, "0": False}
)


class ValueType(Protocol):
    """Parses the value of a setting. Its text describes the allowed values."""

    def parse(self, value: object) -> Any:
        """Return the plain value. Raises ValueError if it is not allowed."""


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number in a range, as int or as text, which may end in a suffix."""

    low: int
    high: int
    unit: str = ""
    suffixes: Mapping[str, int] = field(default_factory=dict)
    why: str = ""

    def parse(self, value: object) -> int:
        number = self._read(value) if isinstance(value, str) else value
        # Not isinstance(): a bool, as in `workers = True`, is a mistake.
        if type(number) is not int or not self.low <= number <= self.high:
            raise ValueError
        return number

    def _read(self, text: str) -> int:
        found = re.fullmatch(r"\s*(-?\d+)\s*([a-z]*)\s*", text.lower(), re.ASCII)
        if found is None or found[2] not in {"", *self.suffixes}:
            raise ValueError
        return int(found[1]) * self.suffixes.get(found[2], 1)

    def __str__(self) -> str:
        return f"{self.low}..{self.high}" + self.unit + (f" ({self.why})" if self.why else "")


@dataclass(frozen=True, slots=True)
class Flag:
    """Yes or no."""

    def parse(self, value: object) -> bool:
        text = str(value).strip().lower()
        if not isinstance(value, (str, int)) or text not in FLAG_WORDS:
            raise ValueError
        return FLAG_WORDS[text]

    def __str__(self) -> str:
        return "yes or no"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some words."""

    words: tuple[str, ...]

    def parse(self, value: object) -> str:
        # str() for tls_version = 1.3
        if str(value) not in self.words:
            raise ValueError
        return str(value)

    def __str__(self) -> str:
        return " or ".join(self.words)


@dataclass(frozen=True, slots=True)
class Text:
    """Printable text."""

    what: str = "text"
    limit: int = 4096
    charset: str = "utf-8"

    def parse(self, value: object) -> str:
        # isprintable(): no line break that would end a header field early.
        if not isinstance(value, str) or not value.isprintable():
            raise ValueError
        if len(value.encode(self.charset)) > self.limit:
            raise ValueError
        return value

    def __str__(self) -> str:
        return f"{self.what}, at most {self.limit} printable characters"


@dataclass(frozen=True, slots=True)
class PathText:
    """A path of any characters: directories have names that cannot be printed, or are not UTF-8."""

    limit: int = 4096

    def parse(self, value: object) -> str:
        path = os.fspath(value) if isinstance(value, os.PathLike) else value
        if not isinstance(path, str) or "\0" in path or len(os.fsencode(path)) > self.limit:
            raise ValueError
        return path

    def __str__(self) -> str:
        return f"a path, at most {self.limit} bytes"


@dataclass(frozen=True, slots=True)
class MediaType:
    """A media type and the file name extensions it is for."""

    def parse(self, value: object) -> str:
        name, *extensions = value.split() if isinstance(value, str) else [""]
        if not extensions or not re.fullmatch(f"{TOKEN}/{TOKEN}", name):
            raise ValueError
        return " ".join([name, *extensions])

    def __str__(self) -> str:
        return '"TYPE/SUBTYPE EXTENSION EXTENSION…"'


@dataclass(frozen=True, slots=True)
class ListOf:
    """Any number of values of one type: a single value is added, a list replaces all."""

    item: ValueType

    def parse(self, value: object) -> tuple[Any, ...]:
        return tuple(map(self.item.parse, value if isinstance(value, (list, tuple)) else [value]))

    def __str__(self) -> str:
        return f"{self.item}, or a list"


def make_choice(*words: str) -> Choice:
    """Return the type of one of *words*."""
    return Choice(words)


def make_count(low: int, high: int = S32, why: str = "") -> Number:
    """Return the type of a plain number."""
    return Number(low, high, why=why)


def make_size(low: int, high: int = S64) -> Number:
    """Return the type of a number of bytes."""
    return Number(low, high, " bytes", BYTE_SUFFIXES)


def make_seconds(low: int, high: int = U16) -> Number:
    """Return the type of a number of seconds."""
    return Number(low, high, " seconds", SECOND_SUFFIXES)


def make_milliseconds(low: int, why: str) -> Number:
    """Return the type of a number of milliseconds."""
    return Number(low, U32, " milliseconds", MILLISECOND_SUFFIXES, why)


TEXT: Final = Text()
PATH: Final = PathText()
FLAG: Final = Flag()
