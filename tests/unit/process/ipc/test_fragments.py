"""What is cut in pieces comes together again, or not at all; windows count what is on its way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kore._process.ipc.fragments import (
    FRAGMENT_HEADER,
    FRAGMENT_OVERHEAD,
    FRAGMENT_SIZE,
    Reassembler,
    SendWindow,
    decode_ack,
    encode_ack,
    split_message,
    wire_cost,
)
from kore._process.ipc.messages import ProtocolError

LIMIT = 5 * FRAGMENT_SIZE
SIZES = st.sampled_from(
    [
        0,
        1,
        FRAGMENT_SIZE - 1,
        FRAGMENT_SIZE,
        FRAGMENT_SIZE + 1,
        2 * FRAGMENT_SIZE,
        2 * FRAGMENT_SIZE + 7,
        LIMIT,
    ]
)
Complete = tuple[int, int, bytes | None]


def pieces(number: int, payload: bytes) -> list[bytes]:
    """Return the contents of the parcels, as they arrive."""
    return [head + body for head, body in split_message(number, payload)]


def fed(assembly: Reassembler, contents: list[bytes]) -> list[Complete]:
    return [done for content in contents if (done := assembly.add(content)) is not None]


@given(st.lists(SIZES, max_size=4))
def test_fragments_are_reassembled(sizes: list[int]) -> None:
    sent = [bytes([at]) * size for at, size in enumerate(sizes)]
    contents = [piece for at, payload in enumerate(sent, 1) for piece in pieces(at, payload)]

    assert fed(Reassembler(LIMIT), contents) == [
        (at, len(payload), payload) for at, payload in enumerate(sent, 1)
    ]


@given(st.lists(SIZES, min_size=2, max_size=4), st.data())
def test_incomplete_message_has_no_payload(sizes: list[int], data: st.DataObject) -> None:
    sent = [bytes([at]) * size for at, size in enumerate(sizes)]
    contents = [piece for at, payload in enumerate(sent, 1) for piece in pieces(at, payload)]
    missed = data.draw(st.integers(0, len(contents)))
    for number, _, payload in fed(Reassembler(LIMIT), contents[missed:]):
        assert payload in (None, sent[number - 1])


def test_message_without_its_beginning_counts_as_one() -> None:
    first, *rest = pieces(7, b"x" * (3 * FRAGMENT_SIZE))

    assert fed(Reassembler(LIMIT), rest) == [(7, 3 * FRAGMENT_SIZE, None)]
    assert fed(Reassembler(LIMIT), [first]) == []


def test_new_message_replaces_an_unfinished_one() -> None:
    first, *_ = pieces(7, b"x" * (3 * FRAGMENT_SIZE))

    assert fed(Reassembler(LIMIT), [first, *pieces(8, b"whole")]) == [(8, 5, b"whole")]


def test_fragments_of_two_messages_are_never_mixed() -> None:
    first, _ = pieces(7, b"x" * (2 * FRAGMENT_SIZE))
    _, second = pieces(8, b"y" * (2 * FRAGMENT_SIZE))

    assert fed(Reassembler(LIMIT), [first, second]) == [(8, 2 * FRAGMENT_SIZE, None)]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        FRAGMENT_HEADER.pack(1, 0, 0)[:-1],
        FRAGMENT_HEADER.pack(1, LIMIT + 1, 0) + b"x" * FRAGMENT_SIZE,
        FRAGMENT_HEADER.pack(1, 5, 0) + b"four",
        FRAGMENT_HEADER.pack(1, 5, 0) + b"sixsix",
        FRAGMENT_HEADER.pack(1, 2 * FRAGMENT_SIZE, 0) + b"small",
        FRAGMENT_HEADER.pack(1, 2 * FRAGMENT_SIZE, 5) + b"x" * FRAGMENT_SIZE,
        FRAGMENT_HEADER.pack(1, FRAGMENT_SIZE, FRAGMENT_SIZE) + b"beyond",
    ],
)
def test_malformed_fragment_is_refused(content: bytes) -> None:
    with pytest.raises(ProtocolError):
        Reassembler(LIMIT).add(content)


@given(st.lists(st.binary(max_size=40)))
def test_random_bytes_do_no_harm(contents: list[bytes]) -> None:
    assembly = Reassembler(LIMIT)
    for content in contents:
        try:
            assembly.add(content)
        except ProtocolError:
            continue


@given(st.lists(st.tuples(*[st.integers(0, 2**32 - 1)] * 2, st.integers(0, 3)), max_size=8))
def test_random_numbers_do_no_harm(heads: list[tuple[int, int, int]]) -> None:
    assembly = Reassembler(LIMIT)
    for size, start, number in heads:
        body = bytes(min(FRAGMENT_SIZE, max(0, size - start)))
        try:
            done = assembly.add(FRAGMENT_HEADER.pack(number, size, start) + body)
        except ProtocolError:
            continue
        assert done is None or done[2] is None or len(done[2]) == size <= LIMIT


def test_acknowledgement_contains_the_message_id() -> None:
    assert decode_ack(encode_ack(2**63)) == 2**63
    with pytest.raises(ProtocolError, match="size"):
        decode_ack(b"1234567")


def test_each_fragment_has_overhead() -> None:
    assert wire_cost(0) == FRAGMENT_OVERHEAD
    assert wire_cost(FRAGMENT_SIZE) == FRAGMENT_SIZE + FRAGMENT_OVERHEAD
    assert wire_cost(FRAGMENT_SIZE + 1) == FRAGMENT_SIZE + 1 + 2 * FRAGMENT_OVERHEAD


def test_window_has_room_for_one_message_of_any_size() -> None:
    window = SendWindow(wire_cost(10))

    assert window.has_room(1000)
    window.add(1, 1000)
    assert not window.has_room(0)
    window.acknowledge(1)
    assert window.has_room(1000)


def test_acknowledgement_covers_earlier_messages() -> None:
    window = SendWindow(10 * wire_cost(1))
    for number in range(1, 11):
        window.add(number, wire_cost(1))

    assert not window.has_room(wire_cost(1))
    window.acknowledge(4)
    assert len(window) == 6
    assert window.has_unacked(5)
    assert not window.has_unacked(4)
    assert window.bytes == 6 * wire_cost(1)
    window.acknowledge(3)
    assert len(window) == 6
    assert window.clear() == 6
    assert window.bytes == 0
    assert not window.has_unacked(10)


def test_request_is_open_until_acknowledged_or_cleared() -> None:
    window = SendWindow(wire_cost(1))
    window.ack_requested = 4
    window.acknowledge(3)
    assert window.ack_requested == 4
    window.acknowledge(5)
    assert window.ack_requested == 0
    window.ack_requested = 6
    window.clear()
    assert window.ack_requested == 0
