"""Cookies, in and out, beside the standard library's reading."""

from datetime import UTC, datetime, timedelta, timezone
from email.utils import formatdate
from http.cookies import SimpleCookie
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kore._http.cookies import Cookie, _format_expires, parse

OCTETS = "".join(chr(c) for c in range(33, 127) if chr(c) not in '",;\\')
NAMES = "".join(c for c in OCTETS if c not in "()/:<=>?@[]{}")


@pytest.mark.parametrize(
    ("fields", "cookies"),
    [
        ([], {}),
        (["a=1; b=2"], {"a": "1", "b": "2"}),
        (["a=1;b=2"], {"a": "1", "b": "2"}),
        (["a=1", "b=2; a=3"], {"a": "1", "b": "2"}),
        (["a=b=c; d=Zg=="], {"a": "b=c", "d": "Zg=="}),
        (["a="], {"a": ""}),
        (["a; =1; ;"], {}),
        (['a="x"'], {"a": '"x"'}),
        (['a="q; x"'], {"a": '"q'}),
        (["a=1; a=2"], {"a": "1"}),
        (["a=1, b=2"], {"a": "1, b=2"}),
        (["a = 1 ;\tb=2"], {"a": "1", "b": "2"}),
        (["A=1; a=2"], {"A": "1", "a": "2"}),
        (["a=%20"], {"a": "%20"}),
        (["; ".join(f"c{n}={n}" for n in range(200))], {f"c{n}": str(n) for n in range(200)}),
    ],
)
def test_cookies_are_read_as_they_were_sent(fields: list[str], cookies: dict[str, str]) -> None:
    assert parse(fields) == cookies


@given(st.dictionaries(st.text(NAMES, min_size=1), st.text(OCTETS), max_size=5))
def test_a_formatted_cookie_is_parsed_as_the_same(cookies: dict[str, str]) -> None:
    # Secure, because some names demand it.
    sent = [
        Cookie(name, value, secure=True).format().partition(";")[0]
        for name, value in cookies.items()
    ]

    assert parse(["; ".join(sent)]) == cookies


def test_a_cookie_is_host_only_and_http_only_by_default() -> None:
    assert Cookie("a", "1").format() == "a=1; Path=/; HttpOnly; SameSite=Lax"
    assert Cookie("a", "", path=None, http_only=False, same_site=None).format() == "a="


def test_all_attributes_are_read_back_by_the_standard_library() -> None:
    text = Cookie(
        "id",
        "x",
        path="/app",
        domain="example.com",
        max_age=60,
        expires=0,
        secure=True,
        same_site="strict",
    ).format()

    (morsel,) = SimpleCookie(text).values()
    assert {name: value for name, value in morsel.items() if value} == {
        "path": "/app",
        "domain": "example.com",
        "max-age": "60",
        "expires": "Thu, 01 Jan 1970 00:00:00 GMT",
        "secure": True,
        "httponly": True,
        "samesite": "Strict",
    }


def test_a_cookie_is_deleted_with_max_age_0() -> None:
    assert "; Max-Age=0;" in Cookie("a", "", max_age=0).format()
    assert "; Max-Age=-1;" in Cookie("a", "", max_age=-1).format()


@given(st.integers(0, 4 * 10**9))
def test_a_date_is_the_one_http_has(seconds: int) -> None:
    assert _format_expires(seconds) == formatdate(seconds, usegmt=True)


def test_a_time_of_any_zone_is_the_same_time() -> None:
    when = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    assert _format_expires(when) == _format_expires(when.astimezone(timezone(timedelta(hours=5))))
    assert _format_expires(when) == "Fri, 02 Jan 2026 03:04:05 GMT"


@pytest.mark.parametrize("name", ["", "a b", "a=b", "a;b", "a\r\n", "é", "a(b)", '"a"'])
def test_a_name_that_is_no_token_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a token"):
        Cookie(name, "1")


@pytest.mark.parametrize("value", ["a b", "a;b", "a,b", 'a"b', '"a', "a\\b", "\r\nx: y", "é", "\0"])
def test_a_value_that_would_be_read_as_another_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="encode it"):
        Cookie("a", value)


def test_a_value_may_be_in_quotes() -> None:
    assert Cookie("a", '"b"').format().startswith('a="b";')


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"path": "app"}, "bad path 'app'"),
        ({"path": "/a;b"}, "bad path"),
        ({"path": "/a\r\n"}, "bad path"),
        ({"path": "/" + "a" * 1024}, "bad path"),
        ({"domain": "a b"}, "bad domain 'a b'"),
        ({"domain": "a;b"}, "bad domain"),
        ({"domain": ""}, "bad domain"),
        ({"max_age": 1.5}, "max_age is a number of seconds"),
        ({"max_age": True}, "max_age is a number of seconds"),
        ({"expires": datetime(2026, 1, 1)}, "expires needs a time zone"),
        ({"expires": 1e20}, r"expires 1e\+20 is out of range, the years 1601 to 9999"),
        ({"expires": float("nan")}, "expires nan is out of range"),
        ({"expires": float("-inf")}, "expires -inf is out of range"),
        ({"expires": 253_402_300_800}, "out of range"),
        ({"expires": -11_644_473_601}, "out of range"),
        ({"expires": datetime(1, 1, 1, tzinfo=UTC)}, "out of range"),
        ({"same_site": ""}, "same_site is Lax, Strict or None as text, not ''"),
        ({"same_site": False}, "same_site is Lax, Strict or None as text, not False"),
        ({"same_site": b"Lax"}, "same_site is Lax, Strict or None as text, not b'Lax'"),
        ({"same_site": "always"}, "same_site is Lax, Strict or None as text"),
        ({"same_site": "None"}, r"needs secure=True"),
    ],
)
def test_an_attribute_that_browsers_refuse_is_refused(
    attributes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Cookie("a", "1", **attributes)


@pytest.mark.parametrize(
    "attributes",
    [
        {"expires": "tomorrow"}, {"expires": True}, {"expires": timedelta(1)}, {"path": b"/"},
        {"domain": 1},
    ],
)  # fmt: skip
def test_an_attribute_of_the_wrong_type_is_a_type_error(
    attributes: dict[str, Any],
) -> None:
    (name,) = attributes
    with pytest.raises(TypeError, match=f"cookie 'a': {name} is "):
        Cookie("a", "1", **attributes)


def test_the_first_and_the_last_date_that_browsers_read() -> None:
    assert _format_expires(-11_644_473_600) == "Mon, 01 Jan 1601 00:00:00 GMT"
    assert _format_expires(253_402_300_799.9) == "Fri, 31 Dec 9999 23:59:59 GMT"


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ({}, True), ({"max_age": 0, "http_only": False}, True), ({"path": "/a"}, False),
        ({"path": None}, False), ({"domain": "a.test"}, False), ({"name": "A"}, False),
    ],
)  # fmt: skip
def test_cookies_are_identified_by_name_domain_and_path(
    other: dict[str, Any], *, same: bool
) -> None:
    cookie = Cookie(**{"name": "a", "value": "2", **other})
    assert (cookie.identity == Cookie("a", "1").identity) is same
    assert Cookie("a", "1", domain=".A.test").identity == Cookie("a", "1", domain="a.Test").identity


def test_a_domain_in_another_script_becomes_that_of_dns() -> None:
    cookie = Cookie("a", "1", domain="B\u00fccher.example")

    assert cookie.format() == "a=1; Path=/; Domain=xn--bcher-kva.example; HttpOnly; SameSite=Lax"
    assert cookie.identity == Cookie("a", "1", domain="xn--bcher-kva.example").identity
    with pytest.raises(ValueError, match="bad domain"):
        Cookie("a", "1", domain="b\u00fccher example")


def test_a_cookie_larger_than_browsers_keep_is_refused() -> None:
    Cookie("a", "x" * 4095)
    with pytest.raises(ValueError, match="over 4096 bytes"):
        Cookie("a", "x" * 4096)


def test_prefixed_names_require_their_attributes() -> None:
    with pytest.raises(ValueError, match="secure=True"):
        Cookie("__Secure-a", "1")
    with pytest.raises(ValueError, match="no domain"):
        Cookie("__host-a", "1", secure=True, domain="a.test")
    with pytest.raises(ValueError, match="path='/'"):
        Cookie("__Host-a", "1", secure=True, path="/a")
    assert Cookie("__Host-a", "1", secure=True).secure
