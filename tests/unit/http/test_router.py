"""Host, path and method -> a route and its captures, or the right refusal."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from kore._conf.schema import Domain, Route
from kore._http import router as module
from kore._http.pipeline import fold_steps
from kore._http.router import HostKey, RouteEntry, Router
from kore._values.methods import METHODS


@dataclass
class FakeRequest:
    """What the router reads, and what it says."""

    path: str = "/"
    method: int = METHODS["GET"]
    method_name: str = "GET"
    host_key: HostKey = "a.test"
    is_star: bool = False
    captures: tuple[str, ...] | None = None
    refused: list[tuple[int, str]] = field(default_factory=list)

    query_string: str = ""

    def refuse(self, status: int, allow: str = "") -> None:
        self.refused.append((status, allow))

    def refuse_misdirected(self) -> None:
        self.refused.append((421, ""))

    def response_header(self, name: str, value: str) -> None:
        self.location = value

    def response(self, status: int, body: bytes | None) -> None:
        self.refused.append((status, self.location))


def route(path: str, *methods: str) -> Route:
    """Return a route whose handler is recognised by its path."""
    return Route(path, handler=path.upper, methods=methods or ("GET", "HEAD"))


def router(*routes: Route, name: str = "*") -> Router:
    return Router([Domain(name, "default", routes)], fold_steps)


def name(entry: RouteEntry | None) -> str:
    return entry.route.path if entry else ""


def ask(found: Router, path: str = "/", method: str = "GET", **more: Any) -> str | list[Any]:
    """Return the path of the route found, or what was refused: always twice, to use the cache."""
    for _ in range(2):
        request = FakeRequest(path, METHODS.get(method, 0), method, **more)
        entry = found.resolve(request)
        assert (entry is None) == (len(request.refused) == 1)
    return name(entry) or request.refused


def files(path: str) -> Route:
    """Return the route of a filemap."""
    return Route(path, handler=path.upper, methods=("GET", "HEAD"), files="/srv")


# Filemaps


def test_a_filemap_takes_what_is_below_its_path() -> None:
    found = router(files("/css/"))

    assert ask(found, "/css/") == "/css/"
    assert ask(found, "/css/a/b.css") == "/css/"
    assert ask(found, "/css") == ask(found, "/css", "HEAD") == [(301, "/css/")]
    assert ask(found, "/css", "POST") == [(405, "GET, HEAD, OPTIONS")]
    assert ask(found, "/a/css/b") == [(404, "")]
    assert ask(found, "/css/a", "POST") == [(405, "GET, HEAD, OPTIONS")]


def test_the_path_of_a_filemap_is_no_regular_expression() -> None:
    assert ask(router(files("/a.b/")), "/axb/c") == [(404, "")]


def test_of_a_filemap_and_a_route_the_one_that_stands_first_wins() -> None:
    assert ask(router(files("/"), route("/a")), "/a") == "/"
    assert ask(router(route("/a"), files("/")), "/a") == "/a"
    assert ask(router(files("/"), route("^/a")), "/a") == "/"
    assert ask(router(route("^/a"), files("/")), "/a") == "^/a"


def test_a_filemap_leaves_other_methods_to_later_routes() -> None:
    assert ask(router(files("/"), route("/a", "POST")), "/a", "POST") == "/a"


@pytest.mark.parametrize("order", [("/", "/a/", "/a/b/"), ("/a/", "/a/b/", "/"), ("/a/b/", "/")])
def test_of_several_filemaps_the_longest_path_wins_wherever_it_stands(order: Any) -> None:
    found = router(*map(files, order))

    assert ask(found, "/a/b/c") == "/a/b/"
    assert ask(found, "/x") == "/"
    if "/a/" in order:
        assert ask(found, "/a/c") == "/a/"


def test_a_longer_filemap_is_moved_before_the_shorter_one() -> None:
    """As in Kore, where the shorter one takes the request and the longer one serves it."""
    found = router(files("/"), route("/a/b"), files("/a/"))

    assert ask(found, "/a/b") == "/a/"


# Paths and methods


def test_a_literal_path_is_compared_as_a_whole() -> None:
    found = router(route("/a"), route("/a/b"))

    assert ask(found, "/a") == "/a"
    assert ask(found, "/a/b") == "/a/b"
    assert ask(found, "/a/") == [(404, "")]
    assert ask(found, "//a") == [(404, "")]
    assert ask(found, "/A") == [(404, "")]


def test_an_entry_holds_what_the_core_needs() -> None:
    asked = route("/a")

    entry = router(asked).resolve(FakeRequest("/a"))

    assert entry is not None
    assert entry.run is asked.handler
    assert entry.label == b"/a"
    assert entry.route is asked


def test_a_label_is_cut_to_what_the_scoreboard_holds() -> None:
    entry = router(route("/" + "ö" * 60)).resolve(FakeRequest("/" + "ö" * 60))

    assert entry is not None
    assert entry.label == ("/" + "ö" * 31).encode()


def test_a_literal_path_has_no_captures() -> None:
    request = FakeRequest("/a")

    router(route("/a")).resolve(request)

    assert request.captures is None


@pytest.mark.parametrize(
    ("pattern", "path", "captures"),
    [
        ("^/user/([a-z]+)$", "/user/bob", ("bob",)),
        ("^/([a-z]*)/([0-9]+)$", "//7", ("", "7")),
        ("^/(a)?(b)?/c$", "/b/c", ()),
        ("^/(a)?(b)?/c$", "/a/c", ("a",)),
        ("^/(a)(x)?(b)$", "/ab", ("a",)),
        ("^/" + "(.)" * 17, "/abcdefghijklmnopq", tuple("abcdefghijklmno")),
    ],
)
def test_groups_become_captures_up_to_the_first_unmatched_one(
    pattern: str, path: str, captures: tuple[str, ...]
) -> None:
    request = FakeRequest(path)

    assert name(router(route(pattern)).resolve(request)) == pattern
    assert request.captures == captures


def test_an_expression_without_groups_has_no_captures() -> None:
    request = FakeRequest("/abc")

    assert name(router(route("b")).resolve(request)) == "b"
    assert request.captures is None


def test_the_method_decides_between_routes_of_one_path() -> None:
    get, post = route("/a", "GET"), Route("/a", str.lower, ("POST",))
    found = router(get, post)

    assert found.resolve(FakeRequest("/a", METHODS["GET"])).run is get.handler  # type: ignore[union-attr]
    assert found.resolve(FakeRequest("/a", METHODS["POST"])).run is post.handler  # type: ignore[union-attr]


def test_the_method_decides_between_expressions_too() -> None:
    found = router(route("^/a", "GET"), route("a$", "POST"))

    assert ask(found, "/a", "GET") == "^/a"
    assert ask(found, "/a", "POST") == "a$"
    assert ask(found, "/a", "PUT") == [(405, "GET, POST, OPTIONS")]


def test_an_expression_that_finds_nothing_gives_way_to_the_next() -> None:
    found = router(route("^/a$"), route("^/b$", "POST"), route("^/[bc]$"))

    assert ask(found, "/b") == "^/[bc]$"
    assert ask(found, "/d") == [(404, "")]


# Order


def test_an_expression_registered_first_wins_over_a_literal_path() -> None:
    assert ask(router(route("^/a"), route("/a")), "/a") == "^/a"


def test_a_literal_path_registered_first_wins_over_an_expression() -> None:
    found = router(route("/a"), route("^/a"))

    assert ask(found, "/a") == "/a"
    assert ask(found, "/ab") == "^/a"


def test_the_first_of_two_expressions_wins() -> None:
    assert ask(router(route("b"), route("a")), "/ab") == "b"


def test_an_earlier_expression_wins_only_the_methods_it_takes() -> None:
    found = router(route("^/(a)", "POST"), route("/a", "GET", "POST"), route("a", "PUT"))

    assert ask(found, "/a", "GET") == "/a"
    assert ask(found, "/a", "POST") == "^/(a)"
    assert ask(found, "/a", "PUT") == "a"
    assert ask(found, "/a", "DELETE") == [(405, "GET, POST, PUT, OPTIONS")]


def test_an_earlier_expression_that_wins_has_its_captures() -> None:
    request = FakeRequest("/a")

    router(route("^/(a)"), route("/a")).resolve(request)

    assert request.captures == ("a",)


def test_the_first_of_two_equal_routes_wins() -> None:
    first, second = route("/a"), Route("/a", str.lower, ("GET",))

    assert router(first, second).resolve(FakeRequest("/a")).run is first.handler  # type: ignore[union-attr]


# Methods that have no number


def test_a_method_without_a_number_has_a_route_that_names_it() -> None:
    found = router(route("/a", "GET", "PROPFIND"), route("^/(.)(x)?", "LOCK", "PROPFIND"))

    assert ask(found, "/a", "PROPFIND") == "/a"
    assert ask(found, "/b", "PROPFIND") == "^/(.)(x)?"
    assert ask(found, "/a", "LOCK") == "^/(.)(x)?"


def test_an_expression_has_its_captures_with_any_method() -> None:
    request = FakeRequest("/b", 0, "LOCK")
    router(route("^/(.)(x)?", "LOCK")).resolve(request)

    assert request.captures == ("b",)


def test_the_route_for_all_takes_every_method() -> None:
    found = router(route("/a", *METHODS, "*"), route("/b"))

    assert ask(found, "/a", "PURGE") == "/a"
    assert ask(found, "/a", "GET") == "/a"
    assert ask(found, "/b", "PURGE") == [(501, "")]


def test_the_first_route_wins_also_over_the_one_for_all() -> None:
    found = router(route("^/a", "LOCK"), route("/a", *METHODS, "*"))

    assert ask(found, "/a", "LOCK") == "^/a"
    assert ask(found, "/a", "MOVE") == "/a"


def test_a_method_without_a_number_is_refused_where_no_route_names_it() -> None:
    ours = route("/a", "LOCK"), route("/b", "GET", "MOVE"), route("^/b", "COPY")
    found = router(*ours, files("/f/"))

    assert ask(found, "/a", "MOVE") == [(405, "OPTIONS, LOCK")]
    assert ask(found, "/b", "LOCK") == [(405, "GET, OPTIONS, COPY, MOVE")]
    assert ask(found, "/f", "LOCK") == [(405, "GET, HEAD, OPTIONS")]
    assert ask(found, "/c", "LOCK") == [(404, "")]
    assert ask(found, "/a", "UNLOCK") == [(501, "")]


def test_allow_names_methods_without_a_number() -> None:
    found = router(route("/a", "LOCK"), route("^/b", "GET", "MOVE", "COPY"))

    assert ask(found, "/a", "GET") == [(405, "OPTIONS, LOCK")]
    assert ask(found, "/b", "POST") == [(405, "GET, OPTIONS, COPY, MOVE")]
    assert ask(found, "/a", "OPTIONS") == [(204, "OPTIONS, LOCK")]
    assert ask(found, "*", "OPTIONS", is_star=True) == [(204, "GET, OPTIONS, COPY, LOCK, MOVE")]


# Refusals


def test_another_method_is_405_with_the_allowed_ones() -> None:
    found = router(route("/a", "GET", "HEAD"), route("/a", "POST"))

    assert ask(found, "/a", "PUT") == [(405, "GET, HEAD, POST, OPTIONS")]


def test_options_is_204_if_no_route_takes_it() -> None:
    assert ask(router(route("/a")), "/a", "OPTIONS") == [(204, "GET, HEAD, OPTIONS")]
    assert ask(router(route("^/a")), "/a", "OPTIONS") == [(204, "GET, HEAD, OPTIONS")]


def test_options_is_for_the_route_that_takes_it() -> None:
    assert ask(router(route("/a", "OPTIONS")), "/a", "OPTIONS") == "/a"


def test_options_of_nothing_is_not_found() -> None:
    assert ask(router(route("/a")), "/b", "OPTIONS") == [(404, "")]


@pytest.mark.parametrize("host", ["a.test", "unknown.test"])
def test_options_star_is_about_the_whole_server(host: str) -> None:
    found = Router(
        [
            Domain("a.test", "default", (route(".", "POST", "OPTIONS"),)),
            Domain("b.test", "default", (route("/", "DELETE"),)),
        ],
        fold_steps,
    )

    assert ask(found, "*", "OPTIONS", host_key=host, is_star=True) == [
        (204, "POST, DELETE, OPTIONS")
    ]


def test_a_server_without_routes_finds_nothing() -> None:
    assert ask(router()) == [(404, "")]
    assert ask(Router([], fold_steps)) == [(404, "")]


# Domains


def domains(*names: str, verified: tuple[str, ...] = ()) -> Router:
    """Return a router with a route named after each domain."""
    return Router(
        [Domain(name, "default", (Route("/", name.upper, ("GET",)),)) for name in names],
        fold_steps,
        verified=verified,
    )


def domain_of(found: Router, host: HostKey) -> str:
    entry = found.resolve(FakeRequest(host_key=host))
    return entry.run().lower() if entry else ""


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("exact.test", "exact.test"),
        ("b.wild.test", "*.wild.test"),
        ("a.b.wild.test", "*.wild.test"),
        (".wild.test", "*.wild.test"),
        ("wild.test", ""),
        ("ax.test", ""),
        ("[ab]?.test", "[ab]?.test"),
        ("[::1]", "[::1]"),
        ("[0:0:0:0:0:0:0:1]", "[::1]"),
        ("exact.test.", ""),
    ],
)
def test_a_host_is_matched_exactly_or_by_wildcards(host: str, domain: str) -> None:
    assert domain_of(domains("Exact.test", "*.Wild.test", "[ab]?.test", "[::1]"), host) == domain


def test_the_first_domain_that_matches_wins() -> None:
    found = domains("*.test", "a.test", "*")

    assert domain_of(found, "a.test") == "*.test"
    assert domain_of(found, "other") == "*"


def test_a_host_without_a_domain_is_not_found() -> None:
    assert ask(domains("a.test"), host_key="b.test") == [(404, "")]


def test_a_client_that_names_no_host_gets_the_first_domain() -> None:
    assert domain_of(domains("a.test", "*"), "") == "a.test"


def test_unknown_hosts_do_not_grow_the_cache_without_limit() -> None:
    found = domains("*.test", "last")

    for number in range(3 * module.HOSTS_MAX):
        assert domain_of(found, f"{number}.test") == "*.test"

    assert len(found._hosts) <= module.HOSTS_MAX
    assert domain_of(found, "last") == "last"


# Connections with TLS: the host, the domain of the handshake, whether the client named it

OPEN = ("a.test", "b.test", "*.wild.test")
VERIFIED = ("first.verified.test", "Second.verified.test")


@pytest.mark.parametrize(
    ("host", "handshake", "is_named", "domain"),
    [
        # The name of the handshake matches the same domain.
        ("x.wild.test", "*.wild.test", True, "*.wild.test"),
        ("second.verified.test", "Second.verified.test", True, "second.verified.test"),
        # No name: the certificate was that of the default domain, which may be any.
        ("a.test", "a.test", False, "a.test"),
        ("b.test", "a.test", False, "b.test"),
        ("first.verified.test", "first.verified.test", False, "first.verified.test"),
        # No host in HTTP/1.0.
        ("", "b.test", True, "b.test"),
        ("", "first.verified.test", False, "first.verified.test"),
    ],
)
def test_a_host_may_be_another_than_that_of_the_handshake(
    host: str, handshake: str, is_named: bool, domain: str
) -> None:
    found = domains(*OPEN, *VERIFIED, verified=VERIFIED)

    assert domain_of(found, (host, handshake, is_named)) == domain


@pytest.mark.parametrize(
    ("host", "handshake", "is_named"),
    [
        ("b.test", "a.test", True),
        ("unknown.test", "a.test", True),
        ("first.verified.test", "a.test", True),
        ("a.test", "first.verified.test", True),
        # No name: never one of those that verify clients, if it is not the default.
        ("first.verified.test", "a.test", False),
        ("second.verified.test", "first.verified.test", False),
        ("a.test", "first.verified.test", False),
    ],
)
def test_a_request_for_another_host_than_that_of_the_handshake_is_misdirected(
    host: str, handshake: str, is_named: bool
) -> None:
    found = domains(*OPEN, *VERIFIED, verified=VERIFIED)

    assert ask(found, host_key=(host, handshake, is_named)) == [(421, "")]
    assert ask(found, "*", "OPTIONS", host_key=(host, handshake, is_named), is_star=True) == [
        (421, "")
    ]


def test_an_unknown_host_on_a_connection_for_no_host_is_not_found() -> None:
    assert ask(domains(*OPEN), host_key=("c.test", "a.test", False)) == [(404, "")]
