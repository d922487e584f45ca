"""One client, from accept to close; see connection.pyx."""

from typing import Any

from kore._core.intake import Intake

class Connection(Intake):
    """A client's connection."""

    @property
    def fd(self) -> int: ...
    @property
    def addr(self) -> str: ...
    def disconnect(self) -> bool: ...
    # Whatever an application keeps on it.
    def __getattr__(self, name: str) -> Any: ...
    def __setattr__(self, name: str, value: Any) -> None: ...
