"""Fields of an answer: what an application may set, and what nobody may send."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.helpers.build import get, post
from tests.helpers.fix_worker import ThreadLauncher, ThreadServer
from tests.helpers.response_reader import Answer
from tests.helpers.wire import sound


@pytest.fixture(scope="module")
def server(serve_thread: ThreadLauncher) -> ThreadServer:
    return serve_thread(
        Path(__file__).with_name("responses_app.py"), settings={"http_server_version": "kore-test"}
    )


def answer_with(server: ThreadServer, fields: Sequence[tuple[str, str]]) -> Answer:
    """Let the application set *fields*."""
    with server.connect() as client:
        answer = client.ask(post(json.dumps(list(fields)).encode(), target="/fields"))
        if answer.get("connection") != "close":
            assert client.ask(get("/body/bytes")).body == b"some bytes"
    return answer


def test_a_field_is_sent_as_it_was_set(server: ThreadServer) -> None:
    answer = answer_with(server, [("X-One", "1"), ("x-two", 'a, b; c="d"'), ("x-empty", "")])

    assert ("X-One", "1") in answer.fields
    assert answer.get("x-two") == 'a, b; c="d"'
    assert answer.get("x-empty") == ""


def test_a_field_set_again_is_replaced_whatever_its_case(server: ThreadServer) -> None:
    answer = answer_with(
        server,
        [("X-A", "1"), ("x-b", "2"), ("x-a", "3"), ("Set-Cookie", "a=1"), ("set-cookie", "b=2")],
    )

    assert (answer.get("x-a"), answer.get("x-b")) == ("3", "2")
    assert answer.get("set-cookie") == "b=2"


@pytest.mark.parametrize(
    "field",
    [
        ("Content-Length", "99"),
        ("content-length", "6"),
        ("Connection", "close"),
        ("connection", "keep-alive"),
        ("Keep-Alive", "timeout=99"),
        ("Date", "yesterday"),
        ("Server", "mine"),
    ],
    ids=lambda field: f"{field[0]}-{field[1]}",
)
def test_a_field_of_the_server_is_never_there_twice(
    server: ThreadServer, field: tuple[str, str]
) -> None:
    answer = answer_with(server, [field])

    assert answer.body == b"fields"
    assert len(answer.all(field[0].lower())) <= 1
    assert answer.get("content-length") == "6"


def test_an_application_may_end_the_connection(server: ThreadServer) -> None:
    with server.connect() as client:
        fields = json.dumps([("Connection", "close")]).encode()
        answer = client.ask(post(fields, target="/fields"))

        assert (answer.get("connection"), answer.get("keep-alive")) == ("close", None)
        assert client.until_ended() == "closed"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x", "1\r\nx-injected: yes"),
        ("x", "1\nx-injected: yes"),
        ("x", "1\rx-injected: yes"),
        ("x", "1\0"),
        ("x", "\x7f"),
        ("x", "\x01"),
        ("x", "1\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
        ("x\r\nx-injected", "yes"),
        ("x: y\r\nx-injected", "yes"),
        ("x y", "1"),
        ("x:", "1"),
        (":x", "1"),
        ("", "1"),
        ("x\t", "1"),
        ("x\0", "1"),
        ("\xe9", "1"),
        ("Content-Length", "nonsense"),
        ("Transfer-Encoding", "chunked"),
    ],
    ids=ascii,
)
def test_an_injected_field_is_refused(server: ThreadServer, name: str, value: str) -> None:
    with server.expecting("/fields", "Error"):
        answer = answer_with(server, [(name, value)])

    assert answer.status == 500
    assert answer.get("x-injected") is None


@pytest.mark.parametrize("value", ["\u2028", "\u010a\u010dx-injected: yes", "\u20ac 1"], ids=ascii)
def test_text_beyond_latin_1_is_sent_as_utf_8(server: ThreadServer, value: str) -> None:
    answer = answer_with(server, [("x", value)])  # the low bytes of U+010A and U+010D are LF and CR

    assert (answer.get("x") or "").encode("latin-1").decode() == value
    assert answer.get("x-injected") is None


def test_the_servers_name_can_be_chosen(server: ThreadServer) -> None:
    with server.connect() as client:
        assert client.ask(get("/body/bytes")).get("server") == "kore-test"


def test_errors_have_the_usual_fields_too(server: ThreadServer) -> None:
    with server.connect() as client:
        sound(client.ask(get("/none")))
        sound(client.ask(post(b"", target="/twice")))
    with server.connect() as client:
        sound(client.ask(b"GET / HTTP/9\r\n\r\n"))
