"""Call a function of the application that may be async or not: one rule for all of them.

A result that can be awaited, of whatever kind, is awaited; anything else is the result.
"""

from collections.abc import Awaitable, Callable, Coroutine
from inspect import isawaitable
from typing import Any, TypeGuard


def is_awaitable(result: object) -> TypeGuard[Awaitable[Any]]:
    """Return whether what a function returned must be awaited."""
    # Most functions return None or True, and the general test takes ten times as long.
    return result is not None and result is not True and isawaitable(result)


async def call_maybe_async(function: Callable[..., Any], *arguments: object) -> Any:
    """Call *function* and return its result, awaited if need be."""
    result = function(*arguments)
    return await result if is_awaitable(result) else result


def start_maybe_async(
    function: Callable[[], Any], start: Callable[[Coroutine[Any, Any, Any]], object]
) -> None:
    """Call *function*, and *start* with a coroutine if its result must be awaited.

    For code that cannot wait itself. Raises what *function* raises.
    """
    result = function()
    if is_awaitable(result):
        start(await_result(result))


async def await_result(result: Awaitable[Any]) -> Any:
    """Return a coroutine that awaits *result*, where only a coroutine is accepted."""
    return await result
