"""Names of descriptors: how a process finds what it was handed."""

import pytest

from kore._process.ipc.descriptors import (
    CHANNEL,
    format_arguments,
    name_accesslog,
    name_listener,
    parse_arguments,
    select_accesslogs,
    select_listeners,
)


@pytest.mark.parametrize("handed", [{CHANNEL: 5}, {CHANNEL: 5, "keys": 7, "listener:0:a": 9}])
def test_arguments_are_parsed_as_they_were_formatted(handed: dict[str, int]) -> None:
    assert parse_arguments(format_arguments(handed)) == handed


def test_channel_alone_is_a_number() -> None:
    """A template of any version of kore finds its channel there."""
    assert format_arguments({CHANNEL: 5}) == "5"


def test_channel_comes_first() -> None:
    assert format_arguments({"keys": 7, CHANNEL: 5}) == "5,keys=7"


def test_server_with_several_addresses_has_several_listeners() -> None:
    handed = {CHANNEL: 3, name_listener(0, "a:b"): 4, name_listener(1, "a:b"): 5}

    assert select_listeners(handed) == [("a:b", 4), ("a:b", 5)]


def test_accesslogs_keep_their_order() -> None:
    handed = {name_accesslog(index): 10 - index for index in range(3)}

    assert select_accesslogs({CHANNEL: 3, **handed}) == (10, 9, 8)
