"""Authentication: the step that lets a request through, or responds 403 or with a redirect."""

from typing import TYPE_CHECKING, Any

from kore._http.sync_or_async import Work, call_validator, run_maybe_async

if TYPE_CHECKING:
    from kore._conf.schema import Auth
    from kore._http.pipeline import Step


def make_auth_step(auth: "Auth") -> "Step":
    """Return the step that authenticates requests by *auth*."""

    def step(request: Any) -> Any:
        return run_maybe_async(authenticate_request(auth, request))

    return step


def authenticate_request(auth: "Auth", request: Any) -> Work[bool]:
    """Return whether a request may proceed; if not, it has been responded to."""
    is_accepted = yield from _check_credentials(auth, request)
    if request.answered:
        return False
    if not is_accepted:
        _reject_request(auth, request)
    return is_accepted


def _check_credentials(auth: "Auth", request: Any) -> Work[bool]:
    """Return whether the application accepts the cookie, the header or the request."""
    if auth.kind == "request":
        return (yield from call_validator(auth.verify, request))
    cookie = auth.kind == "cookie"
    value = request.cookie(auth.value) if cookie else request.request_header(auth.value)
    if value is None:
        return False
    return (yield from call_validator(auth.verify, request, value))


def _reject_request(auth: "Auth", request: Any) -> None:
    """Respond 403, or redirect to the page for logging in."""
    if not auth.redirect:
        request.refuse(403)
        return
    request.response_header("location", auth.redirect)
    request.response(302, None)
