"""Call a function of the application that may be async or not: one rule for all of them.

A result that can be awaited, of whatever kind, is awaited; anything else is the result.
"""

from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any, TypeGuard


def is_awaitable(result: object) -> TypeGuard[Awaitable[Any]]:
    """Return whether what a function returned must be awaited."""
    # Most return one of these, and the general test takes ten times as long.
    return result is not None and result is not True and isawaitable(result)


async def call_maybe_async(function: Callable[..., Any], *arguments: object) -> Any:
    """Call *function* and return its result, awaited if need be."""
    result = function(*arguments)
    return await result if is_awaitable(result) else result


async def await_result(result: Awaitable[Any]) -> Any:
    """Return a coroutine that awaits *result*, for what takes coroutines only."""
    return await result
