"""The stages of an HTTP/1 connection; see state.pyx."""

from collections.abc import Mapping
from typing import Final

TRANSITIONS: Final[Mapping[str, frozenset[str]]]

class StageError(AssertionError):
    """A connection went from one stage to another that cannot follow it."""

def check_stages(on: bool) -> bool: ...
