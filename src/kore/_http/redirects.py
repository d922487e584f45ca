"""Redirects and refusals of a domain, before its routes, and redirects to directories."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from kore._values.redirect_target import Target, compile_target

if TYPE_CHECKING:
    from kore._conf.schema import RedirectRule

LOWEST_ERROR: Final = 400
NOT_FOUND: Final = 404


class RedirectedRequest(Protocol):
    """What redirects read of a request, and how they respond to it."""

    @property
    def path(self) -> str:
        """The path in its normal form, without its query."""

    @property
    def is_star(self) -> bool:
        """Whether this is `OPTIONS *`, about the whole server."""

    @property
    def query_string(self) -> str:
        """The part behind the question mark; empty if there is none."""

    def refuse(self, status: int, allow: str = "") -> None:
        """Respond without a route."""

    def response_header(self, name: str, value: str) -> object:
        """Set a field of the response."""

    def response(self, status: int, body: bytes | None = None) -> object:
        """Respond."""


def compile_rules(rules: Sequence["RedirectRule"]) -> Callable[[RedirectedRequest], bool] | None:
    """Return a function that responds to a request by the first rule that matches its path.

    It returns whether one did. None if there are no rules.
    """
    if not rules:
        return None
    compiled = [(rule.pattern.search, rule.status, _compile_rule_target(rule)) for rule in rules]

    def respond_by_rule(request: RedirectedRequest) -> bool:
        for search, status, make_location in compiled:
            found = search(request.path)
            if found is not None and not request.is_star:
                location = make_location and make_location(found, request.query_string)
                _send_redirect(request, status, location)
                return True
        return False

    return respond_by_rule


def _compile_rule_target(rule: "RedirectRule") -> Target | None:
    """Return what builds the target of a redirect; None for a refusal."""
    return compile_target(rule.target, rule.pattern.groups) if rule.target else None


def _send_redirect(request: RedirectedRequest, status: int, location: str | None) -> None:
    """Redirect to *location*, or refuse the request if there is none."""
    if location is not None:
        request.response_header("location", location)
        request.response(status)
    else:
        # A redirect has no location if a capture cannot be the part of a host name it stands for.
        request.refuse(status if status >= LOWEST_ERROR else NOT_FOUND)


def redirect_to_directory(request: RedirectedRequest) -> None:
    """Redirect to the path of a directory, which ends in a slash.

    The host stays the same: names are never empty, so the path cannot begin with two slashes.
    """
    query = request.query_string
    request.response_header("location", request.path + "/" + (f"?{query}" if query else ""))
    request.response(301, b"")
