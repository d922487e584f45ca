"""Signatures for workers: keys, texts, schemes, refusals, rates."""

import socket
import struct
from collections.abc import Iterator

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from kore._core.signing_service import (
    BURST,
    PAUSE_SECONDS,
    SignatureRefusedError,
    WorkerRequests,
)
from kore._process.keymgr.signer import Signer

TLS_1_3 = b" " * 64 + b"TLS 1.3, server CertificateVerify\0" + b"h" * 32
TLS_1_2 = b"r" * 64 + b"\x03\x00\x1d\x20" + b"p" * 32
HASHES = {1: hashes.SHA256(), 2: hashes.SHA384(), 3: hashes.SHA512()}
P256, P384, RSA = 1, 2, 3
ECDSA_SHA256 = bytes((0, 0, 1, 0))
RSA_SHA256 = bytes((1, 0, 1, 0))  # PKCS #1 v1.5, which TLS 1.2 has and 1.3 has not
KEYS: dict[int, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey] = {
    P256: ec.generate_private_key(ec.SECP256R1()),
    P384: ec.generate_private_key(ec.SECP384R1()),
    RSA: rsa.generate_private_key(65537, 2048),
}


@pytest.fixture(scope="module")
def signer() -> Signer:
    signer = Signer()
    for key_id, key in KEYS.items():
        signer.set_key(key_id, key)
    return signer


# ---- texts

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
def test_a_server_signs_the_handshake_so_far_in_tls_1_3(signer: Signer, size: int) -> None:
    assert signer.sign(P256, ECDSA_SHA256, SERVER + b"h" * size)
    with pytest.raises(SignatureRefusedError, match=r"TLS 1\.3"):
        signer.sign(RSA, RSA_SHA256, SERVER + b"h" * size)


@pytest.mark.parametrize("curve", CURVES)
def test_a_server_signs_a_point_on_a_named_curve_in_tls_1_2(signer: Signer, curve: int) -> None:
    assert signer.sign(RSA, RSA_SHA256, exchange(curve))


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
def test_other_texts_are_not_signed(signer: Signer, text: bytes) -> None:
    with pytest.raises(SignatureRefusedError, match="a text that TLS servers do not sign"):
        signer.sign(P256, ECDSA_SHA256, text)


# ---- schemes


def verify(key_id: int, scheme: tuple[int, int, int], text: bytes, signature: bytes) -> None:
    """Raise InvalidSignature unless a client would accept the signature."""
    key, function = KEYS[key_id], HASHES[scheme[2]]
    if isinstance(key, ec.EllipticCurvePrivateKey):
        key.public_key().verify(signature, text, ec.ECDSA(function))
    elif scheme[0] == 6:
        pss = padding.PSS(padding.MGF1(function), function.digest_size)
        key.public_key().verify(signature, text, pss, function)
    else:
        key.public_key().verify(signature, text, padding.PKCS1v15(), function)


@pytest.mark.parametrize(
    ("key_id", "scheme", "text"),
    [
        (P256, (0, 0, 1), TLS_1_3),
        (P384, (0, 0, 2), TLS_1_3),
        (P256, (0, 0, 1), TLS_1_2),
        (P256, (0, 0, 2), TLS_1_2),
        (P384, (0, 0, 1), TLS_1_2),
        (P384, (0, 0, 3), TLS_1_2),
        (RSA, (6, 32, 1), TLS_1_3),
        (RSA, (6, 48, 2), TLS_1_3),
        (RSA, (6, 64, 3), TLS_1_3),
        (RSA, (6, 32, 1), TLS_1_2),
        (RSA, (1, 0, 1), TLS_1_2),
        (RSA, (1, 0, 2), TLS_1_2),
        (RSA, (1, 0, 3), TLS_1_2),
    ],
)
def test_a_scheme_of_tls_is_signed(
    signer: Signer, key_id: int, scheme: tuple[int, int, int], text: bytes
) -> None:
    signature = signer.sign(key_id, bytes((*scheme, 0)), text)

    verify(key_id, scheme, text, signature)
    with pytest.raises(InvalidSignature):
        verify(key_id, scheme, text + b"x", signature)


@pytest.mark.parametrize(
    ("key_id", "scheme", "text"),
    [
        (P256, (0, 0, 2), TLS_1_3),  # the hash of another curve
        (P384, (0, 0, 1), TLS_1_3),
        (RSA, (1, 0, 1), TLS_1_3),  # a padding that TLS 1.3 does not have
        (RSA, (6, 20, 1), TLS_1_3),  # a salt of another size
        (RSA, (6, 0, 1), TLS_1_3),
        (RSA, (6, 32, 2), TLS_1_3),
        (RSA, (0, 0, 1), TLS_1_2),
        (RSA, (3, 0, 1), TLS_1_2),  # none
        (RSA, (1, 0, 0), TLS_1_2),
        (RSA, (1, 0, 4), TLS_1_2),
        (P256, (1, 0, 1), TLS_1_2),
        (P256, (0, 32, 1), TLS_1_2),
    ],
)
def test_another_scheme_is_refused(
    signer: Signer, key_id: int, scheme: tuple[int, int, int], text: bytes
) -> None:
    with pytest.raises(SignatureRefusedError, match="scheme"):
        signer.sign(key_id, bytes((*scheme, 0)), text)


def test_a_text_that_is_not_of_tls_is_refused(signer: Signer) -> None:
    with pytest.raises(SignatureRefusedError, match="text"):
        signer.sign(P256, ECDSA_SHA256, b"pay mallory 1000")


def test_a_removed_key_signs_no_more() -> None:
    signer = Signer()
    signer.set_key(P256, KEYS[P256])
    signer.remove_key(P256)
    signer.remove_key(P256)

    with pytest.raises(SignatureRefusedError, match="unknown key"):
        signer.sign(P256, ECDSA_SHA256, TLS_1_3)


def test_a_curve_without_a_scheme_in_tls_1_3_is_an_error() -> None:
    with pytest.raises(ValueError, match="secp256k1"):
        Signer().set_key(1, ec.generate_private_key(ec.SECP256K1()))


# ---- the requests of a worker


class Worker:
    """The other end of a channel, with a clock that the test sets."""

    def __init__(self, signer: Signer, key_ids: tuple[int, ...]) -> None:
        self.sock, self.other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.setblocking(False)
        self.requests = WorkerRequests(self.other, signer, key_ids)

    def ask(self, request_id: int, key_id: int = P256, text: bytes = TLS_1_3) -> None:
        self.sock.send(struct.pack("=IIBBBB", request_id, key_id, 0, 0, 1, 0) + text)

    def read(self) -> dict[int, bytes]:
        """Return the signatures that have come, by request."""
        found = {}
        while True:
            try:
                response = self.sock.recv(4096)
            except BlockingIOError:
                return found
            found[struct.unpack_from("=I", response)[0]] = response[4:]


@pytest.fixture
def worker(signer: Signer) -> Iterator[Worker]:
    worker = Worker(signer, (P256, RSA))
    yield worker
    worker.sock.close()
    worker.requests.close()


def test_all_requests_that_have_come_are_served(worker: Worker) -> None:
    for number in (5, 1 << 31, 7):
        worker.ask(number)

    assert worker.requests.serve() == 0
    signatures = worker.read()
    assert list(signatures) == [5, 1 << 31, 7]
    for signature in signatures.values():
        verify(P256, (0, 0, 1), TLS_1_3, signature)
    assert (worker.requests.signed_count, worker.requests.refused_count) == (3, 0)


@pytest.mark.parametrize(
    ("key_id", "text", "reason"),
    [
        (P384, TLS_1_3, "a key that is not for this worker"),
        (99, TLS_1_3, "a key that is not for this worker"),
        (P256, b"pay mallory 1000", "a text that TLS servers do not sign"),
        (P256, TLS_1_3 * 20, "a text that TLS servers do not sign"),
        (RSA, TLS_1_3, "a scheme that the key has not in TLS 1.3"),
    ],
)
def test_a_refusal_is_a_response_without_a_signature(
    worker: Worker, key_id: int, text: bytes, reason: str
) -> None:
    worker.ask(3, key_id, text)
    worker.ask(4)

    assert worker.requests.serve() == 0
    signatures = worker.read()
    assert signatures[3] == b""
    assert signatures[4]
    assert (worker.requests.refused_count, worker.requests.refusal) == (1, reason)


def test_a_datagram_without_a_head_has_no_response(worker: Worker) -> None:
    worker.sock.send(b"\1\0\0\0")

    assert worker.requests.serve() == 0
    assert worker.read() == {}
    assert worker.requests.refusal == "a datagram that is too short"


def test_keys_are_allowed_and_withdrawn(worker: Worker) -> None:
    worker.requests.key_ids = frozenset({P384})
    worker.ask(1)
    worker.requests.serve()

    assert worker.read() == {1: b""}


def test_a_worker_that_is_gone_is_reported(worker: Worker) -> None:
    worker.ask(1)
    worker.sock.close()

    worker.requests.serve()
    assert worker.requests.serve() is None


def ask_until_paused(worker: Worker) -> int:
    """Make requests until the worker is left alone; return how many were served.

    They are refused: that counts, too, and takes less time.
    """
    for number in range(2 * BURST):
        worker.ask(number, text=b"no text of TLS")
        paused = worker.requests.serve()
        if not worker.read():
            assert paused == PAUSE_SECONDS
            return number
    raise AssertionError("it was never left alone")


def test_a_worker_that_asks_too_often_is_left_alone_for_a_while(worker: Worker) -> None:
    worker.requests.advance_clock(-60_000)  # no time passes

    assert ask_until_paused(worker) == BURST
    worker.requests.advance_clock(60_000)
    worker.requests.serve()
    assert list(worker.read()) == [BURST]


def test_a_worker_does_not_save_up_more_than_a_burst(worker: Worker) -> None:
    worker.requests.advance_clock(-60_000)
    ask_until_paused(worker)
    worker.requests.advance_clock(3_600_000)
    worker.requests.serve()
    assert list(worker.read()) == [BURST]
    worker.requests.advance_clock(-3_600_000)

    assert ask_until_paused(worker) == BURST - 1


def test_others_have_their_turn_before_all_requests_are_served(worker: Worker) -> None:
    for number in range(50):
        worker.sock.send(struct.pack("=II", number, RSA) + RSA_SHA256 + TLS_1_2)

    assert worker.requests.serve() == 0
    assert 0 < len(worker.read()) < 50, "a turn takes a millisecond or two, these take 10"


def test_a_worker_that_does_not_read_is_left_alone(worker: Worker) -> None:
    worker.other.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    paused = 0.0
    for number in range(100):
        worker.ask(number)
        paused = worker.requests.serve() or 0.0
        if paused:
            break

    assert paused == PAUSE_SECONDS
    worker.read()
    worker.ask(1000)
    assert worker.requests.serve() == 0
    assert list(worker.read()) == [1000]
