"""Paths of routes in the spelling that requests have, and those that no request has."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kore._conf.builder import Builder
from kore._conf.schema import compile_path
from kore._values.paths import normalize_literal, normalize_path, normalize_regex
from kore.errors import ConfigError


@pytest.mark.parametrize(
    ("path", "normal"),
    [
        ("/", "/"),
        ("/a.b-c_d~e", "/a.b-c_d~e"),
        ("/caf%c3%a9", "/caf%C3%A9"),
        ("/%40x%2b", "/@x+"),
        ("/user/{id}", "/user/%7Bid%7D"),
        ('/a"b<c>', "/a%22b%3Cc%3E"),
        ("/a%2fb", "/a%2Fb"),
        ("/a[1]|b", "/a[1]|b"),
        ("/%25%3f%23", "/%25%3F%23"),
        ("//a/../b", "//a/../b"),
    ],
)
def test_a_literal_path_gets_its_normal_form(path: str, normal: str) -> None:
    assert normalize_literal(path) == normal


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("/caf\u00e9", "/caf%C3%A9"),
        ("/a b", "/a%20b"),
        ("/a\n", "/a%0A"),
        ("/%61", "/a"),
        ("/a%2Db", "/a-b"),
        ("/q?x=1", "/q%3Fx=1"),
        ("/a#b", "/a%23b"),
        ("/a\\b", "/a%5Cb"),
        ("/100%", "/100%25"),
        ("/a%zz", "/a%25zz"),
        ("/a%00", "/a%2500"),
    ],
)
def test_a_path_of_no_request_is_refused_with_one_that_works(path: str, advice: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"write '{advice}'")):
        normalize_literal(path)
    assert normalize_literal(advice) == advice


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("^/priv%c3%a9/$", "^/priv%C3%A9/$"),
        ("^/%40in/", "^/@in/"),
        (r"^/%2ehtml\%2e", r"^/\.html\."),
        (r"^/[%c3][]%40]\d\\*%40[[:alpha:]%40]", r"^/[%c3][]%40]\d\\*@[[:alpha:]%40]"),
        ("[^\u00e9](?#\u00e9)", "[^\u00e9](?#\u00e9)"),
        ("(?x) /a %40%c3 # \u00e9", "(?x) /a @%C3 # \u00e9"),
        ("^/(?ix: a %7b # \u00e9\n)", "^/(?ix: a %7B # \u00e9\n)"),
        ("^/a%zz%00", "^/a%zz%00"),
        (r"^/\{id\}+$", "^/(?:%7B)id(?:%7D)+$"),
        ("^/{id}/a{2}b{,3}c{1,}d{1,2}$", "^/(?:%7B)id(?:%7D)/a{2}b{,3}c{1,}d{1,2}$"),
        ('^/"<\\>`\\^$', "^/(?:%22)(?:%3C)(?:%3E)(?:%60)(?:%5E)$"),
        ("^/[{}<> ^]?(?#a b)(?P<n>x)(?P=n)(?<=x)(?<!y)(?>z)", None),
        (r"^/\d{2}\\*(\?.*)?[[:alpha:]]{2}", None),
        (r"^/a\??b\?{0,3}[?\\]\?{0}(?#\?)$|\?", None),
        (r"^/a\??b\?{0,3}[?\\]\?{0}\?*(?#\?)$", None),
    ],
)
def test_a_regular_expression_gets_the_normal_form(text: str, normal: str | None) -> None:
    assert normalize_regex(text) == (text if normal is None else normal)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("^/caf\u00e9$", "%C3%A9"),
        ("^/(a|\\\u00e9)", "%C3%A9"),
        ("^/a b$", "%20"),
        ("^/a\\ b$", "%20"),
        ("^/a\n", "%0A"),
        ("^/a#b", "%23"),
        (r"^/a\\b", "%5C"),
        (r"^/(a|b)[?]\\+", "%5C"),
        (r"^/q\?x=1$", "%3F; the query is not part of the path"),
        (r"^/(q)\?{1,2}x", "%3F; the query is not part of the path"),
        ("^/a\x7f", "%7F"),
    ],
)
def test_a_regular_expression_that_needs_an_impossible_character_is_refused(
    text: str, advice: str
) -> None:
    with pytest.raises(ValueError, match=f"write {advice}$"):
        normalize_regex(text)


@pytest.mark.parametrize("code", sorted({*range(0x21, 0x7F)} - {*b"#%/?\\"}))
def test_the_regular_expression_of_a_character_matches_its_normal_form(code: int) -> None:
    pattern = compile_path(f"^/{re.escape(chr(code))}$")

    assert pattern.search("/" + normalize_path(f"%{code:02X}"))


def test_two_spellings_of_a_route_are_one_route() -> None:
    builder = Builder()
    domain = builder.domain("*", "default")
    domain.route("/%40", print)
    domain.route("/@", print)

    with pytest.raises(ConfigError, match="duplicate route for '/@'"):
        builder.build()


@given(st.text(alphabet="/a@%{\u00e9 ?#4c0", max_size=10))
def test_the_normal_form_of_a_normal_form_is_itself(text: str) -> None:
    try:
        normal = normalize_literal("/" + text)
    except ValueError:
        return
    assert normalize_path(normal) == normal
