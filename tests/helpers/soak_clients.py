"""Clients of all manners, each a short visit to the server: polite, slow, broken, gone."""

import contextlib
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Self

from tests.helpers.build import chunked, get, post
from tests.helpers.fix_serve import Server
from tests.helpers.raw_client import Mark, Pause

APP = Path(__file__).with_name("soak_app.py")
LARGE = 1 << 20
CHUNKED = "Transfer-Encoding: chunked"

Visit = Callable[[Server, random.Random], None]


def polite(server: Server, rng: random.Random) -> None:
    """Ask this and that over one connection, and look at every answer."""
    with server.connect() as client:
        for _ in range(rng.randint(1, 10)):
            body = rng.randbytes(rng.choice([0, 10, 3000, 40_000]))
            assert client.ask(get()).body == b"hello world"
            assert client.ask(post(body)).body == body
            assert client.ask(post(chunked(b"x", body + b"y"), None, CHUNKED)).body[1:-1] == body
            assert client.ask(get("/slow")).body == b"slow"


def pipelined(server: Server, rng: random.Random) -> None:
    """Send many requests at once."""
    count = rng.randint(2, 60)
    paths = [rng.choice(["/", "/slow", "/pieces"]) for _ in range(count)]
    bodies = {"/": b"hello world", "/slow": b"slow", "/pieces": b"piece" * 20}
    with server.connect() as client:
        client.send(b"".join(map(get, paths)))
        assert [answer.body for answer in client.answers(count)] == [bodies[p] for p in paths]


def large(server: Server, rng: random.Random) -> None:
    """Take a large answer, slowly."""
    with server.connect(receive_buffer=rng.choice([0, 16384])) as client:
        client.send(get("/large"), Pause(rng.random() / 20))
        assert len(client.answer().body) == LARGE


def slow(server: Server, rng: random.Random) -> None:
    """Send a request a few bytes at a time, with pauses."""
    with server.connect() as client:
        data = post(b"slowly", target="/echo")
        while data:
            size = rng.randint(1, 40)
            client.send(data[:size], Pause(rng.random() / 10))
            data = data[size:]
        assert client.answer().body == b"slowly"


def half_closed(server: Server, rng: random.Random) -> None:
    """Say that nothing more comes, and wait for the answers."""
    paths = [rng.choice(["/", "/slow"]) for _ in range(rng.randint(1, 4))]
    with server.connect() as client:
        client.send(b"".join(map(get, paths)), Mark.HALF_CLOSE)
        client.until_ended()
        assert len(client.reader.final) == len(paths)


def stalled(server: Server, rng: random.Random) -> None:
    """Send half a request, and wait for the server to lose patience."""
    with server.connect() as client:
        client.send(rng.choice([b"", b"GET / HT", post(b"ab", 9), b"GET / HTTP/1.1\r\nA: b\r\n"]))
        client.until_ended()


def broken(server: Server, rng: random.Random) -> None:
    """Send what is no request, and look only that the server ends it."""
    data = bytearray(
        get("/", "A: b") + post(b"abc") + post(b"3\r\nabc\r\n0\r\n\r\n", None, CHUNKED)
    )
    for _ in range(rng.randint(1, 8)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    with server.connect() as client:
        client.send(bytes(data), Mark.HALF_CLOSE)
        client.until_ended()


def aborted(server: Server, rng: random.Random) -> None:
    """Go away in the middle of something."""
    with server.connect() as client:
        client.send(rng.choice(UNFINISHED), Pause(rng.random() / 10))
        if rng.random() < 0.5:
            with contextlib.suppress(OSError):
                client.socket.recv(rng.choice([1, 100_000]))
        if rng.random() < 0.5:
            client.reset()


UNFINISHED = [
    get("/large"),
    get("/large") * 3,
    get("/endless"),
    get("/endless-async"),
    get("/never"),
    get("/slow") * 5,
    post(b"x" * 1000, 500_000),
    post(b"ff\r\nabc", None, CHUNKED),
    b"GET / HT",
]
VISITS: tuple[Visit, ...] = (
    polite, polite, pipelined, large, slow, half_closed, stalled, broken, aborted, aborted,
)  # fmt: skip


class SoakClients:
    """Some threads that visit the server until told to stop; what went wrong is kept."""

    def __init__(self, server: Server, threads: int) -> None:
        self.server = server
        self.problems: list[str] = []
        self.visits: Counter[str] = Counter()
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(seed,)) for seed in range(threads)]
        for thread in self.threads:
            thread.start()

    def run(self, seed: int) -> None:
        """Be one visitor after the other."""
        rng = random.Random(seed)
        while not self.ending.is_set():
            visit = rng.choice(VISITS)
            try:
                visit(self.server, rng)
            except (AssertionError, OSError) as problem:
                self.problems.append(f"{visit.__name__}: {problem!r}"[:300])
            self.visits[visit.__name__] += 1
            time.sleep(0.002)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.ending.set()
        for thread in self.threads:
            thread.join()
