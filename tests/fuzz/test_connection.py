"""Whatever bytes come in whatever pieces, each request gets one well-formed answer or the end.

h11 in the client's role reads the answers, and there are never more of them than requests. Nothing
is raised, no descriptor is left, and it makes no difference how the bytes were cut, nor when the
client read, nor when a handler that waits was done.
"""

from collections.abc import Iterator
from typing import NamedTuple

import h11
from hypothesis import event
from hypothesis import strategies as st

from kore._core.refusals import ParseError
from kore._core.request import Request
from kore._core.testing import ChunkReader, HeadReader, ParsedHead
from tests.helpers.core_client import get
from tests.helpers.fix_core import Pair, descriptors
from tests.helpers.head_strategies import changed, fuzzed, lines

PATHS = ["", "echo", "large", "items", "many", "held", "raise", "broken", "hangup", "interim", "no"]
PATHS += ["close", "stream"]
LARGE = b"x" * 100_000
MOST = 50_000  # bytes of a body

Answers = list[tuple[int, bytes]]


# ---- what is sent


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Draw a request, most often a good one."""
    if not draw(st.integers(0, 6)):
        return changed(draw, draw(lines()))
    path = "/" + draw(st.sampled_from(PATHS))
    fields = draw(
        st.lists(st.sampled_from(["Connection: close", "Expect: 100-continue"]), max_size=1)
    )
    fields = fields if not draw(st.integers(0, 8)) else []
    version = "1.0" if not draw(st.integers(0, 20)) else "1.1"
    method = draw(st.sampled_from(["GET", "GET", "GET", "HEAD", "POST", "POST"]))
    if method != "POST":
        return get(path, *fields, method=method, version=version)
    body = draw(st.binary(max_size=30)) * draw(st.sampled_from([1, 1, 1, 1000]))
    if draw(st.booleans()):
        return get(path, f"Content-Length: {len(body)}", *fields, method="POST") + body
    return get(path, "Transfer-Encoding: chunked", *fields, method="POST") + chunks(body)


def chunks(body: bytes) -> bytes:
    pieces = [body[at : at + 7000] for at in range(0, len(body), 7000)]
    return b"".join(b"%x;x\r\n%b\r\n" % (len(p), p) for p in pieces) + b"0\r\nT: r\r\n\r\n"


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Draw what one client sends, all in all."""
    parts = draw(st.lists(requests(), min_size=1, max_size=5))
    parts = [changed(draw, part) if not draw(st.integers(0, 12)) else part for part in parts]
    return b"".join(parts) + draw(st.sampled_from([b"", b"", b"\r\n", b"GET", b"\0"]))


STEPS = ["read", "read a little", "answer", "answer", "sweep", "nothing", "nothing"]
plans = st.lists(st.tuples(st.integers(1, 400), st.sampled_from(STEPS)), max_size=12)


# ---- what it means


class Meaning(NamedTuple):
    """The methods of all requests, and how many of those are complete, or else to be refused."""

    methods: list[bytes]
    complete: int


def meaning(data: bytes) -> Meaning:
    """Return what *data* asks for, bytes that are no request counting as one."""
    methods: list[bytes] = []
    while data:
        try:
            head = HeadReader().feed(data)
        except ParseError:
            methods.append(b"")
            return Meaning(methods, len(methods))
        if head is None:
            break
        methods.append(head.method)
        try:
            rest = after_body(head, data[head.used :])
        except ParseError:
            break
        if rest is None:
            return Meaning(methods, len(methods) - 1)
        data = rest
    return Meaning(methods, len(methods))


def after_body(head: ParsedHead, data: bytes) -> bytes | None:
    """Return what follows a body, None when it is not complete."""
    if not head.chunked:
        length = head.length or 0
        return data[length:] if length <= len(data) else None
    reader = ChunkReader()
    _, used = reader.feed(data)
    return data[used:] if reader.done else None


# ---- what is done with it


class Items:
    """An async iterator, as far as the core looks."""

    def __aiter__(self) -> "Items":
        return self


def pieces(count: int, *, broken: bool = False) -> Iterator[bytes]:
    for _ in range(count):
        yield b"piece"
    if broken:
        raise ValueError


class House(Pair):
    """A pair whose requests say in their path what becomes of them."""

    def __init__(self) -> None:
        super().__init__(self.serve, resolve=self.decide, http_body_max=MOST)
        self.hung_up = False
        self.got = b""

    def decide(self, request: Request) -> object:
        if request.path == "/no":
            request.refuse(404)
            return None
        return self.route

    def serve(self, request: Request) -> object:
        serve = getattr(self, "serve_" + request.path[1:], None)
        return serve(request) if serve else request.response(200, b"")

    def serve_echo(self, request: Request) -> None:
        request.response(200, request.body)

    def serve_large(self, request: Request) -> None:
        request.response(200, LARGE)

    def serve_items(self, request: Request) -> None:
        request.response(200, [b"a", "b", b"", LARGE])

    def serve_many(self, request: Request) -> None:
        request.response(200, pieces(150))

    def serve_held(self, request: Request) -> object:
        return self.hold(request)

    def serve_stream(self, request: Request) -> None:
        request.response(200, Items())

    def serve_raise(self, request: Request) -> None:
        raise ValueError

    def serve_broken(self, request: Request) -> None:
        request.response(200, pieces(2, broken=True))

    def serve_hangup(self, request: Request) -> None:
        self.hung_up = True
        request.connection.disconnect()

    def serve_interim(self, request: Request) -> None:
        request.response_header("Link", "</x>")
        request.response(103)
        request.response(200, b"at last")

    def serve_close(self, request: Request) -> None:
        request.response_header("Connection", "close")
        request.response(200, b"bye")

    # ---- the client's and the handlers' turns

    def answer(self) -> None:
        """Let one request that waits have its answer, or a piece of it."""
        if self.held:
            self.held.pop(0).response(200, b"later")
        elif self.streams:
            request, status, _ = self.streams.pop(0)
            request.open_body(status)
            for item in (b"a", b"", LARGE):
                request.write_body(item)
            request.end_body()

    def do(self, what: str) -> None:
        """Do one of the STEPS."""
        if what.startswith("read"):
            self.got += self.client.take(100 if what.endswith("little") else 1 << 20)
        elif what == "answer":
            self.answer()
        elif what == "sweep":
            self.poller.sweep()
        self.turn()

    def converse(self, data: bytes, plan: list[tuple[int, str]]) -> bytes:
        """Send *data* as planned, then the rest; return all that was answered."""
        self.finish_sending(self.follow(data, plan))
        while not self.client.end:
            self.do("read")
            self.do("answer")
        return self.got

    def follow(self, data: bytes, plan: list[tuple[int, str]]) -> bytes:
        """Send as much of *data* as is planned; return the rest."""
        for size, what in plan:
            self.client.send(data[:size])
            data = data[size:]
            self.turn()
            self.do(what)
        return data

    def finish_sending(self, data: bytes) -> None:
        while data and not self.client.end:
            sent = self.client.send(data)
            data = data[sent:]
            self.do("read")
            self.do("answer")
            if not sent:
                break
        self.client.socket.shutdown(1)
        self.turn()


def reading(answers: bytes, methods: list[bytes]) -> tuple[Answers, bool]:
    """Return h11's reading of complete answers, and whether no more could follow them."""
    found: Answers = []
    last = False
    for method in methods:
        if not answers:
            break
        # Bytes that are no request have a method only when their first line was understood.
        peers = [peer_of(one, answers) for one in ([method] if method else [b"GET", b"HEAD"])]
        parts = [(answer, peer) for peer in peers if (answer := one_answer(peer))]
        if not parts:
            return found, True
        answer, peer = parts[0]
        found.append(answer)
        answers = peer.trailing_data[0]
        last = peer.their_state is not h11.DONE
    assert answers == b"", "more answers than requests"
    return found, last


def peer_of(method: bytes, answers: bytes) -> h11.Connection:
    """Return a client that has sent a request and received *answers*."""
    peer = h11.Connection(h11.CLIENT)
    peer.send(h11.Request(method=method, target="/", headers=[("Host", "h")]))
    peer.send(h11.EndOfMessage())
    peer.receive_data(answers)
    peer.receive_data(b"")
    return peer


def one_answer(peer: h11.Connection) -> tuple[int, bytes] | None:
    """Return status and body; None for an answer that was broken off."""
    status, body = 0, b""
    while True:
        try:
            part = peer.next_event()
        except h11.RemoteProtocolError as error:
            if "peer" in str(error) or "ConnectionClosed" in str(error):
                return None  # it ends too soon, and nothing else is wrong
            raise
        if isinstance(part, h11.Response):
            status = part.status_code
        elif isinstance(part, h11.Data):
            body += part.data
        elif isinstance(part, h11.EndOfMessage):
            return status, body


def conversation(data: bytes, plan: list[tuple[int, str]]) -> tuple[Answers, bool]:
    """Return what a new connection answers, and whether it ended before the requests did."""
    before = descriptors()
    asked = meaning(data)
    house = House()
    try:
        answered = house.converse(data, plan)
        assert set(house.failed()) <= {ValueError}
        assert len(house.seen) <= len(asked.methods)
    finally:
        house.failures.clear()
        house.close()
    assert descriptors() == before
    found, last = reading(answered, asked.methods)
    return found, last or house.hung_up


def leaving(data: bytes, plan: list[tuple[int, str]]) -> None:
    """Let a client go in the middle of its plan: nothing of it is left."""
    house = House()
    try:
        house.follow(data, plan)
        house.client.close(reset=True)
        house.answer()
        house.turn()    # what it had sent behind that request is handled, too
        assert set(house.failed()) <= {ValueError}
    finally:
        house.close()


@fuzzed(streams(), plans)
def test_every_request_has_its_answer_however_the_bytes_come(
    data: bytes, plan: list[tuple[int, str]]
) -> None:
    found, ended = conversation(data, [])
    event(f"{len(found)} answers")

    assert ended or len(found) >= meaning(data).complete
    assert conversation(data, plan)[0] == found
    leaving(data, plan)
