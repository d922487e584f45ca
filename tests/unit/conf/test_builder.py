"""A configuration as calls make it, and the errors that show when it is complete."""

from collections.abc import Callable
from typing import Any

import pytest

from kore._conf.builder import Builder
from kore._conf.diagnostics import shorten_path
from kore._conf.domain_handle import DomainHandle
from kore._conf.schema import Config, Route
from kore._conf.server_schema import Address
from kore.errors import ConfigError, KoreError, UnknownSettingError

LOCAL = Address("127.0.0.1", 0)


def handler(request: object, *_: object) -> None:
    raise NotImplementedError


async def task() -> None:
    raise NotImplementedError


def numbered() -> Callable[[], str]:
    """Return places like app.py:1, app.py:2, one per call."""
    lines = iter(range(1, 1000))
    return lambda: f"app.py:{next(lines)}"


@pytest.fixture
def builder() -> Builder:
    """Return a configuration with one server named default, made in app.py:1."""
    made = Builder(numbered())
    made.server("default", LOCAL, tls=False)
    return made


def routes(config: Config) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(d.name, r.path, r.methods) for d in config.domains for r in d.routes]


def complaint(builder: Builder) -> str:
    with pytest.raises(ConfigError) as raised:
        builder.build()
    assert not builder.frozen
    return str(raised.value)


# Settings


def test_a_setting_is_read_back_as_it_was_set(builder: Builder) -> None:
    builder.set("workers", "4")
    builder.set("worker_no_accept", 1)
    builder.set("worker_no_accept", 2)

    assert builder.settings.workers == 4
    assert builder.build().settings.worker_no_accept == (1, 2)


def test_an_unknown_setting_and_a_bad_value_are_errors_of_the_call(builder: Builder) -> None:
    with pytest.raises(UnknownSettingError, match="did you mean workers"):
        builder.set("worker", 4)
    with pytest.raises(ConfigError, match=r"bad value '0' for workers: 1\.\.255"):
        builder.set("workers", 0)


def test_after_the_build_settings_are_the_effective_ones(builder: Builder) -> None:
    builder.set("worker_max_connections", 1000)

    config = builder.build()

    assert config.settings.worker_rlimit_nofiles == 1256
    assert builder.settings is config.settings


# Servers, domains, routes


def test_servers_domains_and_routes_come_out_in_order(builder: Builder) -> None:
    builder.server("other", LOCAL, tls=False)
    two = builder.domain("two.test", "other")
    one = builder.domain("one.test", "default")
    one.route("/b", handler, methods=["post"])
    two.route("^/x$", handler, methods=["post"])
    one.route("/a", handler, methods=["post"])

    config = builder.build()

    assert [server.name for server in config.servers] == ["default", "other"]
    assert [(domain.name, domain.server) for domain in config.domains] == [
        ("two.test", "other"),
        ("one.test", "default"),
    ]
    assert [path for _, path, _ in routes(config)] == ["^/x$", "/b", "/a"]


def test_a_second_server_of_a_name_or_address_is_an_error_of_the_call(builder: Builder) -> None:
    builder.server("fixed", Address("::1", 80), tls=False)

    with pytest.raises(ConfigError, match="server 'fixed' already exist"):
        builder.server("fixed", LOCAL, tls=False)
    with pytest.raises(ConfigError, match=r"\[::1\]:80 is already the address of server 'fixed'"):
        builder.server("third", Address("::1", 80), tls=False)


def test_a_domain_is_usable_before_its_server(builder: Builder) -> None:
    builder.domain("*", "late").route("/", handler)
    builder.server("late", LOCAL, tls=False)

    assert [domain.server for domain in builder.build().domains] == ["late"]


def test_a_domain_no_request_could_reach_is_an_error_of_the_call(builder: Builder) -> None:
    builder.domain("*", "default")

    with pytest.raises(ConfigError, match="domain exists: "):
        builder.domain("a.test", "default")


def test_a_domain_handle_has_a_readable_repr(builder: Builder) -> None:
    assert repr(builder.domain("*", "default")) == "<kore.domain '*' on server 'default'>"


def test_the_keywords_of_a_route_become_its_requirements(builder: Builder) -> None:
    builder.domain("*", "default").route("/x", handler, methods=["get"], get={"id": "^[0-9]+$"})

    (route,) = builder.build().domains[0].routes
    assert set(route.requirements.parameters) == {1, 32}


def test_mistyped_keywords_are_type_errors_that_name_the_allowed_ones(builder: Builder) -> None:
    with pytest.raises(TypeError, match="unknown keyword 'crt', allowed are attach"):
        builder.domain("*", "default", crt="x")
    with pytest.raises(TypeError, match="unknown keyword 'method', allowed are methods"):
        builder.domain("*", "default").route("/x", handler, method=["get"])


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((5, handler), TypeError, "path must be str, not int"),
        (("", handler), ValueError, "path is empty"),
        (("/", "index"), TypeError, "route '/': 'index' is not callable"),
        (("/", None), TypeError, "route '/': None is not callable"),
        (("^/(", handler), ConfigError, "failed to compile regex for '\\^/\\(': "),
    ],
)
def test_an_invalid_route_is_an_error_of_the_call(
    builder: Builder, arguments: tuple[Any, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        builder.domain("*", "default").route(*arguments)


def test_a_domain_of_a_route_is_a_name_or_a_handle(builder: Builder) -> None:
    with pytest.raises(TypeError, match="domain must be str, not int"):
        builder.route("/", handler, domain=5)  # type: ignore[arg-type]


# Which domain a route belongs to


def test_a_route_without_a_domain_belongs_to_the_only_one(builder: Builder) -> None:
    builder.route("/", handler, methods=["post"])
    builder.domain("a.test", "default")

    assert routes(builder.build()) == [("a.test", "/", ("POST",))]


def test_a_route_finds_its_domain_on_any_server(builder: Builder) -> None:
    builder.server("other", LOCAL, tls=False)
    builder.domain("a.test", "default")
    builder.domain("b.test", "other")
    builder.route("/", handler, methods=["post"], domain="B.test")

    assert routes(builder.build()) == [("b.test", "/", ("POST",))]


def test_a_handle_tells_domains_of_one_name_apart(builder: Builder) -> None:
    builder.server("other", LOCAL, tls=False)
    builder.domain("*", "default")
    builder.route("/", handler, domain=builder.domain("*", "other"))

    assert [len(domain.routes) for domain in builder.build().domains] == [0, 1]


def test_routes_of_both_spellings_keep_the_order_they_were_made_in(builder: Builder) -> None:
    builder.route("/1", handler, domain="*")
    domain = builder.domain("*", "default")
    domain.route("/2", handler)
    builder.route("/3", handler)

    assert [path for _, path, _ in routes(builder.build())] == ["/1", "/2", "/3"]


def test_a_route_that_could_belong_to_several_is_refused_with_its_place(builder: Builder) -> None:
    builder.domain("a.test", "default")
    builder.domain("b.test", "default")
    builder.route("/", handler)

    assert complaint(builder).startswith("app.py:4: ambiguous domain on route, please specify one")


def test_a_route_without_any_domain_is_refused_even_with_one_server(builder: Builder) -> None:
    builder.route("/", handler)

    assert complaint(builder) == (
        'app.py:2: no domains configured, please configure one: call kore.domain("*")'
    )


def test_a_route_for_a_domain_that_is_not_there_is_refused(builder: Builder) -> None:
    builder.domain("a.test", "default")
    builder.route("/", handler, domain="c.test")

    assert complaint(builder) == "app.py:3: domain 'c.test' does not exist, there is 'a.test'"


# Methods


def test_a_route_takes_all_methods_unless_it_names_some(builder: Builder) -> None:
    builder.domain("*", "default").route("/", handler)

    assert routes(builder.build()) == [
        ("*", "/", ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
    ]


def test_get_brings_head(builder: Builder) -> None:
    builder.domain("*", "default").route("/", handler, methods=["get", "post"])

    assert routes(builder.build()) == [("*", "/", ("GET", "HEAD", "POST"))]


def test_a_route_with_a_head_of_its_own_keeps_it(builder: Builder) -> None:
    domain = builder.domain("*", "default")
    domain.route("/", handler, methods=["get"])
    domain.route("/", handler, methods=["head", "post"])

    assert [methods for _, _, methods in routes(builder.build())] == [("GET",), ("HEAD", "POST")]


def test_routes_that_share_a_method_are_refused_with_both_places(builder: Builder) -> None:
    domain = builder.domain("*", "default")
    domain.route("/x", handler, methods=["get", "post"])
    domain.route("/x", handler, methods=["put", "post"])

    assert complaint(builder) == ("app.py:4: duplicate route for '/x': POST is taken at app.py:3")


def test_the_same_path_on_two_domains_is_two_routes(builder: Builder) -> None:
    builder.domain("a.test", "default").route("/x", handler)
    builder.domain("b.test", "default").route("/x", handler)

    assert len(routes(builder.build())) == 2


# The whole


def test_a_server_is_needed() -> None:
    assert complaint(Builder()).startswith("no server configured")


def test_tls_without_a_certificate_is_refused_with_the_place_of_the_server() -> None:
    builder = Builder(numbered())
    builder.server("default", LOCAL, tls=True)

    assert complaint(builder) == (
        "app.py:1: server 'default' has TLS, and no domain with a certificate: attach one, or "
        "pass tls=False or write `tls no` for plain HTTP"
    )


def test_a_domain_without_a_server_is_refused_with_its_place(builder: Builder) -> None:
    builder.domain("*", "secure")

    assert complaint(builder) == (
        "app.py:2: domain '*': server 'secure' does not exist, there is 'default'"
    )


def test_settings_that_contradict_are_refused_with_their_place(builder: Builder) -> None:
    builder.set("workers", 1)
    builder.set("worker_no_accept", 1)

    assert complaint(builder).startswith("app.py:3: worker_no_accept names every worker")


def test_tasks_hooks_and_prerequests_are_kept(builder: Builder) -> None:
    kept = task()
    assert builder.create_task(kept) == 1
    assert builder.create_task(other := task()) == 2
    builder.tracer = handler
    builder.rename("shop")
    builder.hooks["workerstart"] = handler

    config = builder.build()

    assert config.tasks == (kept, other)
    assert config.tracer is handler
    assert config.name == "shop"
    assert config.hooks == {"workerstart": handler}
    builder.discard()
    assert kept.cr_frame is None


@pytest.mark.parametrize(
    "call",
    [
        lambda builder: builder.server("new", LOCAL, tls=False),
        lambda builder: builder.domain("*", "default"),
        lambda builder: builder.route("/", handler),
        lambda builder: builder.create_task(None),
        lambda builder: builder.rename("shop"),
        lambda builder: setattr(builder, "tracer", handler),
        lambda builder: builder.build(),
    ],
)
def test_nothing_is_configured_after_the_build(
    builder: Builder, call: Callable[[Builder], object]
) -> None:
    builder.build()

    with pytest.raises(KoreError, match="configuration is final: call this on import"):
        call(builder)


def test_no_setting_is_changed_after_the_build(builder: Builder) -> None:
    builder.build()

    with pytest.raises(RuntimeError, match="configured cannot be changed at runtime: set it on"):
        builder.set("workers", 1)


# Places


def test_a_call_is_placed_by_the_file_that_made_it() -> None:
    builder = Builder()
    builder.server("default", LOCAL, tls=True)

    assert complaint(builder).startswith("tests/unit/conf/test_builder.py:")


def test_a_file_elsewhere_is_shown_in_full() -> None:
    assert shorten_path("/somewhere/else/app.py") == "/somewhere/else/app.py"


def test_a_handle_is_the_type_of_a_domain(builder: Builder) -> None:
    assert type(builder.domain("*", "default")) is DomainHandle


def test_a_pattern_is_compiled_once_and_kept(builder: Builder) -> None:
    builder.domain("*", "default").route("^/([[:digit:]]+)$", handler, methods=["get"])

    route: Route = builder.build().domains[0].routes[0]
    assert route.pattern is not None
    assert route.pattern.pattern == "^/([0-9]+)$"


def test_a_setting_without_effect_is_noticed(builder: Builder) -> None:
    builder.set("seccomp_tracing", "yes")
    builder.set("workers", 1)

    (notice,) = builder.build().notices

    assert notice.endswith("seccomp_tracing has no effect in this version")


def test_a_prerequest_is_a_function(builder: Builder) -> None:
    with pytest.raises(TypeError, match="prerequest: 'check' is not callable"):
        builder.prerequest("check")  # type: ignore[arg-type]
