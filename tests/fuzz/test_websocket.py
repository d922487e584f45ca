"""Whatever bytes follow a handshake: answers are whole frames, the last one a close frame or none.

Nothing is raised, no descriptor is left, no callback is called after ondisconnect, which is called
once; and it makes no difference how the bytes were cut, nor when the client read.
"""

from typing import Any

from hypothesis import event
from hypothesis import strategies as st

from kore._core.connection import Connection
from kore._core.request import Request
from kore._core.ws_options import WebSocketOptions
from kore._websocket.deflate import DeflateParameters, Deflater
from tests.helpers.core_client import get
from tests.helpers.fix_core import Pair, descriptors
from tests.helpers.head_strategies import changed, fuzzed
from tests.helpers.websocket import ASKING, LIMITS, Got, frame, length, parsed

TERMS = WebSocketOptions(
    {**LIMITS, "maxframe": 5000, "maxmessage": 8000, "timeout": 60, "close_timeout": 1},
    label=b"/fuzz",
)
OPS = [0, 1, 1, 1, 2, 2, 8, 9, 9, 10, 3, 15]
# Among them: hello, compressed, as RFC 7692 7.2.3.1 has it; and with a block that is the last.
PAYLOADS = [
    b"",
    b"text",
    "κόσμε".encode(),
    b"\xce",
    b"\xed\xa0\x80",
    b"\x03\xe8bye",
    b"\x03\xe8",
    b"\x03",
    b"\xf2\x48\xcd\xc9\xc9\x07\x00",
    b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
    b"x" * 126,
    b"z" * 3000,
]


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """Draw a frame, most often a good one."""
    rarely = not draw(st.integers(0, 9))
    op = draw(st.sampled_from(OPS if rarely else OPS[:10]))
    payload = draw(st.sampled_from(PAYLOADS) if draw(st.booleans()) else st.binary(max_size=130))
    fin = draw(st.sampled_from([True, True, False])) if op < 8 or rarely else True
    rsv = draw(st.sampled_from([4, 4, 1])) if draw(st.sampled_from([0, 0, 1])) else 0
    mask = b"" if not draw(st.integers(0, 40)) else draw(st.binary(min_size=4, max_size=4))
    data = frame(op, payload, fin=fin, rsv=rsv, mask=mask)
    if rarely:
        size = draw(st.sampled_from([0, 125, 126, 5001, 65536, 1 << 40, 1 << 63]))
        data = data[:1] + length(size, form=draw(st.sampled_from([0, 2, 8]))) + data[2:]
    return changed(draw, data) if rarely else data


streams = st.lists(frames(), max_size=8).map(b"".join)
plans = st.lists(st.tuples(st.integers(1, 200), st.booleans()), max_size=8)


class Hub:
    """Lets everybody in, and remembers who is."""

    def __init__(self, packed: bool) -> None:
        self.packed = packed
        self.inside: set[Connection] = set()
        self.said: list[tuple[Any, ...]] = []
        self.on_open = self.inside.add
        self.on_close = self.inside.remove

    def handshake(self, request: Request, *_: object) -> bool:
        deflater = Deflater(DeflateParameters()) if self.packed else None
        callbacks = (None, self.onmsg, self.ondisconnect)
        return Request.upgrade(request, TERMS, callbacks, deflater)

    def onmsg(self, conn: Connection, op: int, data: str | bytes) -> None:
        assert type(data) is (str if op == 1 else bytes)
        self.said.append((op, data))
        conn.websocket_send(op, data)

    def ondisconnect(self, conn: Connection) -> None:
        self.said.append(("left", conn.close_code, conn.close_reason))


class House(Pair):
    """A pair whose only route is a WebSocket."""

    def __init__(self, packed: bool) -> None:
        self.talk = Hub(packed)
        super().__init__(lambda request: request.websocket_handshake(), hub=self.talk)
        self.got = b""

    def converse(self, data: bytes, plan: list[tuple[int, bool]], tail: bytes = b"") -> list[Got]:
        """Send *data* as planned; return what came back."""
        self.client.send(get("/", *ASKING) + tail)
        self.turn()
        for size, reads in plan:
            self.client.send(data[:size])
            data = data[size:]
            self.turn()
            self.got += self.client.take() if reads else b""
        self.client.send(data)
        self.client.socket.shutdown(1)
        while not self.client.end:
            self.turn()
            self.got += self.client.take()
        self.turn()
        head, _, frames = self.got.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        return list(whole(frames))


def whole(data: bytes) -> list[Got]:
    """Return the frames that *data* is."""
    found = []
    while data:
        frame_and_size = parsed(data)
        assert frame_and_size is not None, f"not a whole frame: {data!r}"
        found.append(frame_and_size[0])
        data = data[frame_and_size[1] :]
    return found


def conversation(
    data: bytes, plan: list[tuple[int, bool]], packed: bool, tail: bytes = b""
) -> tuple[list[Got], list[tuple[Any, ...]]]:
    """Return what a client hears, and what the application did."""
    before = descriptors()
    house = House(packed)
    try:
        got = house.converse(data, plan, tail)
        assert house.talk.inside == set()
        assert house.failed() == []
    finally:
        house.close()
    assert descriptors() == before
    return got, house.talk.said


@fuzzed(streams, plans, st.booleans(), st.integers(0, 300))
def test_a_conversation_is_the_same_however_it_is_cut(
    data: bytes, plan: list[tuple[int, bool]], packed: bool, early: int
) -> None:
    got, said = conversation(data, [], packed)
    codes = [found.code for found in got if found.op == 8]
    event(f"closed with {codes}")

    assert [found.op for found in got if found.op == 8] in ([], [8])
    assert not codes or got[-1].op == 8
    assert [entry[0] for entry in said].count("left") == 1
    assert said[-1][0] == "left"
    assert said[-1][1] in (*codes, 1006) or (codes == [None] and said[-1][1] == 1005)
    assert conversation(data, plan, packed) == (got, said)
    assert conversation(data[early:], [], packed, data[:early]) == (got, said)
