"""The rules of a configuration, each with the words its breach is reported in."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from kore._conf import check, settings_checks
from kore._conf.builder import Builder
from kore._conf.diagnostics import Diagnostics
from kore._conf.server_schema import Address, Server
from kore._conf.settings import SETTINGS, SPARE_DESCRIPTORS, Settings
from kore._conf.value_types import S32
from kore._values.methods import METHODS
from kore.errors import ConfigError, UnknownSettingError


@dataclass
class Named:
    """A domain as far as its name goes."""

    name: str
    attach: str = "plain"


def complaint(function: Any, *arguments: object, error: type[Exception] = ConfigError) -> str:
    """Return what *function* says against its arguments."""
    with pytest.raises(error) as raised:
        function(*arguments)
    return str(raised.value)


# Arguments


def test_a_value_of_the_wrong_type_is_named_with_its_type() -> None:
    assert check.typed(True, bool, "tls") is True
    assert complaint(check.typed, "no", bool, "tls", error=TypeError) == (
        "tls must be bool, not str"
    )


def test_text_is_neither_empty_nor_cut_off() -> None:
    assert check.text("a", "name") == "a"
    assert complaint(check.text, "", "name", error=ValueError) == "name is empty"
    assert complaint(check.text, "a\0b", "name", error=ValueError) == (
        "name: embedded null character"
    )


def test_a_keyword_nobody_knows_is_a_type_error_that_names_the_allowed_ones() -> None:
    assert complaint(
        check.keywords, "route '/'", {"method": ["get"]}, "methods", {"auth"}, error=TypeError
    ) == ("route '/': unknown keyword 'method', allowed are methods")


def test_a_keyword_of_a_later_version_is_refused_not_ignored() -> None:
    assert complaint(check.keywords, "route '/x'", {"auth": {"type": "cookie"}}, "", {"auth"}) == (
        "route '/x': 'auth' is not part of this version yet"
    )


def test_a_keyword_that_asks_for_nothing_does_no_harm() -> None:
    check.keywords("route '/x'", {"auth": None, "hooks": {}}, "", {"auth", "hooks"})


@pytest.mark.parametrize(
    ("arguments", "address"),
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
def test_an_address_is_ip_and_port_or_a_path(arguments: tuple[Any, ...], address: Address) -> None:
    assert address == check.address(*arguments)


def test_a_socket_path_is_where_the_application_is_not_where_the_parent_is() -> None:
    assert str(Path.cwd() / "x.sock") == check.address(None, None, "x.sock").path


@pytest.mark.parametrize(
    ("arguments", "words"),
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
def test_an_address_that_is_none_is_refused_in_kores_words(
    arguments: tuple[Any, ...], words: str
) -> None:
    assert complaint(check.address, *arguments).startswith(words)


def test_an_address_of_the_wrong_type_is_a_type_error() -> None:
    assert complaint(check.address, 1, 80, None, error=TypeError) == "ip must be str, not int"
    assert complaint(check.address, None, None, 1, error=TypeError) == "path must be str, not int"


def test_a_socket_path_is_measured_in_bytes() -> None:
    assert check.socket_path("@" + "ö" * 53) == "@" + "ö" * 53
    assert complaint(check.socket_path, "@" + "ö" * 54).endswith("107 bytes at most")


@pytest.mark.parametrize(
    ("names", "methods"),
    [
        (None, tuple(METHODS)),
        (["get"], ("GET",)),
        (["Post", "GET", "get"], ("GET", "POST")),
        (("options",), ("OPTIONS",)),
    ],
)
def test_methods_are_a_list_in_any_case(names: object, methods: tuple[str, ...]) -> None:
    assert methods == check.methods(names)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ("get", "methods not a list: 'get', write ['get']"),
        (["get", "fetch"], "unknown HTTP method: FETCH, there are GET, HEAD, POST"),
        (["get", 4], "unknown HTTP method: 4, there are"),
        ([], "methods is empty"),
    ],
)
def test_other_methods_are_refused_in_kores_words(names: object, words: str) -> None:
    assert complaint(check.methods, names).startswith(words)


# One beside the others


def test_a_second_server_of_a_name_is_refused() -> None:
    check.free_name("other", ["plain"])
    assert complaint(check.free_name, "plain", ["plain"]).startswith(
        "server 'plain' already exist: "
    )


@pytest.mark.parametrize("address", [Address("::1", 80), Address(path="/x")])
def test_a_second_server_on_an_address_is_refused(address: Address) -> None:
    servers = [Server("plain", address, tls=False)]

    check.free_address(Address("::1", 81), servers)
    assert complaint(check.free_address, address, servers) == (
        f"{address} is already the address of server 'plain'"
    )


def test_any_free_port_may_be_asked_for_twice() -> None:
    anything = Address("::1", 0)
    check.free_address(anything, [Server("plain", anything, tls=False)])


@pytest.mark.parametrize(
    ("earlier", "name"),
    [
        ("*", "a.test"),
        ("A.test", "a.TEST"),
        ("*.a.test", "b.A.test"),
        ("[*]", "[::1]"),
        ("*", "*.a"),
    ],
)
def test_a_domain_no_request_could_reach_is_refused(earlier: str, name: str) -> None:
    assert complaint(check.free_domain, name, "plain", [Named(earlier)]) == (
        f"domain exists: '{earlier}' on server 'plain' already takes '{name}'"
    )


def test_a_domain_beside_narrower_ones_and_on_other_servers_is_free() -> None:
    check.free_domain("*", "plain", [Named("a.test"), Named("*", "other")])
    check.free_domain("a", "plain", [Named("[ab]"), Named("?")])


@pytest.mark.parametrize("name", ["a.test", "*", "[::1]", "x" * 253])
def test_a_domain_is_a_name_a_wildcard_or_an_address(name: str) -> None:
    assert name == check.domain_name(name)


def test_a_domain_that_could_never_match_is_refused() -> None:
    assert complaint(check.domain_name, "x" * 254).startswith("domain name too long: 254")
    assert complaint(check.domain_name, "a.test:80").startswith(
        "domain 'a.test:80': leave the port"
    )
    assert complaint(check.domain_name, "", error=ValueError) == "domain is empty"


def test_the_only_domain_owns_every_route() -> None:
    only = Named("a.test")

    assert only is check.owner(None, [only])
    assert only is check.owner("A.test", [only])


@pytest.mark.parametrize(
    ("wanted", "domains", "words"),
    [
        (None, [], "no domains configured, please configure one"),
        ("a", [], "no domains configured, please configure one"),
        ("a", [Named("c"), Named("b")], "domain 'a' does not exist, there is 'b', 'c'"),
        (
            None,
            [Named("a"), Named("b")],
            "ambiguous domain on route, please specify one: 'a' on 'plain', 'b' on 'plain'; ",
        ),
        (
            "a",
            [Named("a"), Named("a", "other")],
            "ambiguous domain on route, please specify one: 'a' on 'plain', 'a' on 'other'; ",
        ),
    ],
)
def test_a_route_without_one_domain_is_refused_in_kores_words(
    wanted: str | None, domains: list[Named], words: str
) -> None:
    assert complaint(check.owner, wanted, domains).startswith(words)


# The whole


def noted(call: Callable[..., Any], *arguments: Any) -> list[str]:
    """Return the problems a check takes note of."""
    problems = Diagnostics()
    call(*arguments, problems)
    return problems.found


def test_a_server_is_needed() -> None:
    (problem,) = noted(partial(check.servers, needed=True), [], {})

    assert problem.startswith("no server configured: call kore.server(")
    assert "or write a server block with `bind" in problem


def test_a_server_may_be_missing_for_another_reason() -> None:
    problems = Diagnostics()
    problems.add("kore.conf:1", "wrong")

    check.servers([], {}, problems, needed=True)

    assert problems.found == ["kore.conf:1: wrong"]


def test_tls_is_refused_in_one_sentence() -> None:
    server = Server("default", Address("::1", 443), tls=True)

    (problem,) = noted(partial(check.servers, needed=True), [server], {"default": "app.py:3"})

    assert problem == (
        "app.py:3: server 'default': TLS is not part of this version yet, "
        "pass tls=False or write `tls no`"
    )


def test_a_domain_needs_a_server_that_is_there() -> None:
    check.attached("a.test", "plain", ["plain"])
    assert complaint(check.attached, "a.test", "secure", ["plain", "other"]) == (
        "domain 'a.test': server 'secure' does not exist, there is 'plain', 'other'"
    )


def test_a_mistyped_setting_is_answered_with_the_closest() -> None:
    assert check.setting("workers").name == "workers"
    assert complaint(check.setting, "wokers", error=UnknownSettingError) == (
        "unknown setting kore.config.wokers: did you mean workers?"
    )


def test_a_setting_like_no_other_is_answered_with_all() -> None:
    text = complaint(check.setting, "zzz", error=UnknownSettingError)

    assert text.startswith("unknown setting kore.config.zzz: there are workers, ")
    assert "http_header_max" in text


@pytest.mark.parametrize("name", sorted(check.LEGACY))
def test_what_moved_to_privsep_is_refused_with_a_hint(name: str) -> None:
    process = name.rpartition("_")[0] or "worker"
    what = "runas" if name.endswith("runas") else "root"
    assert complaint(check.setting, name) == (
        f"kore.config.{name} is gone: call kore.privsep('{process}', {what}=...)"
    )


def test_good_settings_are_in_force_as_they_are() -> None:
    given = Settings(workers=3, worker_no_accept=(1, 2), http_media_type=("a/b x y", "a/c z"))

    places = dict.fromkeys(SETTINGS, "app.py:3")
    assert settings_checks.in_force(given, places, Diagnostics()) == given


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"workers": 2, "worker_no_accept": (1, 5)},
            "app.py:3: bad value '5' for worker_no_accept: 1..2",
        ),
        (
            {"workers": 2, "worker_no_accept": (1, 2, 1)},
            "app.py:3: worker_no_accept names every worker: none is left to accept",
        ),
        (
            {"http_media_type": ("text/html html htm", "text/x html")},
            "app.py:3: duplicate extension found 'html' in http_media_type",
        ),
    ],
)
def test_settings_that_contradict_are_refused_where_they_were_set(
    settings: dict[str, Any], words: str
) -> None:
    assert [words] == noted(
        settings_checks.in_force,
        Settings(**settings),
        dict.fromkeys(list(settings)[-1:], "app.py:3"),
    )


def test_setting_what_is_the_case_anyway_is_allowed() -> None:
    assert noted(settings_checks.in_force, Settings(), {"http_body_disk_offload": "app.py:3"}) == []


def test_more_connections_bring_more_descriptors() -> None:
    many = Settings(worker_max_connections=10_000)

    assert settings_checks.in_force(many, {}, Diagnostics()).worker_rlimit_nofiles == 10_256
    assert settings_checks.in_force(Settings(), {}, Diagnostics()).worker_rlimit_nofiles == 768


def test_the_most_connections_there_can_be_bring_a_number_of_descriptors_that_is_allowed() -> None:
    most = Settings(worker_max_connections=S32 - SPARE_DESCRIPTORS)
    wanted = settings_checks.in_force(most, {}, Diagnostics()).worker_rlimit_nofiles

    assert SETTINGS["worker_rlimit_nofiles"].parse(wanted) == wanted


def test_descriptors_that_were_counted_by_the_user_stay_as_they_are() -> None:
    given = Settings(worker_max_connections=10_000, worker_rlimit_nofiles=900)

    places = {"worker_rlimit_nofiles": "app.py:3"}
    assert given == settings_checks.in_force(given, places, Diagnostics())


def test_a_setting_nobody_reads_is_noticed_when_it_is_another_than_the_default() -> None:
    places = {"tls_version": "app.py:3", "tls_cipher": "app.py:4"}

    assert settings_checks.notices(Settings(tls_version="1.3"), places) == (
        "app.py:3: tls_version has no effect in this version",
    )


def test_a_name_that_cannot_be_shown_is_refused() -> None:
    words = "name has characters that cannot be printed: 'shop\\n'"

    assert complaint(Builder().rename, "shop\n") == words
    with pytest.raises(ConfigError, match="name has characters that cannot be printed"):
        Builder().server("shop\n", Address(ip="::1"), tls=False)
