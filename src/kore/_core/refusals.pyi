"""Reasons to refuse a request; see refusals.pyx."""

from collections.abc import Mapping
from typing import Final, NamedTuple

class RefusalRule(NamedTuple):
    """A rule: its number, and the status, RFC section and text of its refusal."""

    number: int
    status: int
    section: str
    text: str

REFUSALS: Final[Mapping[str, RefusalRule]]
RULES: Final[Mapping[int, RefusalRule]]

class ParseError(Exception):
    """A head or a body was refused; `status` is that of the response."""

    rule: RefusalRule
    status: int
    def __init__(self, reason: int) -> None: ...
