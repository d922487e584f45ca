"""What routes and handshakes say of their WebSockets, from Python and from a file."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kore._conf.builder import Builder
from kore._conf.file.printer import Printer
from kore._conf.schema import Config
from kore._conf.server_schema import Address
from kore._conf.websockets import CALLBACKS, KEYWORDS, normalize_options, resolve_callbacks
from kore.errors import ConfigError
from tests.helpers.conf import App, complaints, config, index, route

TOKENS = st.text("abc019.!#$%&'*+^_`|~-", min_size=1, max_size=8)
ORIGINS = st.sampled_from(
    [
        "https://example.com",
        "http://[::1]:8080",
        "https://*.example.com",
        "null",
        "*",
        "app://$x#",
        "same",
    ]
)
WANTED = st.fixed_dictionaries(
    {},
    optional={
        **{name: st.sampled_from([index, None]) for name in CALLBACKS},
        "protocols": st.lists(TOKENS, max_size=3),
        "origins": st.none() | st.lists(ORIGINS, max_size=3),
        "compress": st.booleans(),
        "maxframe": st.integers(0, 2**40) | st.just("16k"),
        "maxmessage": st.integers(0, 2**31 - 2) | st.just("1m"),
        "timeout": st.integers(0, 2**32 - 1) | st.just("2m"),
        "ping": st.integers(0, 1000) | st.just("30s"),
        "buffer_max": st.integers(0, 2**40),
        "buffer_full": st.sampled_from(["close", "raise"]),
    },
)


def made(websocket: Any) -> Config:
    builder = Builder()
    builder.server("plain", Address(ip="127.0.0.1", port=0), tls=False)
    builder.domain("*", "plain").route("/x", index, websocket=websocket)
    return builder.build()


def of_route(config: Config) -> dict[str, Any]:
    return dict(config.domains[0].routes[0].requirements.websocket)


# Values


def test_every_keyword_has_a_plain_value() -> None:
    given = {
        "onconnect": index,
        "onmsg": "module.onmsg",
        "ondisconnect": None,
        "protocols": ["chat.v1", "chat.v2"],
        "origins": {"https://example.com"},
        "compress": True,
        "maxframe": "16k",
        "maxmessage": "1M",
        "timeout": "2m",
        "ping": 30,
        "buffer_max": "4m",
        "buffer_full": "raise",
    }

    assert tuple(given) == KEYWORDS
    assert normalize_options(given) == {
        **given,
        "protocols": ("chat.v1", "chat.v2"),
        "origins": ("https://example.com",),
        "maxframe": 16384,
        "maxmessage": 1048576,
        "timeout": 120,
        "buffer_max": 4194304,
    }


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("onmsg", 7, "onmsg must be a function, its name or None, not 7"),
        ("protocols", "chat", "protocols must be a list, not 'chat'"),
        ("protocols", ["a b"], "'a b' is not a protocol: a token such as chat.v1"),
        ("protocols", [b"a"], "b'a' is not a protocol"),
        ("origins", "https://a", "origins must be a list, not 'https://a'"),
        ("origins", 7, "origins must be a list, not 7"),
        (
            "origins",
            ["example.com"],
            "'example.com' is not an origin: same, or https://example.com",
        ),
        ("origins", ["https://a/"], "'https://a/' is not an origin"),
        ("origins", ["https://a b"], "'https://a b' is not an origin"),
        ("maxframe", -1, "bad value '-1' for maxframe: 0..9223372036854775807 bytes"),
        ("maxmessage", 2**31, "bad value '2147483648' for maxmessage: 0..2147483646 bytes"),
        ("timeout", "soon", "bad value 'soon' for timeout: 0..4294967295 seconds"),
        ("ping", 1.5, "bad value '1.5' for ping"),
        ("ping", True, "bad value 'True' for ping"),
        ("buffer_max", "4q", "bad value '4q' for buffer_max"),
        ("buffer_full", "wait", "bad value 'wait' for buffer_full: close or raise"),
        ("origin", [], "unknown keyword 'origin' of a websocket (did you mean 'origins'?)"),
        ("onmesage", None, "unknown keyword 'onmesage' of a websocket (did you mean 'onmsg'?)"),
    ],
)
def test_what_makes_no_sense_is_refused(name: str, value: object, problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        normalize_options({name: value})

    assert str(refused.value).startswith(problem)


def test_compress_is_true_or_false() -> None:
    with pytest.raises(TypeError, match="compress must be bool, not str"):
        normalize_options({"compress": "yes"})


def test_names_of_callbacks_are_resolved_and_other_text_is_kept() -> None:
    def named(name: str, what: str) -> Callable[..., Any]:
        raise NameError(f"no {what} named {name}")

    plain = {"onconnect": index, "onmsg": None, "buffer_full": "raise"}

    assert resolve_callbacks(plain, named) == plain
    assert resolve_callbacks({"onmsg": "x"}, lambda name, what: index) == {"onmsg": index}
    with pytest.raises(NameError, match="no onmsg callback named nobody"):
        resolve_callbacks({"onmsg": "nobody"}, named)


# On a route, from Python


def test_a_route_from_python_keeps_its_websocket_keywords() -> None:
    assert of_route(made({"ping": "30s", "onmsg": index})) == {"ping": 30, "onmsg": index}
    assert of_route(made(None)) == {}


def test_a_route_from_python_takes_a_dict_only() -> None:
    with pytest.raises(ConfigError, match="websocket must be a dict of keywords, not 'onmsg'"):
        made("onmsg")


def test_an_unknown_callback_is_reported_with_the_place_of_its_route() -> None:
    def named(name: str, what: str) -> Callable[..., Any]:
        raise NameError(f"{what} '{name}' not found")

    builder = Builder()
    builder.server("plain", Address(ip="127.0.0.1", port=0), tls=False)
    builder.domain("*", "plain").route("/x", index, websocket={"onmsg": "onmgs"})
    builder.find_function = named

    with pytest.raises(ConfigError, match="route '/x': onmsg callback 'onmgs' not found"):
        builder.build()


# In a file


def test_a_file_configures_the_same_keywords() -> None:
    text = route(
        "websocket onmsg koreapp.page\nwebsocket origins https://a https://*.b\n"
        "websocket protocols\nwebsocket compress yes\nwebsocket timeout 2m\n"
        "websocket buffer_full raise\n"
    )

    assert of_route(config(text)) == {
        "onmsg": index,
        "origins": ("https://a", "https://*.b"),
        "protocols": (),
        "compress": True,
        "timeout": 120,
        "buffer_full": "raise",
    }


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("websocket onmgs index", "unknown keyword 'onmgs' (did you mean 'onmsg'?), there are"),
        ("websocket ping 1\nwebsocket ping 2", "websocket ping is given twice"),
        ("websocket ping 1 2", "websocket ping takes one value"),
        ("websocket ping", "websocket ping takes one value"),
        ('websocket origins ""', "'' is not an origin"),
        ("websocket ping soon", "bad value 'soon' for ping: 0..4294967295 seconds"),
        ("websocket onmsg nobody", "onmsg callback 'nobody' not found"),
        ("websocket compress maybe", "invalid 'maybe' for yes|no compress option"),
        (
            "websocket origins example.com",
            "'example.com' is not an origin: same, or https://example.com",
        ),
        ("websocket", "write `websocket KEYWORD [VALUE]…`, not 0 words"),
    ],
)
def test_an_invalid_websocket_directive_is_reported_with_its_line(text: str, problem: str) -> None:
    (said,) = complaints(route(text))

    line = 2 + len(text.splitlines())
    assert said.startswith(f"kore.conf:{line}: ")
    assert problem in said


@pytest.mark.parametrize(("word", "name"), [("onmessage", "onmsg"), ("onmsg", "chat.onmsg")])
def test_a_file_may_use_either_name_for_messages(word: str, name: str) -> None:
    app = App({"index": index, "onmessage": index, "chat.onmessage": index})

    assert of_route(config(route(f"websocket {word} {name}"), app)) == {"onmsg": index}


def test_both_names_at_once_are_refused() -> None:
    with pytest.raises(ConfigError, match="two spellings of one keyword"):
        normalize_options({"onmsg": index, "onmessage": index})
    (said,) = complaints(route("websocket onmsg index\nwebsocket onmessage index"))
    assert "websocket onmsg is given twice" in said


# Printed


@given(WANTED)
def test_printed_websocket_keywords_load_as_the_same(wanted: dict[str, Any]) -> None:
    first = made(wanted)
    names = {index: "index"}
    text = Printer(lambda function: names.get(function, "")).print_config(first, [])

    again = config(text, App({"index": index}), server=False)

    said = {name: value for name, value in of_route(first).items() if value is not None}
    assert of_route(again) == said


def test_a_function_without_a_name_is_noticed_when_it_is_printed() -> None:
    printer = Printer(lambda function: "index" if function is index else "")
    text = printer.print_config(made({"onmsg": lambda *_: None}), [])

    assert "websocket onmsg" in text
    assert any("route '/x'" in notice for notice in printer.notices)


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("https://B\u00fccher.example", "https://xn--bcher-kva.example"),
        ("https://*.b\u00fccher.example:8443", "https://*.xn--bcher-kva.example:8443"),
        ("https://Example.com:*", "https://Example.com:*"),
        ("https://example.com:443", "https://example.com"),
        ("HTTP://b\u00fccher.example:80", "HTTP://xn--bcher-kva.example"),
        ("http://example.com:443", "http://example.com:443"),
        ("https://[::1]:443", "https://[::1]"),
        ("https://*:443", "https://*:443"),
        ("same", "same"),
    ],
)
def test_an_origin_is_one_that_browsers_send(written: str, sent: str) -> None:
    assert normalize_options({"origins": [written]}) == {"origins": (sent,)}


def test_an_origin_without_a_name_of_dns_is_refused() -> None:
    with pytest.raises(ConfigError, match="is not part of a host"):
        normalize_options({"origins": ["https://\u202e.test"]})
