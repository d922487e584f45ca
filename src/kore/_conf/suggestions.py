"""What somebody may have meant."""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote

# How alike two names have to be, from 0 to 1; what the same beginning adds to that, for each
# letter of it and up to so many, as far as something is missing (Winkler).
ALIKE: Final = 0.6
PER_LETTER: Final = 0.1
LETTERS: Final = 4
# What other frameworks write for a part of the path that is captured.
FOREIGN: Final = re.compile(r"\{[A-Za-z_][^{}/]*\}|<[A-Za-z_][^<>/]*>")
# A group of a regular expression, in a path that is none: `/u/([0-9]+)`.
LITERAL_GROUP: Final = re.compile(r"\([^()]*(?:[\[\\]|\.[*+?])[^()]*\)")
NAMED_GROUP: Final = re.compile(r"\(\?P<[^>]*>|\(\?P=[^)]*\)")


def meant(name: str, known: Iterable[str]) -> str:
    """Return a guess at what a mistyped name stands for, in brackets, or nothing."""
    found = [(likeness(name, other), other) for other in known]
    close = max((pair for pair in found if pair[0]), default=None)
    return f" (did you mean '{close[1]}'?)" if close else ""


def foreign_captures(path: str) -> tuple[str, str] | None:
    """Return what a path seems to capture and does not, and the path as it is written here."""
    literal = path.startswith("/")
    plain = unquote(path) if literal else NAMED_GROUP.sub("(", path)
    found = FOREIGN.search(plain)
    group = LITERAL_GROUP.search(plain) if literal else None
    if found is None and group is not None:
        return group[0], f"^{plain.removesuffix('$')}$"
    if found is None:
        return None
    inner = FOREIGN.sub("([^/]+)", plain).removeprefix("^").removesuffix("$")
    return found[0], f"^{inner}$"


def likeness(name: str, other: str) -> float:
    """Return how much one name is like another, from 0 to 1; 0: not enough to think of it."""
    from difflib import SequenceMatcher  # only for mistakes

    ratio = SequenceMatcher(None, other, name).ratio()
    if ratio < ALIKE:
        return 0
    return ratio + PER_LETTER * beginning(name, other) * (1 - ratio)


def beginning(name: str, other: str) -> int:
    """Return how many letters both begin with, of the first few."""
    pairs = list(zip(name[:LETTERS], other[:LETTERS], strict=False))
    return next((i for i, (a, b) in enumerate(pairs) if a != b), len(pairs))
