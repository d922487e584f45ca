"""Access logs; see accesslog.pyx."""

from collections.abc import Mapping, Sequence
from typing import Final

from kore._core.sink import Sink

VARIABLES: Final[Mapping[str, int]]

class Journal:
    """The access log of a domain: a format, and the file its lines go to."""

    def __init__(
        self, sink: Sink, pieces: Sequence[tuple[str | None, bytes]], *, json: bool = False
    ) -> None: ...
    @property
    def sink(self) -> Sink: ...
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
