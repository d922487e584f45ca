"""Checks of arguments and words."""

from pathlib import Path
from typing import Any

import pytest

from kore._conf import arguments
from kore._conf.builder import Builder
from kore._conf.server_schema import Address
from kore._values.methods import METHODS
from kore.errors import ConfigError, UnknownSettingError
from tests.helpers.conf import get_error


def test_a_value_of_the_wrong_type_is_named_with_its_type() -> None:
    assert arguments.check_type(True, bool, "tls") is True
    assert get_error(arguments.check_type, "no", bool, "tls", error=TypeError) == (
        "tls must be bool, not str"
    )


def test_text_that_is_empty_or_has_a_nul_is_refused() -> None:
    assert arguments.check_text("a", "name") == "a"
    assert get_error(arguments.check_text, "", "name", error=ValueError) == "name is empty"
    assert get_error(arguments.check_text, "a\0b", "name", error=ValueError) == (
        "name: embedded null character"
    )


def test_an_unknown_keyword_is_a_type_error_that_names_the_allowed_ones() -> None:
    assert get_error(
        arguments.reject_keywords,
        "route '/'",
        {"method": ["get"]},
        "methods",
        {"auth"},
        error=TypeError,
    ) == ("route '/': unknown keyword 'method', allowed are methods")


def test_an_unsupported_keyword_is_refused() -> None:
    assert get_error(
        arguments.reject_keywords, "route '/x'", {"auth": {"type": "cookie"}}, "", {"auth"}
    ) == ("route '/x': 'auth' is not part of this version yet")


def test_an_unsupported_keyword_without_a_value_is_accepted() -> None:
    arguments.reject_keywords("route '/x'", {"auth": None, "hooks": {}}, "", {"auth", "hooks"})


@pytest.mark.parametrize(
    ("given", "address"),
    [
        (("127.0.0.1", "8888", None), Address("127.0.0.1", 8888)),
        (("127.0.0.1", 8888, None), Address("127.0.0.1", 8888)),
        (("::1", " 0 ", None), Address("::1", 0)),
        (("[::1]", 65535, None), Address("::1", 65535)),
        (("localhost", "80", None), Address("localhost", 80)),
        ((None, None, "/run/x.sock"), Address(path="/run/x.sock")),
        ((None, None, Path("/run/../x.sock")), Address(path="/x.sock")),
        ((None, None, "@kore"), Address(path="@kore")),
    ],
)
def test_an_address_is_ip_and_port_or_a_path(given: tuple[Any, ...], address: Address) -> None:
    assert address == arguments.build_address(*given)


def test_a_socket_path_is_absolute() -> None:
    assert str(Path.cwd() / "x.sock") == arguments.build_address(None, None, "x.sock").path


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ((None, None, None), "missing keyword args: "),
        ((None, 80, None), "missing ip or path keywords: "),
        (("::1", 80, "/x"), "ip/path are exclusive: "),
        ((None, 80, "/x"), "ip/path are exclusive: "),
        (
            ("::1", None, None),
            "missing or invalid 'port' keyword: None is not a number up to 65535",
        ),
        (("::1", "http", None), "missing or invalid 'port' keyword: 'http' is not"),
        (("::1", "-1", None), "missing or invalid 'port' keyword: '-1' is not"),
        (("::1", 65536, None), "missing or invalid 'port' keyword: 65536 is not"),
        (("::1", "٨٨٨٨", None), "missing or invalid 'port' keyword: '٨٨٨٨' is not"),
        (("::1\n", 80, None), "ip has characters that cannot be printed: '::1\\n'"),
        ((None, None, "/a\ud800"), "path cannot be the name of a file: '/a\\ud800'"),
        (("::1", True, None), "missing or invalid 'port' keyword: True is not"),
        ((None, None, "/" + "x" * 107), "path too long for a unix socket: '/xxx"),
    ],
)
def test_an_invalid_address_is_refused_with_kores_message(
    given: tuple[Any, ...], words: str
) -> None:
    assert get_error(arguments.build_address, *given).startswith(words)


def test_an_address_of_the_wrong_type_is_a_type_error() -> None:
    assert (
        get_error(arguments.build_address, 1, 80, None, error=TypeError)
        == "ip must be str, not int"
    )
    assert (
        get_error(arguments.build_address, None, None, 1, error=TypeError)
        == "path must be str, not int"
    )


def test_a_socket_path_is_measured_in_bytes() -> None:
    assert arguments._check_socket_path("@" + "ö" * 53) == "@" + "ö" * 53
    assert get_error(arguments._check_socket_path, "@" + "ö" * 54).endswith("107 bytes at most")


@pytest.mark.parametrize(
    ("names", "methods"),
    [
        (None, tuple(METHODS)),
        (["get"], ("GET",)),
        (["Post", "GET", "get"], ("GET", "POST")),
        (("options",), ("OPTIONS",)),
        (["propfind", "get", "MKCOL"], ("GET", "MKCOL", "PROPFIND")),
        (["purge"], ("PURGE",)),
        (["*"], (*METHODS, "*")),
        (["*", "lock"], (*METHODS, "LOCK", "*")),
        # Like PATCH, but registered.
        (["proppatch"], ("PROPPATCH",)),
    ],
)
def test_methods_are_a_list_in_any_case(names: object, methods: tuple[str, ...]) -> None:
    assert methods == arguments.normalize_methods(names)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ("get", "methods not a list: 'get', write ['get']"),
        (["get", "fetch"], "unknown HTTP method: FETCH, there are GET, HEAD, POST"),
        (["psot"], "unknown HTTP method: PSOT"),
        (["connect"], "unknown HTTP method: CONNECT"),
        (["a b"], "unknown HTTP method: A B"),
        ([""], "unknown HTTP method: ,"),
        (["get", 4], "unknown HTTP method: 4, there are"),
        ([], "methods is empty"),
    ],
)
def test_invalid_methods_are_refused_with_kores_message(names: object, words: str) -> None:
    assert get_error(arguments.normalize_methods, names).startswith(words)


@pytest.mark.parametrize("name", ["a.test", "*", "[::1]", "x" * 253])
def test_a_domain_is_a_name_a_wildcard_or_an_address(name: str) -> None:
    assert name == arguments.normalize_domain_name(name)


def test_an_invalid_domain_name_is_refused() -> None:
    assert get_error(arguments.normalize_domain_name, "x" * 254).startswith(
        "domain name too long: 254"
    )
    assert get_error(arguments.normalize_domain_name, "a.test:80").startswith(
        "domain 'a.test:80': leave the port"
    )
    assert get_error(arguments.normalize_domain_name, "", error=ValueError) == "domain is empty"


def test_a_misspelled_setting_is_refused_with_the_closest_name() -> None:
    assert arguments.find_setting("workers").name == "workers"
    assert get_error(arguments.find_setting, "wokers", error=UnknownSettingError) == (
        "unknown setting kore.config.wokers: did you mean workers?"
    )


def test_an_unknown_setting_is_refused_with_all_names() -> None:
    text = get_error(arguments.find_setting, "zzz", error=UnknownSettingError)

    assert text.startswith("unknown setting kore.config.zzz: there are workers, ")
    assert "http_header_max" in text


@pytest.mark.parametrize("name", sorted(arguments.OLD_PRIVSEP_KEYWORDS))
def test_an_old_privsep_setting_is_refused_with_a_hint(name: str) -> None:
    process = name.rpartition("_")[0] or "worker"
    what = "runas" if name.endswith("runas") else "root"
    assert get_error(arguments.find_setting, name) == (
        f"kore.config.{name} is gone: call kore.privsep('{process}', {what}=...)"
    )


def test_an_unprintable_name_is_refused() -> None:
    words = "name has characters that cannot be printed: 'shop\\n'"

    assert get_error(Builder().rename, "shop\n") == words
    with pytest.raises(ConfigError, match="name has characters that cannot be printed"):
        Builder().server("shop\n", Address(ip="::1"), tls=False)
