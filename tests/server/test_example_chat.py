"""The chat's names: who may speak under which."""

import contextlib
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.helpers.fix_serve import Server, serving
from tests.server.test_browser_chat import CHAT
from tests.server.test_examples import in_room, told


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(CHAT, tmp_path_factory.mktemp("chat")) as server:
        yield server


@pytest.mark.parametrize(
    ("room", "first", "second"),
    [
        ("garden", "visitor=" + "a" * 32, "visitor=" + "b" * 32),
        ("lounge", "", ""),
        ("kitchen", "x=y", "visitor=a"),
    ],
)
def test_chat_refuses_a_name_that_another_client_has(
    chat: Server, room: str, first: str, second: str
) -> None:
    mine, others = ({"Cookie": cookie} for cookie in (first, second))
    with in_room(chat, room, "name=Zo\u00eb", additional_headers=mine) as zoe:
        assert told(zoe, "event") == "Zo\u00eb joined"
        with in_room(chat, room, "name=ZOE\u0308", additional_headers=others) as other:
            other.send("I am Zo\u00eb")
            with contextlib.suppress(ConnectionClosed):
                list(other)
            assert (other.close_code, other.close_reason[:18]) == (4009, "this name is taken")
        zoe.send("I am")
        assert [said["text"] for said in told(zoe, "said")] == ["I am"]


def test_chat_keeps_a_name_for_the_browser_that_had_it(chat: Server) -> None:
    mine, others = ({"Cookie": f"visitor={letter * 32}"} for letter in "cd")
    for _ in range(2):
        with in_room(chat, "garden", "name=kim", additional_headers=mine) as kim:
            assert told(kim, "event") == "kim joined"
            with in_room(chat, "garden", "name=kim", additional_headers=mine) as window:
                assert told(window, "event") == "kim joined"
        with in_room(chat, "garden", "name=kim", additional_headers=others) as other:
            with contextlib.suppress(ConnectionClosed):
                list(other)
            assert other.close_code == 4009


@pytest.mark.parametrize("name", ["Ann\u034fa  Lee", "ANNA LEE", "anna\u3164 lee", "\uff21nna lee"])
def test_chat_takes_names_that_look_the_same_for_one(chat: Server, name: str) -> None:
    with in_room(chat, "lounge", "name=Anna%20Lee") as anna:
        assert told(anna, "event") == "Anna Lee joined"
        with in_room(chat, "lounge", f"name={quote(name)}") as other:
            with contextlib.suppress(ConnectionClosed):
                list(other)
            assert other.close_code == 4009


@pytest.mark.parametrize("name", ["", " ann", "a\u200bb", "\u3164", "x" * 25])
def test_chat_refuses_names_that_cannot_be_seen(chat: Server, name: str) -> None:
    with pytest.raises(InvalidStatus), in_room(chat, "lounge", f"name={quote(name)}"):
        pass
