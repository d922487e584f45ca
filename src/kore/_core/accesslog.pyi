"""Access logs; see accesslog.pyx."""

from collections.abc import Mapping, Sequence
from typing import Final

from kore._core.log_file import LogFile

VARIABLES: Final[Mapping[str, int]]

class AccessLog:
    """The access log of a domain: a format, and the file its lines go to."""

    def __init__(
        self, sink: LogFile, pieces: Sequence[tuple[str | None, bytes]], *, json: bool = False
    ) -> None: ...
    @property
    def sink(self) -> LogFile: ...
    def record(
        self,
        raw: bytes,
        *,
        status: int = 200,
        sent: int = 0,
        body: int = 0,
        received: int = 0,
        ms: int = 0,
        complete: bool = True,
        refusal: int = 0,
        address: bytes = ...,
    ) -> None: ...
