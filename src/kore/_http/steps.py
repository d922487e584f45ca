"""What runs before a handler: who asks, what the application wants first, the parameters."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kore._http.auth import authentication
from kore._http.pipeline import Step
from kore._http.request_data import validation
from kore._http.sync_or_async import Work, drive
from kore._maybe_async import is_awaitable

if TYPE_CHECKING:
    from kore._conf.schema import Prerequest, Route

log = logging.getLogger("kore")


def steps(route: "Route", prerequests: Sequence["Prerequest"]) -> list[Step]:
    """Return the steps before the handler of *route*, in order."""
    demands = route.demands
    found: list[Step] = []
    if demands.auth is not None:
        found.append(authentication(demands.auth))
    found.extend(map(prerequest, prerequests))
    if demands.declared:
        found.append(validation(strict=demands.strict))
    return found


def prerequest(hook: "Prerequest") -> Step:
    """Return the step that calls *hook*."""

    def step(request: Any) -> Any:
        return drive(allowed(hook, request))

    return step


def allowed(hook: "Prerequest", request: Any) -> Work[bool]:
    """Return whether to go on: not after False, and not after an answer."""
    verdict = hook(request)
    if is_awaitable(verdict):
        verdict = yield verdict
    if verdict is False and not request.answered:
        log.error(
            "no response: prerequest %r stopped route '%s' without calling response()",
            getattr(hook, "__qualname__", hook),
            request.where(),
        )
        request.fail()
    return verdict is not False and not request.answered
