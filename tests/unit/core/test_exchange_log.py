"""One record for each exchange, with its own bytes, however slowly its client reads."""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kore._core.accesslog import AccessLog
from kore._core.log_file import LogFile
from kore._core.request import Request
from tests.helpers.core_client import get, post
from tests.helpers.fix_core import Pair

Make = Callable[..., Pair]
FORMAT = ["request_uri", "body_bytes_sent", "request_length", "request_completion"]
SIZES = (16384, 50, 0, 70_000, 16385)


class Logged:
    """A pair whose answers are as long as their paths say, and its access log."""

    def __init__(self, pair: Make, sink: LogFile, path: Path) -> None:
        pieces: list[tuple[str | None, bytes]] = []
        for name in FORMAT:
            pieces += [(name, b""), (None, b" ")]
        self.access_log = AccessLog(sink, pieces)
        self.sink, self.path = sink, path
        self.house = pair(self.run, resolve=self.resolve)
        self.client = self.house.connect(receive_buffer=4096)

    def resolve(self, request: Request) -> object:
        request.access_log = self.access_log
        return self.house.route

    def run(self, request: Request) -> object:
        if request.path == "/held":
            return self.house.hold(request)
        size = int(request.path[1:].partition("-")[0])
        return request.response(200, b"x" * size)

    def lines(self) -> list[list[str]]:
        self.sink.flush()
        return [line.split() for line in self.path.read_text().splitlines()]


@pytest.fixture
def logged(pair: Make) -> Iterator[Logged]:
    handle, name = tempfile.mkstemp()
    os.set_blocking(handle, True)
    sink = LogFile(handle)
    yield Logged(pair, sink, Path(name))
    sink.close()
    Path(name).unlink()


def requests(count: int, body: bytes) -> list[tuple[str, bytes]]:
    """Return that many pipelined requests and their paths."""
    paths = [f"/{SIZES[n % len(SIZES)]}-{n}" for n in range(count)]
    return [(path, post(body, path) if body else get(path)) for path in paths]


@pytest.mark.parametrize("body", [b"", b"body"])
def test_pipelined_answers_to_a_slow_reader_have_a_record_each(logged: Logged, body: bytes) -> None:
    asked = requests(200, body)
    logged.house.pour(b"".join(data for _, data in asked), logged.client)
    while len(logged.client.reader.final) < len(asked):
        logged.client.read(3000)
        logged.house.turn()

    expected = [[path, path[1:].partition("-")[0], str(len(data)), "OK"] for path, data in asked]
    assert logged.lines() == expected


@pytest.mark.parametrize("reads", [0, 1, 30_000, 200_000])
def test_a_client_that_leaves_has_a_record_for_each_request_that_was_run(
    logged: Logged, reads: int
) -> None:
    asked = requests(200, b"")
    logged.house.pour(b"".join(data for _, data in asked), logged.client)
    logged.client.read(reads)
    logged.house.turn()
    logged.client.close()
    logged.house.turn()

    lines = logged.lines()
    assert [line[0] for line in lines] == logged.house.seen
    complete = [line for line in lines if line[-1] == "OK"]
    assert all(line[1] == line[0][1:].partition("-")[0] for line in complete)
    for path, sent, _, done in lines:
        assert int(sent) <= int(path[1:].partition("-")[0])
        assert done == "OK" or path[1:].startswith("0-") or sent != path[1:].partition("-")[0]


def test_an_answer_that_waits_behind_another_is_logged_when_that_has_gone(logged: Any) -> None:
    logged.house.pour(get("/70000-0") + get("/held"), logged.client)
    while len(logged.client.reader.final) < 1:
        logged.client.read(3000)
        logged.house.turn()
    before = logged.lines()
    logged.house.held[0].response(200, b"abc")
    logged.house.turn()

    assert [line[0] for line in before] == ["/70000-0"]
    assert logged.lines()[1] == ["/held", "3", str(len(get("/held"))), "OK"]
