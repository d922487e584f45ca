"""Which texts a private key signs, and how requests for that are read."""

import struct

import pytest

from kore._process.keymgr.signing_requests import (
    REQUEST_MAX,
    SigningRequest,
    encode_scheme,
    find_version,
    parse_request,
)

RANDOMS = bytes(range(64))
SERVER = b" " * 64 + b"TLS 1.3, server CertificateVerify\0"
CLIENT = b" " * 64 + b"TLS 1.3, client CertificateVerify\0"
# The sizes of points on the curves that TLS 1.2 names, by number (RFC 8422 5.1.1).
CURVES = {23: 65, 24: 97, 25: 133, 29: 32, 30: 56}


def exchange(curve: int, size: int | None = None, *, kind: int = 3, first: int = 4) -> bytes:
    """Return the text of a ServerKeyExchange with a point of *size* bytes."""
    size = CURVES[curve] if size is None else size
    point = bytes([first]) + b"p" * (size - 1)
    return RANDOMS + struct.pack("!BHB", kind, curve, size) + point


DH = RANDOMS + struct.pack("!H256sH1sH256s", 256, b"p" * 256, 1, b"\2", 256, b"y" * 256)


@pytest.mark.parametrize("size", [32, 48])
def test_a_server_signs_the_handshake_so_far_in_tls_1_3(size: int) -> None:
    assert find_version(SERVER + b"h" * size) == "TLS 1.3"


@pytest.mark.parametrize("curve", CURVES)
def test_a_server_signs_a_point_on_a_named_curve_in_tls_1_2(curve: int) -> None:
    assert find_version(exchange(curve)) == "TLS 1.2"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"pay mallory 1000",
        b"d" * 32,
        b"d" * 48,
        SERVER,
        SERVER + b"h" * 31,
        SERVER + b"h" * 33,
        SERVER + b"h" * 40,
        SERVER + b"h" * 64,
        CLIENT + b"h" * 32,
        SERVER[1:] + b"h" * 33,
        SERVER.replace(b"1.3", b"1.4") + b"h" * 32,
        SERVER.replace(b"\0", b" ") + b"h" * 32,
        RANDOMS,
        RANDOMS + b"\3",
        DH,
        *[exchange(curve) + b"\0" for curve in CURVES],
        *[exchange(curve)[:-1] for curve in CURVES],
        *[exchange(curve, CURVES[curve] - 1) for curve in CURVES],
        *[exchange(curve, CURVES[curve] + 1) for curve in CURVES],
        *[exchange(curve, kind=1) for curve in CURVES],  # an explicit curve
        *[exchange(curve, first=2) for curve in (23, 24, 25)],  # a compressed point
        exchange(22, 65),
        exchange(26, 65),
        exchange(29, 65),
        b"GET / HTTP/1.1\r\nhost: example.org\r\n\r\n".ljust(100),
    ],
    ids=lambda text: f"{len(text)} bytes, {text[64:80]!r}",
)
def test_other_texts_are_not_signed(text: bytes) -> None:
    assert find_version(text) == ""


def test_the_longest_text_fits_into_a_datagram() -> None:
    assert len(exchange(25)) + 12 < REQUEST_MAX


def test_a_request_is_read_in_native_byte_order() -> None:
    datagram = struct.pack("=IIBBBB", 7, 9, 6, 32, 1, 0) + b"text"

    assert parse_request(memoryview(datagram)) == SigningRequest(
        7, 9, encode_scheme(6, 32, 1), b"text"
    )


@pytest.mark.parametrize("size", range(12))
def test_a_datagram_without_a_whole_head_is_no_request(size: int) -> None:
    assert parse_request(memoryview(b"x" * size)) is None
