"""Frames in, frames out: what RFC 6455 says, case by case, however the bytes are cut."""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.helpers.fix_worker import ThreadLauncher, ThreadServer
from tests.helpers.websocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    MASK,
    PING,
    PONG,
    TEXT,
    Got,
    Peer,
    closing,
    cut,
    fragments,
    frame,
    length,
)

APP = Path(__file__).with_name("websocket_app.py")
OPEN = 0  # instead of a close code
# Sent behind whatever must have been the end: nobody hears it.
LATER = frame(TEXT, "too late")
GREEK = "κόσμε"


@dataclass(frozen=True)
class Case:
    """What a client sends, what it is sent, and the code of the close frame that ends it."""

    name: str
    sent: bytes
    messages: tuple[Got, ...] = ()
    code: int | None = OPEN  # None: a close frame without one
    path: str = "/"
    later: bytes = LATER


def echoed(name: str, op: int, data: bytes, sent: Iterable[bytes] = (), path: str = "/") -> Case:
    """Return a case whose message comes back."""
    return Case(name, b"".join(sent) or frame(op, data), (Got(op, data),), path=path)


def refused(name: str, *sent: bytes, code: int = 1002, path: str = "/") -> Case:
    """Return a case that ends the connection before there is any message."""
    return Case(name, b"".join(sent), code=code, path=path)


def answered(name: str, *sent: bytes, pong: bytes) -> Case:
    """Return a case that is answered with a pong."""
    return Case(name, b"".join(sent), (Got(PONG, pong),))


SIZES = [0, 1, 2, 3, 4, 5, 7, 8, 9, 125, 126, 127, 1000, 4095, 4096, 4097, 16383, 16384]
LARGE = [65535, 65536, 1 << 20]

LENGTHS = [
    *(echoed(f"binary-{n}", BINARY, bytes(i * 7 & 255 for i in range(n))) for n in SIZES),
    *(echoed(f"binary-{n}", BINARY, b"\xfe" * n, path="/large") for n in LARGE),
    *(echoed(f"text-{n}", TEXT, b"t" * n) for n in (0, 125, 126, 16384)),
    echoed("mask-of-zeros", TEXT, b"plain", [frame(TEXT, "plain", mask=b"\0\0\0\0")]),
    refused("not-minimal-16", b"\x82" + length(125, form=2) + MASK),
    refused("not-minimal-64-small", b"\x82" + length(1, form=8) + MASK),
    refused("not-minimal-64", b"\x82" + length(65535, form=8) + MASK),
    refused("highest-bit", b"\x82" + length(1 << 63) + MASK),
    refused("2-62", b"\x82" + length(1 << 62) + MASK, code=1009),
]
HEADS = [
    *(refused(f"rsv-{rsv}", frame(TEXT, "x", rsv=rsv)) for rsv in range(1, 8)),
    *(refused(f"ping-rsv-{rsv}", frame(PING, "x", rsv=rsv)) for rsv in (1, 2, 4)),
    *(refused(f"opcode-{op}", frame(op, "x")) for op in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)),
    *(refused(f"not-masked-{op}", frame(op, "x", mask=b"")) for op in (TEXT, BINARY, PING)),
    refused("close-not-masked", frame(CLOSE, b"\x03\xe8", mask=b"")),
    refused("after-a-good-one-not-masked", frame(TEXT, "x", fin=False), frame(0, "y", mask=b"")),
    refused("packed-where-it-was-not-agreed", frame(TEXT, "x", rsv=4)),
    refused("rsv-in-continuation", frame(TEXT, "x", fin=False), frame(CONTINUATION, "y", rsv=4)),
]
FRAGMENTS = [
    echoed("two", TEXT, b"hello", fragments(TEXT, "hel", "lo")),
    echoed("empty-ones", TEXT, b"ab", fragments(TEXT, "", "a", "", "b", "")),
    echoed("all-empty", BINARY, b"", fragments(BINARY, "", "", "")),
    echoed("a-hundred", BINARY, b"x" * 100, fragments(BINARY, *["x"] * 100)),
    echoed("more-than-a-frame-may", BINARY, b"x" * 40000, fragments(BINARY, *["x" * 10000] * 4)),
    Case(
        "pings-between",
        frame(TEXT, "a", fin=False)
        + frame(PING, "1")
        + frame(CONTINUATION, "b", fin=False)
        + frame(PONG, "nobody asked")
        + frame(PING)
        + frame(CONTINUATION, "c"),
        (Got(PONG, b"1"), Got(PONG, b""), Got(TEXT, b"abc")),
    ),
    Case("close-between", frame(TEXT, "a", fin=False) + closing(1000), code=1000),
    Case(
        "one-after-the-other",
        b"".join([*fragments(TEXT, "a", "b"), *fragments(BINARY, "c", "d"), frame(TEXT, "e")]),
        (Got(TEXT, b"ab"), Got(BINARY, b"cd"), Got(TEXT, b"e")),
    ),
    refused("nothing-to-continue", frame(CONTINUATION, "x")),
    refused("nothing-to-continue-yet", frame(CONTINUATION, "x", fin=False)),
    refused("text-inside", frame(TEXT, "a", fin=False), frame(TEXT, "b")),
    refused("binary-inside", frame(TEXT, "a", fin=False), frame(BINARY, "b", fin=False)),
    Case(
        "continued-after-its-end",
        b"".join([*fragments(TEXT, "a", "b"), frame(CONTINUATION, "c")]),
        (Got(TEXT, b"ab"),),
        code=1002,
    ),
    Case("never-finished", frame(TEXT, "hel", fin=False)),
]
CONTROLS = [
    answered("ping", frame(PING, "pp"), pong=b"pp"),
    answered("ping-empty", frame(PING), pong=b""),
    answered("ping-binary", frame(PING, b"\x00\xff\xfe"), pong=b"\x00\xff\xfe"),
    answered("ping-125", frame(PING, b"x" * 125), pong=b"x" * 125),
    answered("pongs-are-for-nobody", frame(PONG, "x"), frame(PONG), frame(PING, "y"), pong=b"y"),
    Case("many-pings", frame(PING, "x") * 50, (Got(PONG, b"x"),) * 50),
    refused("ping-126", frame(PING, b"x" * 126)),
    refused("ping-65536", frame(PING, b"x" * 65536)),
    refused("pong-126", frame(PONG, b"x" * 126)),
    refused("close-126", frame(CLOSE, b"\x03\xe8" + b"x" * 124)),
    *(refused(f"control-{op}-in-pieces", frame(op, fin=False)) for op in (PING, PONG, CLOSE)),
]
VALID = [
    GREEK.encode(),
    "\x00 \x7f \x80 ߿ ࠀ ￿ 𐀀 \U0010ffff".encode(),
    "\ud7ff\ue000�".encode(),
    b"\xf4\x8f\xbf\xbf",
]
INVALID = {
    "lone-continuation": b"a\x80b",
    "fe": b"\xfe",
    "ff": b"12345678\xff",
    "overlong-2": b"\xc0\xaf",
    "overlong-2-high": b"\xc1\xbf",
    "overlong-3": b"\xe0\x9f\xbf",
    "overlong-4": b"\xf0\x8f\xbf\xbf",
    "surrogate-low": b"\xed\xa0\x80",
    "surrogate-high": b"\xed\xbf\xbf",
    "surrogate-pair": b"\xed\xa0\xbd\xed\xb8\x80",
    "above-10ffff": b"\xf4\x90\x80\x80",
    "five-bytes": b"\xf8\x88\x80\x80\x80",
    "continued-by-ascii": b"\xe2\x82x",
}
CUT_SHORT = {"2": b"\xce", "3": b"ab\xe2\x82", "4": b"\xf0\x9f\x98"}
UTF8 = [
    *(echoed(f"valid-{n}", TEXT, data) for n, data in enumerate(VALID)),
    *(
        echoed(f"byte-by-byte-{n}", TEXT, data, fragments(TEXT, *(bytes([c]) for c in data)))
        for n, data in enumerate(VALID)
    ),
    *(refused(name, frame(TEXT, data), code=1007) for name, data in INVALID.items()),
    *(
        refused(f"{name}-at-once", frame(TEXT, b"fine " + data, fin=False), code=1007)
        for name, data in INVALID.items()
    ),
    *(
        refused(f"{name}-in-two", *fragments(TEXT, data[:1], data[1:] + b"z"), code=1007)
        for name, data in INVALID.items()
    ),
    *(refused(f"cut-{name}", frame(TEXT, data), code=1007) for name, data in CUT_SHORT.items()),
    *(
        refused(f"cut-{name}-in-two", *fragments(TEXT, data, b""), code=1007)
        for name, data in CUT_SHORT.items()
    ),
    *(echoed(f"binary-{name}", BINARY, data) for name, data in INVALID.items()),
]
GOOD_CODES = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999]
BAD_CODES = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]
CLOSES = [
    *(Case(f"close-{code}", closing(code), code=code) for code in GOOD_CODES),
    *(refused(f"close-{code}", closing(code)) for code in BAD_CODES),
    Case("close-without-code", closing(), code=None),
    Case("close-with-reason", closing(1000, GREEK), code=1000),
    Case("close-with-long-reason", closing(1000, "r" * 123), code=1000),
    refused("close-1-byte", frame(CLOSE, b"\x03")),
    *(
        refused(f"close-{name}", closing(1000, data), code=1007)
        for name, data in {**INVALID, **CUT_SHORT}.items()
    ),
    Case("close-after-close", closing(1000), code=1000, later=closing(1001) + frame(PING, "x")),
    Case("nonsense-after-close", closing(1000), code=1000, later=b"\xff" * 70000),
    Case("echo-before-close", frame(TEXT, "x") + closing(1000), (Got(TEXT, b"x"),), code=1000),
]
LIMITS = [
    echoed("frame-at-limit", BINARY, b"x" * 1000, path="/small"),
    echoed("message-at-limit", TEXT, b"x" * 2000, fragments(TEXT, *["x" * 500] * 4), "/small"),
    # Nothing of them is sent: the head alone says enough.
    refused("frame", b"\x82" + length(1001) + MASK, code=1009, path="/small"),
    refused("default-frame", b"\x82" + length(16385) + MASK, code=1009),
    refused("frame-4-gib", b"\x82" + length(1 << 32) + MASK, code=1009, path="/large"),
    refused(
        "message",
        *fragments(BINARY, "x" * 1000, "x" * 500)[:1],
        frame(CONTINUATION, "x" * 1000, fin=False),
        b"\x80" + length(1) + MASK,
        code=1009,
        path="/small",
    ),
    refused(
        "default-message",
        frame(BINARY, b"x" * 16384, fin=False),
        frame(CONTINUATION, b"x" * 16384, fin=False) * 63,
        b"\x80" + length(1) + MASK,
        code=1009,
    ),
]
CASES = [*LENGTHS, *HEADS, *FRAGMENTS, *CONTROLS, *UTF8, *CLOSES, *LIMITS]


@pytest.fixture(scope="module")
def echo(serve_thread: ThreadLauncher) -> ThreadServer:
    return serve_thread(APP)


def check(peer: Peer, case: Case) -> None:
    """Require the messages in order, then the end that is due and nothing else."""
    assert [peer.got() for _ in case.messages] == list(case.messages)
    if case.code == OPEN:
        # Unless the next thing would be a message inside another.
        assert peer.is_open()
        return
    peer.send(case.later)
    assert peer.closed().code == case.code


ALL = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


@ALL
def test_frames_are_answered_as_they_should_be(echo: ThreadServer, case: Case) -> None:
    with Peer(echo.address, case.path) as peer:
        peer.send(case.sent)
        check(peer, case)


@ALL
def test_frames_may_come_with_the_handshake(echo: ThreadServer, case: Case) -> None:
    with Peer(echo.address, case.path, after=case.sent) as peer:
        check(peer, case)


@ALL
def test_frames_may_be_cut_anywhere(echo: ThreadServer, case: Case) -> None:
    with Peer(echo.address, case.path) as peer:
        peer.send_apart(cut(case.sent, random.Random(case.name)))
        check(peer, case)


@pytest.mark.parametrize(
    "case",
    [c for c in CASES if len(c.sent) < 300],
    ids=[c.name for c in CASES if len(c.sent) < 300],
)
def test_frames_may_come_byte_by_byte(echo: ThreadServer, case: Case) -> None:
    with Peer(echo.address, case.path) as peer:
        peer.send_apart(bytes([byte]) for byte in case.sent)
        check(peer, case)


def test_close_code_and_reason_reach_the_application(echo: ThreadServer) -> None:
    for code, reason, seen in [
        (4321, GREEK, f"left 4321 [{GREEK}]"),
        (1000, "", "left 1000 []"),
        (None, "", "left 1005 []"),
    ]:
        start = echo.log.size()
        with Peer(echo.address) as peer:
            peer.send(closing(code, reason))
            assert peer.closed().code == code
        echo.log.wait(seen, start)
    start = echo.log.size()
    Peer(echo.address).reset()
    echo.log.wait("left 1006 []", start)


@pytest.mark.parametrize("size", [1, 2, 5, 10])
def test_a_client_that_ends_inside_a_frame_is_gone(echo: ThreadServer, size: int) -> None:
    start = echo.log.size()
    with Peer(echo.address, after=frame(TEXT, "whole") + frame(TEXT, "hello")[:size]) as peer:
        peer.finish()
        assert peer.hears() == "whole"
        assert peer.rest() == []
    echo.log.wait("left 1006 []", start)
