"""What all connections of a worker share; see service.pyx."""

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any

from kore._core.connection import Connection
from kore._core.request import Request

class Service:
    """Limits, counters, and the callables that the core was handed."""

    def __init__(
        self,
        limits: Mapping[str, Any],
        *,
        spawn: Callable[[Coroutine[Any, Any, Any], Request], object],
        stream: Callable[[Request, int, AsyncIterator[object]], None],
        failed: Callable[[Request, BaseException | None], None],
        defer: Callable[[Callable[[], object]], object],
        later: Callable[..., object],
        future: Callable[[], Any],
        parts: Callable[[Request, Any], Any],
        discard: Callable[[Request, Any], None] | None = None,
        refused: Callable[[Connection, int], None] | None = None,
        sink: Callable[[Request, Any], Any] | None = None,
        greet: Callable[[Request, Any], bool] | None = None,
        free: Callable[[Request, Any, Any], None] | None = None,
        hub: Any = None,
        pgsql: Callable[..., Coroutine[Any, Any, Any]] | None = None,
        slot: memoryview | None = None,
    ) -> None: ...
    @property
    def requests(self) -> int: ...
    @property
    def connections(self) -> int: ...
    @property
    def draining(self) -> bool: ...
    def drain(self, *, patient: bool = False) -> None: ...
