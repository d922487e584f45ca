"""PostgreSQL."""

from collections.abc import Callable, Coroutine, Generator, Iterable, Sequence
from types import TracebackType
from typing import Any, Self, TypeAlias

Params: TypeAlias = Sequence[str | bytes | int | float | bool | None] | None

class Rows(list[dict[str, Any]]):
    """The rows of a result, each a dict by column."""

    @property
    def rowcount(self) -> int: ...

class RowStream:
    """The rows of a query, one after the other."""

    def __aiter__(self) -> Self: ...
    async def __anext__(self) -> dict[str, Any]: ...
    async def aclose(self) -> None: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None: ...

class Transaction:
    """Queries that take effect together."""

    async def query(
        self, query: str, params: Params = None, *, binary: bool = False, bytea: bool = False
    ) -> Rows | None: ...
    async def execute(self, query: str, params: Params = None) -> int: ...
    async def pipeline(
        self, queries: Iterable[object], *, binary: bool = False, bytea: bool = False
    ) -> list[Rows | None]: ...
    def stream(
        self, query: str, params: Params = None, *, binary: bool = False, bytea: bool = False
    ) -> RowStream: ...
    def transaction(self) -> Savepoint: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None: ...

class Savepoint:
    """A transaction within another one."""

    async def __aenter__(self) -> Transaction: ...
    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None: ...

class Listening:
    """A channel that is listened to. Awaited, it waits until the server knows."""

    def close(self) -> None: ...
    def __await__(self) -> Generator[Any, None, Listening]: ...

def dbquery(
    db: str, query: str, params: Params = None, *, binary: bool = False, bytea: bool = False
) -> Coroutine[Any, Any, Rows | None]: ...
def dbexecute(db: str, query: str, params: Params = None) -> Coroutine[Any, Any, int]: ...
def dbpipeline(
    db: str, queries: Iterable[object], *, binary: bool = False, bytea: bool = False
) -> Coroutine[Any, Any, list[Rows | None]]: ...
def dbstream(
    db: str, query: str, params: Params = None, *, binary: bool = False, bytea: bool = False
) -> RowStream: ...
def transaction(
    db: str, *, isolation: str | None = None, readonly: bool = False
) -> Transaction: ...
def listen(
    db: str,
    channel: str,
    callback: Callable[[str, str], object],
    *,
    again: Callable[[], object] | None = None,
) -> Listening: ...
