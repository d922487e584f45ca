"""Random chunked bodies: those that h11 accepts as well are decoded alike, however they are cut."""

from itertools import pairwise

import h11
from hypothesis import event
from hypothesis import strategies as st

from kore._core.refusals import ParseError
from kore._core.testing import ChunkReader
from tests.helpers.head_strategies import changed, fuzzed

HEAD = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
TAIL = b"GET /tail HTTP/1.1\r\nHost: tail\r\n\r\n"
SIZES = [
    b"%x",
    b"%X",
    b"0%x",
    b"000%x",
    b"%x;a",
    b'%x;a="b;c"',
    b"%x ",
    b"0x%x",
    b"+%x",
    b"%x\t",
    b"%x;\n",
]
TRAILERS = [b""] * 20 + [
    b"X: v\r\n",
    b"X:\r\nY: v\r\n",
    b"X : v\r\n",
    b" X: v\r\n",
    b"X\r\n",
    b"X: v\n",
]

Outcome = tuple[bytes, int] | int | None


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Draw a chunked body, with up to two places changed."""
    out = []
    for _ in range(draw(st.integers(0, 3))):
        piece = draw(st.binary(min_size=1, max_size=20))
        out += [draw(st.sampled_from(SIZES[:1] * 30 + SIZES)) % len(piece), b"\r\n", piece, b"\r\n"]
    out += [draw(st.sampled_from([b"0"] * 30 + [b"00", b"0;x", b"-0", b""])), b"\r\n"]
    out += [draw(st.sampled_from(TRAILERS)), b"\r\n"]
    return changed(draw, b"".join(out))


def ours(pieces: list[bytes]) -> Outcome:
    """Return the body and where it ended, the status that refuses it, or None for more."""
    reader = ChunkReader()
    body, used = b"", 0
    for piece in pieces:
        try:
            more, looked_at = reader.feed(piece)
        except ParseError as error:
            return error.status
        body, used = body + more, used + looked_at
        if reader.done:
            return body, used
    return None


def h11_reading(data: bytes) -> tuple[bytes, int] | None:
    """Return the same of h11, None when it refuses or wants more."""
    peer = h11.Connection(h11.SERVER)
    peer.receive_data(HEAD + data)
    peer.next_event()
    body = b""
    try:
        while not isinstance(part := peer.next_event(), h11.EndOfMessage):
            if not isinstance(part, h11.Data):
                return None
            body += part.data
    except h11.RemoteProtocolError:
        return None
    return body, len(data) - len(peer.trailing_data[0])


@fuzzed(bodies())
def test_body_accepted_by_h11_is_decoded_alike(data: bytes) -> None:
    mine, theirs = ours([data + TAIL]), h11_reading(data + TAIL)
    if isinstance(mine, tuple):
        event("we accept")
        # h11 knows fewer characters in an extension than the grammar has.
        assert theirs == mine or (theirs is None and b";" in data)


@fuzzed(bodies(), st.lists(st.integers(0, 100), max_size=6))
def test_body_is_decoded_alike_however_it_is_cut(data: bytes, cuts: list[int]) -> None:
    whole = ours([data])
    edges = [0, *sorted(cuts), len(data)]

    assert ours([bytes([byte]) for byte in data]) == whole
    assert ours([data[start:end] for start, end in pairwise(edges)]) == whole
    if whole is not None:
        assert ours([data + TAIL]) == whole
