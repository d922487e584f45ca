"""An awaitable that begins when it is awaited, and has the same result ever after."""

from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

from kore.errors import KoreError

T = TypeVar("T")


class Later(Coroutine[Any, Any, T]):
    """Work that runs when it is first awaited.

    Awaited again it has the same result, or raises the same error. It is a coroutine to whoever
    wants one, such as `asyncio.create_task`.
    """

    __slots__ = ("_begun", "_error", "_made", "_over", "_result", "_steps")

    def __init__(self, made: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._made = made
        self._steps: Generator[Any, Any, T] | None = None
        self._begun = self._over = False
        self._result: Any = None
        self._error: BaseException | None = None

    def __await__(self) -> Generator[Any, Any, T]:
        if not self._over:
            if self._begun:
                raise KoreError("this request is awaited already")
            self._begun = True
            try:
                self._result = yield from self._made().__await__()
            except Exception as error:
                self._error = error
                raise
            except BaseException:
                self._error = KoreError("this request was cancelled")
                raise
            finally:
                self._over = True
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[no-any-return] # what the work returned

    def send(self, value: Any) -> Any:
        """Run to the next place where it waits, for who drives coroutines by hand."""
        if self._steps is None:
            self._steps = self.__await__()
        return self._steps.send(value)

    def throw(self, *what: Any) -> Any:
        """Raise something where it waits."""
        if self._steps is None:
            self._steps = self.__await__()
        return self._steps.throw(*what)

    def close(self) -> None:
        """Give it up."""
        if self._steps is not None:
            self._steps.close()
