"""A route becomes the one callable the core will call for it."""

from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from kore._maybe_async import is_awaitable

if TYPE_CHECKING:
    from kore._conf.schema import Handler, Route

# Called with the request. False: the step has answered; anything else: go on.
Step = Callable[[Any], Any]


def fold_steps(route: "Route", steps: Sequence[Step] = ()) -> "Handler":
    """Return what the core will call for *route*.

    Runs once per route, when a worker starts: a route without steps *is* its handler, and pays
    nothing for the features it does not use.
    """
    return _chain_steps(route.handler, tuple(steps)) if steps else route.handler


def _chain_steps(handler: "Handler", steps: tuple[Step, ...]) -> "Handler":
    """Return a callable that runs *steps*, then *handler* unless one of them said no."""

    def run(request: Any, *captures: str) -> Coroutine[Any, Any, None] | None:
        for at, step in enumerate(steps, 1):
            verdict = step(request)
            if verdict is False:
                return None
            if is_awaitable(verdict):
                return wait(verdict, steps[at:], request, captures)
        # An application's callable: a coroutine or nothing, one hopes.
        pending: Coroutine[Any, Any, None] | None = handler(request, *captures)
        return pending

    async def wait(
        verdict: Any, rest: tuple[Step, ...], request: Any, captures: tuple[str, ...]
    ) -> None:
        if await verdict is False:
            return
        pending = _chain_steps(handler, rest)(request, *captures)
        if is_awaitable(pending):
            await pending

    return run
