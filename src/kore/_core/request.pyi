"""One question; see request.pyx."""

from asyncio import Future
from collections.abc import Coroutine, Sequence
from datetime import datetime
from typing import Any

from kore._core.accesslog import Journal
from kore._core.connection import Connection
from kore._core.content import Content
from kore._core.file import Piece
from kore._core.payload import Terms
from kore._core.stream import Stream

class Peer(Stream):
    """The client, as a request needs it."""

def began(request: Request) -> float: ...

class Request(Content):
    """An HTTP request, and the way to answer it."""

    captures: tuple[str, ...] | None
    journal: Journal | None
    @property
    def answered(self) -> bool: ...
    @property
    def status(self) -> int: ...
    @property
    def connection(self) -> Connection: ...
    def pgsql(
        self,
        db: str,
        query: str,
        params: Sequence[object] | None = None,
        *,
        binary: bool = False,
        bytea: bool = False,
    ) -> Coroutine[Any, Any, Any]: ...
    def response_header(self, name: str, value: str) -> bool: ...
    def response_cookie(
        self,
        name: str,
        value: str,
        *,
        path: str | None = "/",
        domain: str | None = None,
        max_age: int | None = None,
        expires: datetime | float | None = None,
        secure: bool | None = None,
        http_only: bool = True,
        same_site: str | None = "Lax",
        replace: bool = True,
    ) -> bool: ...
    def response(self, status: int, body: Any = None) -> bool: ...
    def websocket_handshake(
        self,
        onconnect: Any = None,
        onmsg: Any = None,
        ondisconnect: Any = None,
        **terms: Any,
    ) -> bool: ...
    def upgrade(
        self,
        terms: Terms,
        callbacks: tuple[Any, ...],
        deflater: Any,
        protocol: str | None = None,
    ) -> bool: ...
    def answer_pieces(
        self, status: int, lines: dict[str, bytes], pieces: tuple[bytes | Piece, ...]
    ) -> None: ...
    def refuse(self, status: int, allow: str = "", size: int = -1) -> None: ...
    def fail(self, status: int = 500) -> None: ...
    def where(self) -> str: ...
    def attend(self, task: Any) -> None: ...
    def working(self) -> list[Any]: ...
    def proceed(self) -> None: ...
    def take_more(self) -> None: ...
    def want_body(self) -> None: ...
    def spoil(self, status: int) -> None: ...
    def open_body(self, status: int) -> None: ...
    @property
    def is_served(self) -> bool: ...
    def write_body(self, item: object) -> bool: ...
    def end_body(self) -> None: ...
    def drained(self) -> Future[None]: ...
    # Whatever an application keeps on it.
    def __getattr__(self, name: str) -> Any: ...
    def __setattr__(self, name: str, value: Any) -> None: ...
