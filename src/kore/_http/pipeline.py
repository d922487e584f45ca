"""Build the one callable that the core calls for a route: its handler behind its steps."""

from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from kore._maybe_async import is_awaitable

if TYPE_CHECKING:
    from kore._conf.schema import Handler, Route

# Called with the request. Returns False, or an awaitable of it, if the step has responded.
Step = Callable[[Any], Any]


def fold_steps(route: "Route", steps: Sequence[Step] = ()) -> "Handler":
    """Return the callable for *route*.

    Runs once for each route, when a worker starts. Without steps it is the handler itself, so a
    route pays nothing for features that it does not use.
    """
    return _chain_steps(route.handler, tuple(steps)) if steps else route.handler


def _chain_steps(handler: "Handler", steps: tuple[Step, ...]) -> "Handler":
    """Return a callable that runs *steps*, then *handler* unless a step returned False."""

    def run(request: Any, *captures: str) -> Coroutine[Any, Any, None] | None:
        for at, step in enumerate(steps, 1):
            result = step(request)
            if result is False:
                return None
            if is_awaitable(result):
                return wait(result, steps[at:], request, captures)
        # The result of an application's callable is not checked.
        pending: Coroutine[Any, Any, None] | None = handler(request, *captures)
        return pending

    async def wait(
        result: Any, rest: tuple[Step, ...], request: Any, captures: tuple[str, ...]
    ) -> None:
        if await result is False:
            return
        pending = _chain_steps(handler, rest)(request, *captures)
        if is_awaitable(pending):
            await pending

    return run
