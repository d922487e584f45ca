"""Authentication: a step that lets a request through, or sends its client away."""

from typing import TYPE_CHECKING, Any

from kore._http.sync_or_async import Work, call_validator, run_maybe_async

if TYPE_CHECKING:
    from kore._conf.schema import Auth
    from kore._http.pipeline import Step


def make_auth_step(auth: "Auth") -> "Step":
    """Return the step for *auth*."""

    def step(request: Any) -> Any:
        return run_maybe_async(authenticate(auth, request))

    return step


def authenticate(auth: "Auth", request: Any) -> Work[bool]:
    """Return whether to go on; if not, the request has been answered."""
    passed = yield from _check_credentials(auth, request)
    if request.answered:
        return False
    if not passed:
        _reject_request(auth, request)
    return passed


def _check_credentials(auth: "Auth", request: Any) -> Work[bool]:
    """Ask the application about what the request brings."""
    if auth.kind == "request":
        return (yield from call_validator(auth.verify, request))
    cookie = auth.kind == "cookie"
    value = request.cookie(auth.value) if cookie else request.request_header(auth.value)
    if value is None:
        return False
    return (yield from call_validator(auth.verify, request, value))


def _reject_request(auth: "Auth", request: Any) -> None:
    """Send the client away, or to where it can log in."""
    if not auth.redirect:
        request.refuse(403)
        return
    request.response_header("location", auth.redirect)
    request.response(302, None)
