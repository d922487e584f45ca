"""An awaitable that begins when it is awaited, and has the same result ever after."""

from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

from kore._unawaited import warn_unawaited
from kore.errors import ClientError, KoreError

T = TypeVar("T")


class LazyAwaitable(Coroutine[Any, Any, T]):
    """Work that runs when it is first awaited.

    Awaited again it has the same result, or fails as before. It is a coroutine to whoever
    wants one, such as `asyncio.create_task`.
    """

    __slots__ = ("_begun", "_failed", "_known", "_made", "_over", "_result", "_steps")

    def __init__(self, made: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._made = made
        self._steps: Generator[Any, Any, T] | None = None
        self._begun = self._over = False
        # Whether it was awaited, driven or given up.
        self._known = False
        self._result: Any = None
        # How it failed. Not the error itself: its traceback leads back to here, and nothing would
        # be freed until a collection.
        self._failed: tuple[str, int] | None = None

    def __await__(self) -> Generator[Any, Any, T]:
        self._known = True
        if not self._over:
            if self._begun:
                raise KoreError("this request is awaited already")
            self._begun = True
            try:
                self._result = yield from self._made().__await__()
            except ClientError as error:
                self._failed = str(error), error.code
                raise
            except BaseException as error:
                self._failed = f"this request was ended by {type(error).__name__}", 0
                raise
            finally:
                self._over = True
        if self._failed is not None:
            raise failed_again(*self._failed)
        result: T = self._result
        return result

    def send(self, value: Any) -> Any:
        """Run to the next place where it waits, for who drives coroutines by hand."""
        self._known = True
        if self._steps is None:
            self._steps = self.__await__()
        return self._steps.send(value)

    def throw(self, *what: Any) -> Any:
        """Raise something where it waits."""
        self._known = True
        if self._steps is None:
            self._steps = self.__await__()
        try:
            return self._steps.throw(*what)
        finally:
            del what  # the error, whose traceback leads to here

    def __del__(self) -> None:
        if not self._known:
            warn_unawaited("request", is_certain=True)

    def close(self) -> None:
        """Give it up."""
        self._known = True
        if self._steps is not None:
            self._steps.close()


def failed_again(text: str, code: int) -> KoreError:
    """Return the error of something that has failed before."""
    return ClientError(text, code) if code else KoreError(text)
