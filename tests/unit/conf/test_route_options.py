"""The keywords of a route: what they ask for, and what is wrong with them."""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from kore._conf.route_options import build_requirements
from kore._conf.schema import Auth, BodyOptions, ParameterRules, RouteRequirements
from kore._values.methods import METHODS
from kore.errors import ConfigError

GET, POST, PUT, HEAD, OPTIONS = (METHODS[n] for n in ("GET", "POST", "PUT", "HEAD", "OPTIONS"))


def yes(*_: object) -> bool:
    return True


def declared(*methods: str, **keywords: Any) -> Mapping[int, ParameterRules]:
    return build_requirements("/x", methods, keywords).parameters


def names(found: ParameterRules) -> tuple[list[str], list[str]]:
    return sorted(found.query), sorted(found.body)


def accepts(validator: object, value: str) -> bool:
    search = declared("GET", get={"v": validator})[GET].query["v"].search
    assert search is not None
    return search(value) is not None


# Parameters


def test_a_route_without_keywords_has_no_requirements() -> None:
    assert build_requirements("/x", ("GET", "POST"), {}) == RouteRequirements()


def test_parameters_of_get_stand_in_the_query_those_of_post_in_the_body() -> None:
    found = declared("GET", "POST", get={"a": "."}, post={"b": "."})

    assert names(found[GET]) == (["a"], [])
    assert names(found[POST]) == ([], ["b"])


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_methods_with_bodies_take_parameters_from_them(method: str) -> None:
    assert names(declared(method, **{method.lower(): {"a": "."}})[METHODS[method]]) == ([], ["a"])


def test_methods_without_a_number_have_the_parameters_of_qs() -> None:
    found = declared("GET", "LOCK", "MOVE", qs={"q": "."}, get={"a": "."})

    assert {method: names(rules) for method, rules in found.items()} == {
        GET: (["a", "q"], []),
        METHODS["HEAD"]: (["a", "q"], []),
        0: (["q"], []),
    }


def test_qs_is_for_the_query_of_every_method() -> None:
    found = declared("GET", "POST", qs={"q": "."}, get={"a": "."}, post={"b": "."})

    assert names(found[GET]) == (["a", "q"], [])
    assert names(found[POST]) == (["q"], ["b"])


def test_qs_of_a_method_is_for_the_query_of_that_method_only() -> None:
    found = declared(
        "GET", "POST", "PUT", qs={"q": "."}, **{"qs:post": {"a": "."}, "post": {"b": "."}}
    )

    assert names(found[POST]) == (["a", "q"], ["b"])
    assert names(found[PUT]) == names(found[GET]) == names(found[HEAD]) == (["q"], [])
    assert names(declared("GET", **{"qs:get": {"a": "."}})[HEAD]) == (["a"], [])
    assert declared("POST", qs={"a": "."}, **{"qs:post": {"a": yes}})[POST].query["a"].verify is yes
    assert declared("POST", required=["a"], **{"qs:post": {"a": "."}})[POST].required == {"a"}
    with pytest.raises(ConfigError, match="route '/x': method 'put' not enabled"):
        declared("POST", **{"qs:put": {"a": "."}})


def test_a_methods_own_rule_counts_before_that_of_qs() -> None:
    found = declared("GET", qs={"a": "."}, get={"a": yes})[GET]

    assert found.query["a"].verify is yes


def test_head_has_the_rules_of_get_unless_it_has_its_own() -> None:
    assert names(declared("GET", get={"a": "."})[HEAD]) == (["a"], [])
    assert names(declared("GET", get={"a": "."}, head={"b": "."})[HEAD]) == (["b"], [])


def test_a_method_may_be_named_in_capitals() -> None:
    assert names(declared("OPTIONS", OPTIONS={"a": "."})[OPTIONS]) == (["a"], [])


@pytest.mark.parametrize("methods", [("GET",), ("POST",)])
def test_a_method_that_the_route_does_not_take_is_an_error(methods: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=r"route '/x': method 'put' not enabled"):
        declared(*methods, put={"a": "."})


@pytest.mark.parametrize("validator", ["^[[:digit:]]+$", re.compile(r"^\d+$")])
def test_a_regular_expression_is_text_or_compiled(validator: object) -> None:
    assert accepts(validator, "42")
    assert not accepts(validator, "x42")


def test_a_regular_expression_is_searched_for() -> None:
    assert accepts("b", "abc")


def test_the_end_of_a_value_is_the_end_even_behind_a_line_break() -> None:
    assert not accepts("^[0-9]+$", "42\n")
    assert accepts(r"^[$]\$$", "$$")


def test_a_dot_is_any_character_and_a_digit_is_ascii() -> None:
    assert accepts("^a.b$", "a\nb")
    assert not accepts(r"^\d$", "٤")


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"get": {"id": "["}}, r"parameter 'id': Invalid regex \(\[\): unterminated character set"),
        ({"get": {"id": "[[:digits:]]"}}, r"parameter 'id': .* class \[:digits:\] is none of"),
        ({"get": {"id": 5}}, "validator 'id' must be regex or function, not 5"),
        ({"get": {"id": None}}, "validator 'id' must be regex or function, not None"),
        ({"get": ["id"]}, r"get must be a dict of names and validators, not \['id'\]"),
        ({"qs": "id"}, "qs must be a dict of names and validators, not 'id'"),
        ({"required": ["id"]}, "required parameter 'id' has no validator"),
        ({"required": "id"}, "required must be a list of parameters, not 'id'"),
    ],
)
def test_invalid_parameters_are_refused_with_a_reason(
    keywords: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=f"route '/x': {message}"):
        declared("GET", **keywords)


def test_only_parameters_of_a_method_are_required_under_it() -> None:
    found = declared("GET", "POST", get={"a": "."}, post={"b": "."}, required=["a", "b"])

    assert found[GET].required == {"a"}
    assert found[POST].required == {"b"}


def test_strict_is_a_flag() -> None:
    assert build_requirements("/x", ("GET",), {"strict": True}).strict
    with pytest.raises(TypeError, match="strict must be bool"):
        build_requirements("/x", ("GET",), {"strict": 1})


def test_an_unknown_keyword_is_an_error_that_names_the_known() -> None:
    with pytest.raises(TypeError, match="unknown keyword 'gte', allowed are methods, get, post"):
        declared("GET", gte={"a": "."})


# How requests come and go


def extras(**keywords: Any) -> BodyOptions | None:
    return build_requirements("/x", ("GET", "POST"), keywords).body_options


def test_hooks_and_body_options_are_keywords() -> None:
    hooks = {"on_headers": yes, "on_free": yes}

    assert extras(hooks=hooks) == BodyOptions(on_headers=yes, on_free=yes)
    assert extras(stream=True, body_max="2k") == BodyOptions(stream=True, body_max=2048)
    assert extras(stream=False, hooks={}, body_max=None) is extras(hooks=None) is None
    assert extras(body_max=0) == BodyOptions(body_max=0)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"hooks": [yes]}, "hooks must be a dict of names and functions"),
        ({"hooks": {"on_header": yes}}, "unknown hook 'on_header', there are on_headers, on_body"),
        ({"hooks": {"on_free": "yes"}}, "on_free for a route not callable: 'yes'"),
        ({"body_max": "lots"}, r"bad value 'lots' for body_max: 0\.\."),
        ({"body_max": True}, "bad value 'True' for body_max"),
        ({"stream": True, "hooks": {"on_body_chunk": yes}}, "stream and on_body_chunk exclude"),
        ({"stream": True, "post": {"a": ""}}, "with stream no body is kept"),
        ({"hooks": {"on_body_chunk": yes}, "post": {"a": ""}}, "with on_body_chunk no body is"),
    ],
)
def test_invalid_hooks_and_body_options_are_refused_with_a_reason(
    keywords: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=f"^route '/x': {message}"):
        extras(**keywords)


def test_a_stream_may_have_parameters_in_its_query() -> None:
    assert extras(stream=True, qs={"a": ""}, get={"b": ""}) == BodyOptions(stream=True)


# Authentication


def test_an_auth_block_becomes_a_value() -> None:
    block = {"type": "cookie", "value": "session", "verify": yes, "redirect": "/login"}

    assert build_requirements("/x", ("GET",), {"auth": block}).auth == Auth(
        "cookie", yes, "session", "/login"
    )


def test_a_request_block_needs_no_value() -> None:
    found = build_requirements("/x", ("GET",), {"auth": {"type": "request", "verify": yes}}).auth

    assert found == Auth("request", yes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"type": None}, "missing or invalid 'type' keyword in auth dictionary: one of cookie"),
        ({"type": "form"}, r"invalid 'type' \(form\) in auth dictionary for '/x'"),
        ({"value": None}, "missing or invalid 'value' keyword: None is not the name of a cookie"),
        ({"value": "a b"}, "missing or invalid 'value' keyword: 'a b' is not the name of a cookie"),
        ({"verify": None}, "missing 'verify' in auth dictionary for '/x'"),
        ({"verify": "yes"}, "missing 'verify' in auth dictionary for '/x'"),
        ({"redirect": ""}, "invalid 'redirect' keyword: '' is not a URL"),
        ({"redirect": "/a\r\nx: y"}, "invalid 'redirect' keyword"),
        ({"redirct": "/"}, "unknown 'redirct' in auth dictionary, allowed are type, value"),
    ],
)
def test_an_incomplete_auth_block_is_an_error(change: dict[str, object], message: str) -> None:
    block = {"type": "cookie", "value": "session", "verify": yes, **change}
    with pytest.raises(ConfigError, match=f"route '/x': {message}"):
        build_requirements("/x", ("GET",), {"auth": block})


def test_an_auth_block_is_a_dict() -> None:
    with pytest.raises(ConfigError, match="auth must be a dict, not 'cookie'"):
        build_requirements("/x", ("GET",), {"auth": "cookie"})
