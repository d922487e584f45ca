"""The frozen configuration, and the regular expressions of its routes."""

import dataclasses
import json
import string

import pytest

from kore._conf.schema import POSIX_CLASSES, Config, Domain, Route
from kore._conf.server_schema import Address, Server
from kore._conf.settings import Settings
from kore.errors import ConfigError


def handler(request: object) -> None:
    raise NotImplementedError


def found(path: str, text: str) -> bool:
    pattern = Route(path, handler, ("GET",)).pattern
    assert pattern is not None
    return pattern.search(text) is not None


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (Address("127.0.0.1", 8888), "127.0.0.1:8888"),
        (Address("::1", 80), "[::1]:80"),
        (Address("localhost", 0), "localhost:0"),
        (Address(path="/run/x.sock"), "/run/x.sock"),
        (Address(path="@abstract"), "@abstract"),
    ],
)
def test_the_text_of_an_address_is_host_and_port_or_path(address: Address, text: str) -> None:
    assert text == str(address)


def test_a_path_with_a_slash_in_front_is_literal() -> None:
    assert Route("/a.b", handler, ("GET",)).pattern is None


def test_any_other_path_is_searched_for_unanchored() -> None:
    assert found("b+", "/abba")
    assert not found("^b+", "/abba")


# In the C locale, which is what the names say in Python's own terms.
CONTENT = {
    "alnum": string.ascii_letters + string.digits,
    "alpha": string.ascii_letters,
    "blank": " \t",
    "cntrl": "".join(map(chr, [*range(32), 127])),
    "digit": string.digits,
    "graph": string.ascii_letters + string.digits + string.punctuation,
    "lower": string.ascii_lowercase,
    "print": string.ascii_letters + string.digits + string.punctuation + " ",
    "punct": string.punctuation,
    "space": string.whitespace,
    "upper": string.ascii_uppercase,
    "xdigit": string.hexdigits,
}


@pytest.mark.parametrize("name", CONTENT)
def test_a_posix_class_matches_what_it_does_in_the_c_locale(name: str) -> None:
    matched = {chr(code) for code in range(256) if found(f"^[[:{name}:]]$", chr(code))}

    # `$` also matches before a final line break.
    assert set(CONTENT[name]) - {"\n"} == matched - {"\n"}


def test_there_are_all_twelve_classes() -> None:
    assert set(CONTENT) == set(POSIX_CLASSES)


@pytest.mark.parametrize(
    ("path", "text", "matches"),
    [
        ("^/[[:alpha:][:digit:]_]+$", "/a1_", True),
        ("^/[[:alpha:][:digit:]_]+$", "/a-1", False),
        ("^/[^[:digit:]]+$", "/abc", True),
        ("^/[^[:digit:]]+$", "/a1c", False),
        ("^/[][:digit:]]+$", "/]1]", True),
        ("^/[^]x]$", "/]", False),
        (r"^/[\][:digit:]]+$", "/1]", True),
        (r"^/\[[:alpha]$", "/[:", True),
        ("^/[:alpha]+$", "/alpha:", True),
    ],
)
def test_a_class_counts_only_inside_a_bracket_expression(
    path: str, text: str, matches: bool
) -> None:
    assert matches == found(path, text)


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("^/(", "missing ), unterminated subpattern at position 2"),
        ("^/[[:alpha:]]+(", "missing ), unterminated subpattern at position 14"),
        ("^/[[:space:][:digit:]](", "missing ), unterminated subpattern at position 22"),
        ("^/[x", "unterminated character set at position 2"),
        ("[z-[:digit:]]", "bad character range z-0 at position 1"),
        ("^/[[:letter:]]$", "class [:letter:] is none of alnum, alpha, blank"),
    ],
)
def test_a_bad_expression_is_refused_with_its_place(path: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as raised:
        Route(path, handler, ("GET",))
    assert str(raised.value).startswith(f"failed to compile regex for '{path}': {complaint}")


def test_a_route_changed_keeps_its_pattern() -> None:
    route = dataclasses.replace(Route("^/a$", handler, ("GET",)), methods=("GET", "HEAD"))

    assert route.pattern is not None
    assert route.pattern.pattern == "^/a$"


def test_the_plain_part_survives_json_and_holds_no_code() -> None:
    config = Config(
        settings=Settings(workers=3, worker_no_accept=(1,)),
        servers=(Server("plain", Address("::1", 80), tls=False),),
        domains=(Domain("*", "plain", (Route("/", handler, ("GET",)),)),),
        name="shop",
    )

    plain = json.loads(json.dumps(config.plain()))

    assert {"accesslogs", "name", "privsep", "servers", "settings", "tls"} == plain.keys()
    assert plain["name"] == "shop"
    assert plain["settings"]["workers"] == 3
    assert plain["settings"]["worker_no_accept"] == [1]
    assert plain["servers"] == [
        {
            "name": "plain",
            "address": {"ip": "::1", "port": 80, "path": "", "numeric": ""},
            "tls": False,
            "redirect_https": False,
        }
    ]


def test_a_configuration_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().workers = 2  # type: ignore[misc]
