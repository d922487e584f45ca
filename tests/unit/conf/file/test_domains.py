"""Domains and routes of kore.conf: for each directive what it does, and what it refuses."""

import pytest

from kore._conf.file.printer import Printer
from kore._conf.schema import Auth
from kore._values.methods import METHODS
from tests.helpers.conf import allowed, built, complaints, config, domain, index, route

VALIDATORS = "validator v_uid regex ^[0-9]+$\nvalidator v_fun function allowed\n"
AUTHENTICATION = (
    "authentication auth {\n authentication_type request\n authentication_validator allowed\n}\n"
)


def test_a_domain_has_its_routes_in_order() -> None:
    made = config(
        "domain a.test {\n attach plain\n"
        " route /x {\n  handler index\n }\n"
        " route ^/([a-z]+)$ {\n  methods get POST\n  handler koreapp.page\n }\n}\n"
    )

    (first,) = made.domains
    assert (first.name, first.server) == ("a.test", "plain")
    assert [(route.path, route.handler, route.methods) for route in first.routes] == [
        ("/x", index, ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")),
        ("^/([a-z]+)$", index, ("GET", "HEAD", "POST")),
    ]


def test_a_domain_may_be_on_one_line() -> None:
    assert config("domain * { attach plain }").domains[0].name == "*"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("domain", "1: write `domain NAME {`, not 0 words"),
        ('domain "" {\n}', "1: domain is empty"),
        ("domain " + "a" * 254 + " {\n}", "1: domain name too long: 254 characters, 253 at most"),
        ("domain a:80 {\n}", "1: domain 'a:80': leave the port out, it is the server's"),
        ("domain a {\n}", "1: domain 'a': domain 'a' not attached to server: write `attach NAME`"),
        (
            "domain a {\n attach plain\n attach plain\n}",
            "3: domain 'a': already attached to server",
        ),
        ("domain a {\n attach\n}", "2: domain 'a': write `attach SERVER`, not 0 words"),
        (
            domain("") + "domain a { attach plain }",
            "4: domain exists: '*' on server 'plain' already",
        ),
    ],
)
def test_a_domain_that_is_wrong_is_refused(text: str, problem: str) -> None:
    (said,) = complaints(text)

    assert said.startswith(f"kore.conf:{problem}")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("route /y {\n}", "2: route '/y': no handler: write `handler FUNCTION`"),
        ("route {\n}", "2: domain '*': write `route PATH {`, not 0 words"),
        ("route /y", "2: domain '*': write `route PATH {`, with a block"),
        ("route ^( {\n}", "2: domain '*': failed to compile regex for '^('"),
        ("route /y {\n handler inedx\n}", "3: route '/y': handler 'inedx' not found (did you mean"),
        ("route /y {\n handler index\n methods\n}", "4: route '/y': write `methods METHOD…`"),
        (
            "route /y {\n handler index\n methods gett\n}",
            "4: route '/y': unknown HTTP method: GETT",
        ),
        ("handler index", "2: domain '*': handler belongs inside of a route block"),
        (
            "route /y {\n handler index\n attach plain\n}",
            "4: route '/y': attach belongs inside of a",
        ),
        (
            "route /y {\n handler index\n}\nroute /y {\n handler index\n}",
            "5: duplicate route for '/y'",
        ),
    ],
)
def test_a_route_that_is_wrong_is_refused(text: str, problem: str) -> None:
    (said,) = complaints(domain(text))

    assert said.startswith(f"kore.conf:{problem}")


# What is to come: understood, checked, refused


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("validate post id v_uid needed", "unknown word 'needed', there is required"),
        ("strict maybe", "invalid 'maybe' for yes|no strict option"),
        ("validate post id v_id", "unknown validator 'v_id' (did you mean 'v_uid'?)"),
        ("validate body:post id v_uid", "unknown validate method prefix 'body', there is qs"),
        ("validate posst id v_uid", "unknown HTTP method: POSST"),
        ("validate post id", "write `validate [qs:]METHOD PARAMETER VALIDATOR [required]`, not 2"),
        ("authenticate aut", "unknown authentication 'aut' (did you mean 'auth'?)"),
        ("on_headers indx", "on_headers callback 'indx' not found (did you mean 'index'?)"),
        ("on_body_chunk zz", "on_body_chunk callback 'zz' not found"),
        ("on_free", "write `on_free FUNCTION`, not 0 words"),
        ("stream maybe", "invalid 'maybe' for yes|no stream option"),
        ("body_max -1", "bad value '-1' for body_max: 0.."),
        ("body_max much", "bad value 'much' for body_max: 0.."),
    ],
)
def test_options_of_a_route_are_checked_when_the_file_is_read(line: str, problem: str) -> None:
    (said,) = complaints(route(line) + VALIDATORS + AUTHENTICATION)

    assert said.startswith(f"kore.conf:3: route '/x': {problem}")


def test_a_method_is_validated_only_where_the_route_takes_it() -> None:
    problems = complaints(route("validate post id v_uid\nmethods get") + VALIDATORS)

    assert "kore.conf:3: route '/x': method 'post' not enabled for the route" in problems


def test_a_validated_method_that_is_not_enabled_is_reported_once_with_its_line() -> None:
    assert complaints(route("validate qs:post id v_uid\nmethods get") + VALIDATORS) == [
        "kore.conf:3: route '/x': method 'post' not enabled for the route"
    ]
    assert complaints(route("validate head id v_uid\nmethods get") + VALIDATORS) == []


def test_a_parameter_has_one_validator() -> None:
    text = route("validate get id v_uid\nvalidate qs:get id v_fun") + VALIDATORS

    assert complaints(text) == ["kore.conf:4: route '/x': 'id' is validated twice"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("stream yes", "stream no"),
        ("methods get", "methods post"),
        ("on_free index", "on_free index"),
        ("body_max 1", "body_max 2"),
    ],
)
def test_a_repeated_statement_is_refused(first: str, second: str) -> None:
    word = first.split()[0]

    assert complaints(route(f"{first}\n{second}")) == [
        f"kore.conf:4: route '/x': {word} is given a second time, after kore.conf:3"
    ]


def test_validators_and_authentication_become_requirements_of_the_route() -> None:
    made = config(
        route(
            "methods get post\nvalidate get a v_uid\nvalidate post b v_fun\n"
            "validate qs:post c v_uid\nauthenticate auth"
        )
        + VALIDATORS
        + AUTHENTICATION
    )

    requirements = made.domains[0].routes[0].requirements
    found = {
        name: (
            set(requirements.parameters[METHODS[name]].query),
            set(requirements.parameters[METHODS[name]].body),
        )
        for name in ("GET", "HEAD", "POST")
    }
    assert found == {"GET": ({"a"}, set()), "HEAD": ({"a"}, set()), "POST": ({"c"}, {"b"})}
    post = requirements.parameters[METHODS["POST"]]
    assert post.body["b"].verify is allowed
    assert post.query["c"].search is not None
    assert post.query["c"].search("12")
    assert not post.query["c"].search("12\n")
    assert requirements.auth == Auth("request", allowed)


def test_hooks_and_bodies_of_a_route_are_printed() -> None:
    lines = ["on_headers index", "on_free index", "body_max 1024"]
    made = config(route("\n".join(["stream yes", *lines])))
    printed = Printer(lambda _: "index").print_config(made, [])
    unnamed = Printer(lambda _: "")
    unnamed.print_config(made, [])

    for line in ["stream yes", *lines]:
        assert f"        {line}\n" in printed
    assert any("not expressible in a file" in notice for notice in unnamed.notices)


def test_options_are_those_of_a_route_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, object] = {}
    builder = built("")
    monkeypatch.setattr(type(builder), "route", lambda self, path, run, **keys: asked.update(keys))

    built(
        route(
            "methods get post\nvalidate get a v_uid\nvalidate post b v_fun\nvalidate post c v_uid\n"
            "validate qs:post d v_uid\nauthenticate auth\non_free index\non_headers index\n"
            "stream yes\nbody_max 10m"
        )
        + VALIDATORS
        + AUTHENTICATION
    )

    asked.pop("domain", None)
    assert asked == {
        "methods": ("GET", "POST"),
        "get": {"a": "^[0-9]+$"},
        "post": {"b": allowed, "c": "^[0-9]+$"},
        "qs:post": {"d": "^[0-9]+$"},
        "auth": {"type": "request", "verify": allowed},
        "hooks": {"on_free": index, "on_headers": index},
        "stream": True,
        "body_max": 10 << 20,
    }


def test_an_invalid_route_of_a_file_is_reported_with_its_line() -> None:
    (said,) = complaints(route("stream yes\non_body_chunk index"))

    assert said.startswith("kore.conf:2: route '/x': stream and on_body_chunk exclude each other")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("filemap /css ./css", "cannot create filemap for /css: it must begin and end with /"),
        ("filemap / x nobody", "unknown authentication 'nobody'"),
        ("filemap /", "write `filemap URI PATH [AUTHENTICATION]`, not 1 word"),
        ("redirect ( 301 /", "failed to compile regex for '('"),
        ("redirect ^/ 200 /", "bad value '200' for redirect: 300..399"),
        ("redirect ^/ 301", "write `redirect REGEX STATUS TARGET`, not 2 words"),
        ("return ^/ 200", "bad value '200' for return: 400..599"),
        ("return ^/ teapot", "bad value 'teapot' for return: 400..599"),
        ("return ( 404", "failed to compile regex for '('"),
        ("accesslog", "write `accesslog PATH [FORMAT]`, not 0 words"),
        ("accesslog a.log common", "accesslog: 'common' is neither combined nor json"),
        ("accesslog a.log '$x'", "accesslog: unknown variable $x"),
        ("redirect ^/(a)$ 301 /$7", "redirect '^/(a)$': target '/$7': there is no capture $7"),
        ("redirect ^/ 301 /ü", "redirect '^/': target '/ü' is not a URL"),
    ],
)
def test_parts_of_a_domain_are_checked_when_the_file_is_read(line: str, problem: str) -> None:
    (said,) = complaints(domain(line))

    assert said.startswith(f"kore.conf:2: domain '*': {problem}")


def test_a_second_accesslog_is_refused() -> None:
    assert complaints(domain("accesslog /a\naccesslog /b")) == [
        "kore.conf:3: domain '*': already has the accesslog /a"
    ]
