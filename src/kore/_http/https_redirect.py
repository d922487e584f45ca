"""Redirects of a server without TLS to those with: `redirect_https` of a server."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Protocol

from kore._http.redirects import RedirectedRequest
from kore._values import hosts

if TYPE_CHECKING:
    from kore._http.router import RouteEntry

HTTPS_PORT: Final = 443
# Where certificate authorities look for the proof of a domain, without TLS: RFC 8555 section 8.3.
CHALLENGES: Final = "/.well-known/acme-challenge/"
# Entries of the cache: clients choose the hosts.
HOSTS_MAX: Final = 1024


class PlainRequest(RedirectedRequest, Protocol):
    """What a redirect to https reads of a request, and what it sets."""

    access_log: Any

    @property
    def bare_host(self) -> str:
        """The host in lower case, without port and last dot; empty for HTTP/1.0 without a host."""


@dataclass(frozen=True, slots=True)
class SecureDomain:
    """A domain of a server with TLS, and the port of that server."""

    name: str
    port: int
    access_log: Any = None


class HttpsRedirect:
    """Redirects requests for hosts of *domains*, and passes others to *resolve*, the routes."""

    def __init__(
        self,
        domains: Sequence[SecureDomain],
        resolve: Callable[[Any], "RouteEntry | None"],
    ) -> None:
        self._domains = [(hosts.compile_wildcard(domain.name), domain) for domain in domains]
        self._resolve_route = resolve
        self._find_domain = lru_cache(HOSTS_MAX)(self._match_domain)

    def resolve(self, request: PlainRequest) -> "RouteEntry | None":
        """Return the route of a request; None if it has been responded to."""
        domain = self._find_domain(request.bare_host)
        if domain is None or request.is_star or request.path.startswith(CHALLENGES):
            return self._resolve_route(request)
        request.access_log = domain.access_log
        port = "" if domain.port == HTTPS_PORT else f":{domain.port}"
        query = request.query_string
        location = f"https://{request.bare_host}{port}{request.path}{query and '?'}{query}"
        request.response_header("location", location)
        # 308: the method and the body stay as they are.
        request.response(308)
        return None

    def _match_domain(self, host: str) -> SecureDomain | None:
        """Return the first domain that matches a host; None if there is none."""
        wanted = hosts.normalize_address(host)
        return next((domain for matches, domain in self._domains if host and matches(wanted)), None)


def choose_port(ports: Sequence[int]) -> int:
    """Return the port that a redirect names, of those a server with TLS listens on.

    Without any, its sockets are Unix sockets, and the proxy in front of them has the usual port.
    """
    return HTTPS_PORT if HTTPS_PORT in ports or not ports else ports[0]
