"""Access logs; see accesslog.pyx."""

from collections.abc import Mapping, Sequence
from typing import Final

from kore._core.log_file import LogFile

VARIABLES: Final[Mapping[str, int]]

class AccessLog:
    """The access log of a domain: a format, and the file its lines are written to."""

    def __init__(
        self, file: LogFile, parts: Sequence[tuple[str | None, bytes]], *, json: bool = False
    ) -> None: ...
    @property
    def file(self) -> LogFile: ...
