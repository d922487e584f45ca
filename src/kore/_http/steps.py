"""The steps before a handler: authentication, prerequests, validation of parameters."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kore._http.auth import make_auth_step
from kore._http.pipeline import Step
from kore._http.request_data import make_validation_step
from kore._http.sync_or_async import Work, run_maybe_async
from kore._maybe_async import is_awaitable

if TYPE_CHECKING:
    from kore._conf.schema import Prerequest, Route

log = logging.getLogger("kore")


def build_steps(route: "Route", prerequests: Sequence["Prerequest"]) -> list[Step]:
    """Return the steps of *route*, in order."""
    requirements = route.requirements
    found: list[Step] = []
    if requirements.auth is not None:
        found.append(make_auth_step(requirements.auth))
    found.extend(map(_make_prerequest_step, prerequests))
    if requirements.parameters:
        found.append(make_validation_step(strict=requirements.strict))
    return found


def _make_prerequest_step(hook: "Prerequest") -> Step:
    """Return the step that calls *hook*."""

    def step(request: Any) -> Any:
        return run_maybe_async(_run_prerequest(hook, request))

    return step


def _run_prerequest(hook: "Prerequest", request: Any) -> Work[bool]:
    """Return whether a request may proceed: not after False, and not after a response."""
    result = hook(request)
    if is_awaitable(result):
        result = yield result
    if result is False and not request.answered:
        log.error(
            "no response: prerequest %r stopped route '%s' without calling response()",
            getattr(hook, "__qualname__", hook),
            request.get_route_label(),
        )
        request.fail()
    return result is not False and not request.answered
