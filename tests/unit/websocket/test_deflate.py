"""Compression: what is agreed on, judged by the websockets library, and what it does."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.headers import parse_extension

from kore._websocket.deflate import TAIL, DeflateParameters, Deflater, negotiate_deflate

BITS = st.sampled_from([None, 9, 10, 15])


def test_plain_offer_is_accepted() -> None:
    assert negotiate_deflate("permessage-deflate") == DeflateParameters()
    assert DeflateParameters().format_field() == "permessage-deflate"


@pytest.mark.parametrize(
    ("offer", "answer"),
    [
        ("permessage-deflate; client_max_window_bits", "permessage-deflate"),
        (
            "permessage-deflate; client_max_window_bits=10",
            "permessage-deflate; client_max_window_bits=10",
        ),
        (
            'permessage-deflate; server_max_window_bits="10"',
            "permessage-deflate; server_max_window_bits=10",
        ),
        (
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        ),
        ("x-webkit-deflate-frame, Permessage-Deflate", "permessage-deflate"),
        ("permessage-deflate; unknown, permessage-deflate", "permessage-deflate"),
        ("permessage-deflate; server_max_window_bits=8, permessage-deflate", "permessage-deflate"),
    ],
)
def test_first_acceptable_offer_is_accepted(offer: str, answer: str) -> None:
    agreement = negotiate_deflate(offer)

    assert agreement is not None
    assert agreement.format_field() == answer


@pytest.mark.parametrize(
    "offer",
    [
        "",
        "deflate",
        "permessage-deflate; unknown",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=010",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_max_window_bits=10; client_max_window_bits=10",
        "permessage-deflate; =",
    ],
)
def test_malformed_offer_is_declined(offer: str) -> None:
    assert negotiate_deflate(offer) is None


@given(
    st.booleans(), st.booleans(), BITS, st.one_of(BITS, st.just(True)), st.integers(9, 15),
    st.lists(st.binary(max_size=200), max_size=4),
)  # fmt: skip
def test_negotiated_parameters_work_with_the_websockets_library(
    server_alone: bool,
    client_alone: bool,
    server_bits: int | None,
    client_bits: int | bool | None,
    ours: int,
    payloads: list[bytes],
) -> None:
    factory = ClientPerMessageDeflateFactory(
        server_no_context_takeover=server_alone,
        client_no_context_takeover=client_alone,
        server_max_window_bits=server_bits,
        client_max_window_bits=client_bits or None,
    )
    words = "; ".join(
        name if value is None else f"{name}={value}" for name, value in factory.get_request_params()
    )
    offer = f"permessage-deflate; {words}" if words else "permessage-deflate"
    agreement = negotiate_deflate(offer, bits_max=ours)
    assert agreement is not None
    ((_, parameters),) = parse_extension(agreement.format_field())
    theirs = factory.process_response_params(parameters, [])
    deflater = Deflater(agreement)

    for payload in payloads:
        sent = theirs.encode(Frame(Opcode.BINARY, payload))
        assert deflater.unpack(bytes(sent.data) + TAIL, 1000) == payload
        got = theirs.decode(Frame(Opcode.BINARY, deflater.pack(payload), rsv1=True), max_size=1000)
        assert got.data == payload


def test_decompressed_size_is_limited() -> None:
    bomb = zlib.compressobj(wbits=-15)
    data = bomb.compress(bytes(100_000_000)) + bomb.flush(zlib.Z_SYNC_FLUSH)

    assert len(Deflater(DeflateParameters()).unpack(data, 1000)) == 1000


def last_block(data: bytes) -> bytes:
    """Return a message whose only block says that it is the last, as RFC 7692 7.2.3.4 has it."""
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush(zlib.Z_FINISH) + b"\x00"


@pytest.mark.parametrize("alone", [False, True])
def test_final_block_does_not_end_the_stream(alone: bool) -> None:
    deflater = Deflater(DeflateParameters(client_no_context=alone))
    # The RFC's own bytes first.
    hello = bytes([0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00])

    for _ in range(3):
        assert deflater.unpack(hello + TAIL, 100) == b"Hello"
        assert deflater.unpack(last_block(b"abc" * 20) + TAIL, 100) == b"abc" * 20
        packer = zlib.compressobj(wbits=-15)
        plain = packer.compress(b"plain") + packer.flush(zlib.Z_SYNC_FLUSH)
        assert deflater.unpack(plain, 100) == b"plain"


def test_several_final_blocks_are_one_message() -> None:
    block = last_block(b"abc").removesuffix(b"\x00")

    assert Deflater(DeflateParameters()).unpack(block * 3 + b"\x00" + TAIL, 100) == b"abcabcabc"
    assert len(Deflater(DeflateParameters()).unpack(block * 3 + b"\x00" + TAIL, 5)) == 5
    with pytest.raises(ValueError, match="too many last blocks"):
        Deflater(DeflateParameters()).unpack(b"\x03\x00" * 100_000 + TAIL, 100)


@pytest.mark.parametrize(
    "offers",
    [
        'a; b="x, permessage-deflate, y"',
        'a; b="x; y", c; d="\\", permessage-deflate"',
        'a; b="permessage-deflate, permessage-deflate',
        'permessage-deflate; a="x; y"',
        ";permessage-deflate",
    ],
)
def test_offer_in_a_quoted_value_is_ignored(offers: str) -> None:
    assert negotiate_deflate(offers) is None


@pytest.mark.parametrize("offers", ['a; b="x, y", permessage-deflate', "a;, permessage-deflate, "])
def test_offer_after_a_quoted_value_is_accepted(offers: str) -> None:
    assert negotiate_deflate(offers) == DeflateParameters()


@pytest.mark.parametrize("octet", [b"", b"\0"])
@pytest.mark.parametrize("alone", [False, True])
def test_final_block_with_or_without_its_octet_is_a_message(octet: bytes, *, alone: bool) -> None:
    deflater = Deflater(DeflateParameters(client_no_context=alone))
    found = []
    for text in (b"first", b"second", b"third"):
        packer = zlib.compressobj(wbits=-15)
        if text == b"second":
            data = packer.compress(text) + packer.flush(zlib.Z_FINISH) + octet
        else:
            data = (packer.compress(text) + packer.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)
        found.append(deflater.unpack(data + TAIL, 1000))

    assert found == [b"first", b"second", b"third"]
