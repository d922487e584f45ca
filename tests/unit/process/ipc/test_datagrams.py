import contextlib
import json
import random
import zlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kore._process.ipc import messages
from kore._process.ipc.datagrams import MESSAGE_TYPES, decode, encode
from kore._process.ipc.messages import (
    ConfigLoaded,
    Draining,
    FatalError,
    Fork,
    Forked,
    Hello,
    LogLine,
    Message,
    MessageKind,
    NotForked,
    ProtocolError,
    Ready,
    Reopened,
    RoutedMessage,
    Shutdown,
    Signal,
    StartTimeout,
    Stop,
    WorkerExited,
)
from kore._process.ipc.tls_messages import (
    DomainLoaded,
    DomainRefused,
    DomainUnchanged,
    DropKeys,
    KeysReplaced,
    LoadDomain,
    RestoreDomain,
    ServeTickets,
    SignFor,
    TicketKeys,
    TlsMaterial,
    TlsServed,
)

EACH: list[Message] = [
    Draining(),
    Hello("0.1.0"),
    ConfigLoaded({"name": "kore", "settings": {"workers": 2}, "servers": []}),
    Fork(3, 5, ("channel", "scoreboard", "listener:0:http", "accesslog:0")),
    Reopened(2),
    Forked(3, 4711),
    NotForked(3, "Resource temporarily unavailable"),
    Ready(),
    Stop(drain=True),
    Stop(drain=True, patient=True, accept=False),
    Shutdown(),
    LogLine(3, "two\nlines, ünïcode"),
    LogLine(3, "failed", "Traceback\nof it, ünïcode"),
    Signal(15),
    FatalError(""),
    StartTimeout(90),
    RoutedMessage(3, MessageKind.OBJECT | messages.ECHO, b"\0anything"),
    WorkerExited(3),
    LoadDomain(7, 2, "tls", "a.example", 1, ("certificate", "key"), ("/c.pem", "/k.pem"), False),
    DomainLoaded(7, "0AB1", 1798761600.0, ("expires soon",)),
    DomainUnchanged(7),
    DomainRefused(7, ("key /k.pem: not PEM", "certificate /c.pem: expired")),
    RestoreDomain(),
    DropKeys(6),
    SignFor(3, (1, 2)),
    ServeTickets(("tls", "other")),
    TicketKeys("tls", 1798761600.0, ("00" * 80, "ab" * 80)),
    TlsMaterial(7, "tls", "a.example"),
    TlsServed(7, ""),
    KeysReplaced(),
]


def datagram(code: int, payload: bytes, *, version: int = 1, flags: int = 0, to: int = 0) -> bytes:
    return messages.HEADER.pack(version, code, flags, to, len(payload)) + payload


@pytest.mark.parametrize("message", EACH, ids=repr)
def test_decoded_message_equals_the_encoded_one(message: Message) -> None:
    descriptors = (5, 6, 7, 8, 9)[: message.descriptor_count]

    received = decode(encode(message), descriptors)

    if descriptors:
        message = replace(message, descriptors=descriptors)  # type: ignore[type-var]
    assert received == message


def test_every_message_type_is_tested_here() -> None:
    assert {type(message) for message in EACH} == set(MESSAGE_TYPES.values())


def test_the_header_has_sixteen_bytes_and_no_source() -> None:
    assert encode(Ready()) == bytes([1, Ready.code, *[0] * 14])


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (b"\1\5\0", "shorter than a header"),
        (datagram(5, b"", version=2), "version 2"),
        (datagram(5, b"", flags=1), "flags 0x1"),
        (datagram(5, b"", to=9), "destination 9 does not exist"),
        (datagram(99, b""), "type 99 does not exist"),
        (datagram(5, b"")[:-1] + b"\0\0", "length differs"),
        (datagram(7, b"{}")[:-1], "length differs"),
        (datagram(3, b"not json"), "Forked is not JSON"),
        (datagram(3, b"[" * 100_000), "Forked is not JSON"),
        (datagram(3, b"[]"), "Forked has other fields"),
        (datagram(3, b'{"number": 1}'), "Forked has other fields"),
        (datagram(3, b'{"number": 1, "pid": 2, "more": 3}'), "Forked has other fields"),
        (datagram(3, b'{"number": 1, "pid": "2"}'), "Forked has a field of a wrong type"),
        (datagram(3, b'{"number": true, "pid": 2}'), "Forked has a field of a wrong type"),
        (datagram(3, b'{"number": -1, "pid": 2}'), "Forked has a field of a wrong type"),
        (datagram(3, b'{"number": 1, "pid": 1e3}'), "Forked has a field of a wrong type"),
        (datagram(3, b'{"number": 1, "pid": 99999999999}'), "Forked has a field of a wrong type"),
        (
            datagram(2, b'{"number": 1, "names": [1], "slot": 1}'),
            "Fork has a field of a wrong type",
        ),
        (datagram(23, b'{"number": 1, "domain_ids": [true]}'), "SignFor has a field of a wrong"),
        (datagram(23, b'{"number": 1, "domain_ids": {}}'), "SignFor has a field of a wrong"),
        (datagram(25, b'{"server": "", "made": NaN, "keys": []}'), "TicketKeys has a field of a"),
        (datagram(25, b'{"server": "", "made": 1e99, "keys": []}'), "TicketKeys has a field of a"),
        (datagram(25, b'{"server": "", "made": 1, "keys": []}'), "TicketKeys has a field of a"),
        (datagram(1, b'{"plain": []}'), "ConfigLoaded has a field of a wrong type"),
        (datagram(8, b""), "LogLine is empty"),
        (datagram(13, b"", version=2, flags=1), "version 2"),
        (datagram(13, b"x", flags=1)[:-1], "length differs"),
    ],
)
def test_malformed_datagram_is_refused_with_a_reason(bad: bytes, why: str) -> None:
    with pytest.raises(ProtocolError, match=why):
        decode(bad)


@pytest.mark.parametrize("descriptors", [(), (4, 5)])
def test_a_reopened_log_comes_with_one_descriptor(descriptors: tuple[int, ...]) -> None:
    with pytest.raises(ProtocolError, match=f"Reopened with {len(descriptors)} descriptors"):
        decode(encode(Reopened(1)), descriptors)


def test_keys_of_tickets_are_not_in_the_text_of_their_message() -> None:
    assert "ab" * 80 not in repr(TicketKeys("tls", 0.0, ("ab" * 80,)))


@pytest.mark.parametrize("descriptors", [(), (4, 5, 6), (4, 5, 6, 7, 8)])
def test_fork_needs_a_descriptor_for_each_name(descriptors: tuple[int, ...]) -> None:
    with pytest.raises(ProtocolError, match=f"Fork with {len(descriptors)} descriptors"):
        decode(encode(Fork(1, 1, ("channel", "scoreboard", "pipe", "listener:0:one"))), descriptors)


def test_other_messages_may_not_carry_descriptors() -> None:
    with pytest.raises(ProtocolError, match="Ready with 1 descriptors"):
        decode(encode(Ready()), (3,))


def test_structure_that_is_too_large_is_refused() -> None:
    with pytest.raises(ProtocolError, match="larger than"):
        encode(ConfigLoaded({"name": random.Random(1).randbytes(messages.SIZE_MAX).hex()}))


def test_a_configuration_of_many_domains_fits() -> None:
    domains = [
        {"domain": f"{number}.example", "certificate": f"/etc/letsencrypt/live/{number}.example"}
        for number in range(5000)
    ]

    assert decode(encode(ConfigLoaded({"tls": domains}))) == ConfigLoaded({"tls": domains})


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"\x78", "incomplete"),
        (b"\x78not compressed", "malformed compressed data"),
        (zlib.compress(b"{}")[:-1], "incomplete"),
        (zlib.compress(b"[]"), "ConfigLoaded has other fields"),
        (zlib.compress(b"0" * (messages.CONFIG_MAX + 1)), "of more than"),
    ],
)
def test_malformed_compressed_data_is_refused(content: bytes, why: str) -> None:
    with pytest.raises(ProtocolError, match=why):
        decode(datagram(ConfigLoaded.code, content))


@pytest.mark.parametrize(
    "kind", [lambda text: LogLine(3, text), FatalError], ids=["LogLine", "FatalError"]
)
def test_long_text_keeps_its_start_and_end(kind: Any) -> None:
    text = "first " + "€" * messages.SIZE_MAX + " last"
    sent = encode(kind(text))

    assert len(sent) <= messages.SIZE_MAX
    start, note, end = decode(sent).text.split("\n")  # type: ignore[attr-defined]
    assert start == "first " + "€" * (len(start) - 6), "no half of a character"
    assert end == "€" * (len(end) - 5) + " last"
    kept = len((start + end).encode())
    assert note == f"[{len(text.encode()) - kept} bytes left out]"


def test_invalid_unicode_is_escaped() -> None:
    received = decode(encode(LogLine(3, "\ud800 odd")))

    assert received == LogLine(3, "\\ud800 odd")
    assert decode(datagram(9, b"\xff odd")) == FatalError("\ufffd odd")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_protocol_error(data: bytes) -> None:
    for code in (0, *MESSAGE_TYPES):
        try:
            message = decode(datagram(code, data))
        except ProtocolError:
            continue
        assert type(message).code == code


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ),
    st.sampled_from([1, 2, 3, 4, 5, 6, 7]),
)
def test_any_json_is_a_message_or_a_protocol_error(content: object, code: int) -> None:
    with contextlib.suppress(ProtocolError):
        assert type(decode(datagram(code, json.dumps(content).encode()))).code == code
