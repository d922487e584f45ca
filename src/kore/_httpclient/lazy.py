"""An awaitable that starts when it is awaited, and may be awaited again for the same result."""

from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

from kore._unawaited import warn_unawaited
from kore.errors import ClientError, KoreError

T = TypeVar("T")


class LazyAwaitable(Coroutine[Any, Any, T]):
    """A coroutine that is created by *create* when this is first awaited.

    Awaited again, this has the same result, or raises an error like the first. It is a coroutine
    itself, as `asyncio.create_task` requires. Raises KoreError if it is awaited while it runs.
    """

    __slots__ = (
        "_create",
        "_failure",
        "_is_over",
        "_is_started",
        "_is_used",
        "_iterator",
        "_result",
    )

    def __init__(self, create: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._create = create
        self._iterator: Generator[Any, Any, T] | None = None
        self._is_started = self._is_over = False
        # It was awaited, sent to or closed, so that there is no reason for a warning.
        self._is_used = False
        self._result: Any = None
        # Message and code of the error. Not the error itself: its traceback refers to this object,
        # and nothing would be freed until a garbage collection.
        self._failure: tuple[str, int] | None = None

    def __await__(self) -> Generator[Any, Any, T]:
        self._is_used = True
        if not self._is_over:
            if self._is_started:
                raise KoreError("this request is awaited already")
            self._is_started = True
            try:
                self._result = yield from self._create().__await__()
            except ClientError as error:
                self._failure = str(error), error.code
                raise
            except BaseException as error:
                self._failure = f"this request was ended by {type(error).__name__}", 0
                raise
            finally:
                self._is_over = True
        if self._failure is not None:
            raise make_failure(*self._failure)
        result: T = self._result
        return result

    def send(self, value: Any) -> Any:
        """Run to the next suspension, as a coroutine does."""
        self._is_used = True
        if self._iterator is None:
            self._iterator = self.__await__()
        return self._iterator.send(value)

    def throw(self, *exception: Any) -> Any:
        """Raise an exception where it is suspended."""
        self._is_used = True
        if self._iterator is None:
            self._iterator = self.__await__()
        try:
            return self._iterator.throw(*exception)
        finally:
            del exception  # its traceback refers to this object

    def __del__(self) -> None:
        if not self._is_used:
            warn_unawaited("request", is_certain=True)

    def close(self) -> None:
        """Close the coroutine if it has started."""
        self._is_used = True
        if self._iterator is not None:
            self._iterator.close()


def make_failure(message: str, code: int) -> KoreError:
    """Return a new error with the message and code of an earlier one."""
    return ClientError(message, code) if code else KoreError(message)
