"""Tasks that take their first step at once; see eager_task.pyx."""

from asyncio import AbstractEventLoop, Task
from collections.abc import Callable, Coroutine
from typing import Any

class TaskStarter:
    """Starts the coroutines of requests."""

    def __init__(
        self,
        loop: AbstractEventLoop,
        handlers: dict[int, tuple[Task[None], Any]],
        on_return: Callable[[Any, Any, Any], object],
        on_error: Callable[[Any, BaseException], bool],
    ) -> None: ...
    def start(
        self, inner: Coroutine[Any, Any, Any], request: Any, then: Any = None
    ) -> Task[None]: ...
