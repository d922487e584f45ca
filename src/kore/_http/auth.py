"""Authentication: a step that lets a request through, or sends its client away."""

from typing import TYPE_CHECKING, Any

from kore._http.sync_or_async import Work, consented, drive

if TYPE_CHECKING:
    from kore._conf.schema import Auth
    from kore._http.pipeline import Step


def authentication(auth: "Auth") -> "Step":
    """Return the step for *auth*."""

    def authenticate(request: Any) -> Any:
        return drive(admitted(auth, request))

    return authenticate


def admitted(auth: "Auth", request: Any) -> Work[bool]:
    """Return whether to go on; if not, the request has been answered."""
    passed = yield from trusted(auth, request)
    if request.answered:
        return False
    if not passed:
        deny(auth, request)
    return passed


def trusted(auth: "Auth", request: Any) -> Work[bool]:
    """Ask the application about what the request brings."""
    if auth.kind == "request":
        return (yield from consented(auth.verify, request))
    cookie = auth.kind == "cookie"
    value = request.cookie(auth.value) if cookie else request.request_header(auth.value)
    if value is None:
        return False
    return (yield from consented(auth.verify, request, value))


def deny(auth: "Auth", request: Any) -> None:
    """Send the client away, or to where it can log in."""
    if not auth.redirect:
        request.refuse(403)
        return
    request.response_header("location", auth.redirect)
    request.response(302, None)
