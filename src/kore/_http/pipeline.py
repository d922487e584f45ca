"""A route becomes the one callable the core will call for it."""

from collections.abc import Callable, Coroutine, Sequence
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kore._conf.schema import Handler, Route

# Called with the request. False: the step has answered; anything else: go on.
Step = Callable[[Any], Any]


def fold(route: "Route", steps: Sequence[Step] = ()) -> "Handler":
    """Return what the core will call for *route*.

    Runs once per route, when a worker starts: a route without steps *is* its handler, and pays
    nothing for the features it does not use.
    """
    return folded(route.handler, tuple(steps)) if steps else route.handler


def folded(handler: "Handler", steps: tuple[Step, ...]) -> "Handler":
    """Return a callable that runs *steps*, then *handler* unless one of them said no."""

    def run(request: Any, *captures: str) -> Coroutine[Any, Any, None] | None:
        for at, step in enumerate(steps, 1):
            verdict = step(request)
            if verdict is False:
                return None
            if verdict is not True and isawaitable(verdict):
                return wait(verdict, steps[at:], request, captures)
        # An application's callable: a coroutine or nothing, one hopes.
        pending: Coroutine[Any, Any, None] | None = handler(request, *captures)
        return pending

    async def wait(
        verdict: Any, rest: tuple[Step, ...], request: Any, captures: tuple[str, ...]
    ) -> None:
        if await verdict is False:
            return
        pending = folded(handler, rest)(request, *captures)
        if pending is not None:
            await pending

    return run
