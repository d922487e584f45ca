"""Why requests are refused; see refusals.pyx."""

from collections.abc import Mapping
from typing import Final, NamedTuple

class RefusalRule(NamedTuple):
    """A rule that requests are refused for breaking."""

    number: int
    status: int
    section: str
    text: str

REFUSALS: Final[Mapping[str, RefusalRule]]
RULES: Final[Mapping[int, RefusalRule]]

class ParseError(Exception):
    """A head or a chunked body that is refused; `status` is the answer it deserves."""

    rule: RefusalRule
    status: int
    def __init__(self, reason: int) -> None: ...
