import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kore._values.redirect_target import compile_target


def led(path: str, regex: str, text: str, query: str = "") -> str | None:
    """Return where a redirect leads."""
    pattern = re.compile(regex)
    found = pattern.search(path)
    assert found is not None
    return compile_target(text, pattern.groups)(found, query)


@pytest.mark.parametrize(
    ("path", "regex", "text", "location"),
    [
        ("/a", "^/a$", "/b", "/b"),
        ("/old/x/y", "^/old/(.*)$", "/new/$1", "/new/x/y"),
        ("/a/b", "^/(.)/(.)$", "/$2/$1/$2", "/b/a/b"),
        ("/a", "^/a(/x)?$", "/b$1", "/b"),
        ("/a", "^/(a)$", "/${1}0", "/a0"),
        ("/a", "^/(a)$", "/$16", "/a6"),
        ("/" + "a" * 15, "^/" + "(.)" * 15 + "$", "/$15$14", "/aa"),
        ("/a", "^/(a)$", "/$$1", "/$1"),
        ("/a", "^/(a)$", "/$x", "/$x"),
        ("/a", "^/(.*)$", "https://b.test/$1", "https://b.test/a"),
        ("/old/a", "^/old(/.*)$", "$1", "/a"),
        # What was captured is not looked at again.
        ("/$2/b", r"^/(\$2)/(b)$", "/$1", "/$2"),
    ],
)
def test_captures_are_put_into_the_target(path: str, regex: str, text: str, location: str) -> None:
    assert led(path, regex, text) == location


@pytest.mark.parametrize(
    ("text", "with_query", "without"),
    [
        ("/b?$qs", "/b?a=1", "/b"),
        ("/b?${qs}", "/b?a=1", "/b"),
        ("/b?x=0&$qs", "/b?x=0&a=1", "/b?x=0"),
        ("/b?$qs&x=0", "/b?a=1&x=0", "/b?x=0"),
        ("/b?q=$qs", "/b?q=a=1", "/b?q="),
        ("/b#$qs", "/b#a=1", "/b#"),
    ],
)
def test_the_query_takes_its_sign_with_it(text: str, with_query: str, without: str) -> None:
    assert led("/a", "^/a$", text, "a=1") == with_query
    assert led("/a", "^/a$", text) == without


def test_captures_in_the_query_are_not_expanded() -> None:
    assert led("/a", "^/(a)$", "/b?$qs", "x=$1&y=$qs") == "/b?x=$1&y=$qs"


@pytest.mark.parametrize(
    ("text", "location"),
    [
        ("/s?q=$1", "/s?q=a%26b=c%2Bd%2Fe/%2525"),
        ("/s?p=1&q=x-$1-$1&r=2", "/s?p=1&q=x-{0}-{0}&r=2"),
        ("https://a.test/s?q=$1#$1", "https://a.test/s?q={0}#{1}"),
        ("/s?$qs&q=$1", "/s?q={0}"),
        ("/s?$1", "/s?{1}"),
        ("/s?q=0&$1", "/s?q=0&{1}"),
        ("/s/$1", "/s/{1}"),
        ("/q=$1", "/q={1}"),
        ("/s#q?a=$1", "/s#q?a={1}"),
    ],
)
def test_a_captured_value_of_a_parameter_stays_one_value(text: str, location: str) -> None:
    path = "a&b=c+d%2Fe/%2525"
    value = "a%26b=c%2Bd%2Fe/%2525"

    assert led(f"/x/{path}", "^/x/(.*)$", text) == location.format(value, path)


@pytest.mark.parametrize(
    ("path", "regex", "text", "location"),
    [
        ("//evil.test/", "^/(.*)/$", "/$1", "/evil.test"),
        ("/go//evil.test", "^/go(.*)$", "$1", "/evil.test"),
        ("/go/\\evil.test", "^/go/(.*)$", "/$1", "/evil.test"),
        ("/go/\\/evil.test", "^/go(.*)$", "$1", "/evil.test"),
        ("/go/https://evil.test", "^/go/(.*)$", "$1", "/https://evil.test"),
        ("/go/javascript:alert(1)", "^/go/(.*)$", "$1", "/javascript:alert(1)"),
        ("/x.evil.test/", "^/x(.*)$", "https://a.test$1", "https://a.test/.evil.test/"),
        ("/x@evil.test/", "^/x(.*)$", "https://a.test$1", "https://a.test/@evil.test/"),
        ("/x:80@evil.test", "^/x(.*)$", "//a.test$1", "//a.test/:80@evil.test"),
        ("/x/y", "^/x(.*)$", "https://a.test$1", "https://a.test/y"),
        ("/x", "^/x(.*)$", "https://a.test$1", "https://a.test"),
        ("/de/x", "^/([^/]*)/(.*)$", "https://$1.a.test/$2", "https://de.a.test/x"),
    ],
)
def test_captures_never_replace_the_host(path: str, regex: str, text: str, location: str) -> None:
    assert led(path, regex, text) == location


@pytest.mark.parametrize("label", ["", ".", "evil.", "a..b", ".evil"])
@pytest.mark.parametrize(
    "host", ["https://$1.a.test/", "https://$1/evil.test", "//u@$1:80/", "//$1"]
)
def test_a_name_has_no_empty_part(label: str, host: str) -> None:
    location = led(f"/x/{label}", "^/x/(.*)$", host)

    # The dot at the end of a whole name is that of the root.
    assert location is None or (label == "evil." and not host.startswith("https://$1."))


def test_a_capture_within_a_part_of_a_name_may_be_empty() -> None:
    assert led("/x/", "^/x/(.*)$", "https://a$1.test/") == "https://a.test/"
    assert led("/x/", "^/x/(.*)$", "https://a.test$1") == "https://a.test"
    assert led("/x/", "^/x/(y)?", "https://$1.a.test/") is None


@pytest.mark.parametrize("label", ["evil.test/", "evil.test%2f", "u@evil", "evil:80", "evil\\"])
def test_a_part_of_a_name_is_a_name_or_nothing_is_there(label: str) -> None:
    assert led(f"/x/{label}", "^/x/(.*)$", "https://$1.a.test/") is None
    assert led(f"/x/{label}", "^/x/(.*)$", "https://u@$1/") is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("/$7", "there is no capture $7: the regular expression has 2"),
        ("/$10", "there is no capture $10"),
        ("/$0", "there is no capture $0"),
        ("/${16}", "there is no capture $16"),
        ("/a b", "is not a URL"),
        ("/\r\nx: y", "is not a URL"),
        ("/ü", "is not a URL"),
        ("https:/$1", "two slashes and a host"),
        ("HTTP:$1", "two slashes and a host"),
        ("https:///$1", "two slashes and a host"),
    ],
)
def test_an_invalid_target_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)):
        compile_target(text, 2)


HOSTS = {"https://a.test/$1", "https://a.test$1", "//a.test$1?$qs"}
LOCAL = {"/$1", "$1", "/x$1", "$1?$qs", "$1$1"}
# What the core lets through in a path.
PATHS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="?#"))
QUERIES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="#"))


@given(PATHS, QUERIES)
@example("/evil.test", "")
@example("\\/evil.test", "")
def test_no_path_redirects_a_browser_to_another_host(captured: str, query: str) -> None:
    found = re.fullmatch("(.*)", captured)
    assert found is not None
    for text in LOCAL:
        made = compile_target(text, 1)(found, query)
        assert made is not None
        assert made.startswith("/")
        assert made[1:2] not in ("/", "\\")
    for text in HOSTS:
        made = compile_target(text, 1)(found, query)
        assert made is not None
        host = re.split(r"[/?#\\]", made.partition("//")[2])[0]
        assert host == "a.test"
