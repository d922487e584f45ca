"""Paths of requests: one spelling for each file, and no way out."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kore._http.files.safe_path import decode_name, get_extension


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("", ""), ("a", "a"), ("a/b.css", "a/b.css"), ("a/", "a/"), ("a.b.c", "a.b.c"),
        ("a%20b", "a b"), ("caf%C3%A9", "caf\xe9"), ("caf%c3%a9/x", "caf\xe9/x"), ("a+b", "a+b"),
        ("a%2541", "a%41"), ("%252e%252e/a", "%2e%2e/a"), ("a..b", "a..b"), ("a.", "a."),
        (".well-known/acme/x", ".well-known/acme/x"), ("~a", "~a"),
        ("a%3Fb%23", "a?b#"),
    ],
)  # fmt: skip
def test_a_path_is_decoded_once(path: str, name: str) -> None:
    assert decode_name(path) == name


@pytest.mark.parametrize(
    "path",
    [
        "..", ".", "../a", "a/..", "a/../b", "./a", "a/.", "a/./b", "/a", "//a", "a//b", "a//",
        "%2e%2e/a", "a/%2E%2E/b", "..%2fa", "a%2Fb", "a%2f", "%5C", "a%5c..%5cb", "%00", "a%00.css",
        "a%0Ab", "a%7f", "%FF", "caf%E9", "%C0%AE%C0%AE/a", "%C0%AF", "%ED%A0%80", "/", "%2f",
        ".htaccess", ".git/config", "a/.git/x", "...", ".well-known/.git", ".well-known",
        ".well-known//x", ".well-known/../x", "a/.well-known/x", "%2egit/config",
    ],
)  # fmt: skip
def test_an_impossible_path_has_no_file_name(path: str) -> None:
    assert decode_name(path) is None


def test_hidden_names_are_allowed_by_option() -> None:
    assert decode_name(".git/config", hidden=True) == ".git/config"
    assert decode_name("a/.b", hidden=True) == "a/.b"
    assert decode_name("...", hidden=True) == "..."
    for path in ("..", ".", "a/..", "./a", "a/./b", "a//b", "%2e%2e/a", "a/.", "a%00", "/a"):
        assert decode_name(path, hidden=True) is None, path


@given(st.text(alphabet="./\\%2eE fFcC05aA\xe9\0\n"), st.booleans())
def test_no_name_is_outside_the_directory_or_has_a_second_spelling(text: str, hidden: bool) -> None:
    """Whatever is asked for: plain names, none of them empty, none of them `.` or `..`."""
    name = decode_name(quote(text, safe="/.\\"), hidden=hidden)
    if name is not None:
        *names, last = name.split("/")
        assert not {"", ".", ".."} & {*names}
        assert last not in {".", ".."}
        assert name.isprintable()
        assert name == text


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a.css", "css"), ("a.CSS", "css"), ("a/b.tar.gz", "gz"), ("css", ""), ("a.", ""),
        ("d.css/a", ""), (".x", "x"), ("", ""),
    ],
)  # fmt: skip
def test_an_extension_follows_the_last_dot(name: str, found: str) -> None:
    assert get_extension(name) == found
