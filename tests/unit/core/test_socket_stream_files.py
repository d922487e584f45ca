"""Files on their way to a client: whole, in order, closed once, whatever happens to either."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kore._core.file import open_file
from kore._core.request import Request
from tests.helpers.core_client import get
from tests.helpers.fix_core import Pair, descriptors
from tests.unit.core.test_socket_stream import slowly

Make = Callable[..., Pair]
LARGE = bytes(range(256)) * 8192  # 2 MB: no socket buffer of these tests takes it whole
SIZES = [0, 1, 16384, 16385, 65536, 65537, 300_000, len(LARGE)]
BOTH = pytest.mark.parametrize("sendfile", [True, False], ids=["sendfile", "copied"])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(LARGE)
    return path


def serving(path: Path, *parts: tuple[int, int] | bytes) -> Callable[[Request], None]:
    """Return a handler that answers with parts of a file, and bytes between them."""

    def run(request: Request) -> None:
        file = open_file(path)
        pieces = [part if isinstance(part, bytes) else file.get_range(*part) for part in parts]
        request.respond_with_parts(200, [(b"x-a", b"b")], tuple(pieces))

    return run


@BOTH
@pytest.mark.parametrize("tcp", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_a_file_of_any_size_follows_its_head(
    pair: Make, path: Path, size: int, *, sendfile: bool, tcp: bool
) -> None:
    house = pair(serving(path, (0, size)), tcp=tcp, filemap_sendfile=sendfile)
    house.client.send(get())
    house.turn()
    slowly(house)

    assert house.client.last.body == LARGE[:size]
    assert house.client.last.get("x-a") == "b"
    assert house.client.last.get("content-length") == str(size)


@BOTH
def test_parts_of_files_and_bytes_keep_their_order(
    pair: Make, path: Path, *, sendfile: bool
) -> None:
    parts: list[Any] = [
        b"head", (5, 100_000), b"", b"between", (0, 7), (9, 0), (70_000, 30_000), LARGE[:50_000],
        (1_000_000, 1_000_000), b"end",
    ]  # fmt: skip
    house = pair(serving(path, *parts), filemap_sendfile=sendfile)
    house.client.send(get() * 2)
    house.turn()
    slowly(house, 7001, 2)

    whole = b"".join(p if isinstance(p, bytes) else LARGE[p[0] : p[0] + p[1]] for p in parts)
    assert [answer.body for answer in house.client.reader.answers] == [whole, whole]


def test_pipelined_files_arrive_in_order(pair: Make, path: Path) -> None:
    sizes = [3, 70_000, 0, 16384, 200_000, 1, 16385, 500_000, 5]

    def run(request: Request) -> None:
        size = int(request.path[1:])
        request.respond_with_parts(200, (), (open_file(path).get_range(0, size),))

    house = pair(run)
    house.client.send(b"".join(get(f"/{size}") for size in sizes))
    house.turn()
    slowly(house, 9999, len(sizes))

    assert [len(answer.body) for answer in house.client.reader.answers] == sizes


def test_a_file_that_waits_holds_one_descriptor_however_many_are_asked_for(
    pair: Make, path: Path
) -> None:
    house = pair(serving(path, (0, len(LARGE))))
    before = descriptors()
    house.client.send(get() * 500)
    house.turn()

    assert descriptors() == before + 1


@BOTH
@pytest.mark.parametrize("tcp", [False, True])
@pytest.mark.parametrize("left", [0, 100_000, 1_900_000])
def test_a_file_that_shrinks_ends_the_connection(
    pair: Make, path: Path, left: int, *, sendfile: bool, tcp: bool
) -> None:
    """Nothing else can tell the client that less comes than was announced."""
    house = pair(serving(path, (0, len(LARGE))), tcp=tcp, filemap_sendfile=sendfile)
    before = descriptors()
    house.client.send(get())
    house.turn()
    os.truncate(path, left)
    house.drink()
    house.turn(lambda: not house.service.connections)
    house.client.read()

    assert house.client.end in {"closed", "reset"}
    assert house.client.reader.final == []
    assert descriptors() <= before
    assert "a file ended" in house.logged()[0]


@pytest.mark.parametrize("size", [1000, 50_000])
def test_a_small_file_that_shrank_before_it_was_read_ends_the_connection(
    pair: Make, path: Path, size: int
) -> None:
    def run(request: Request) -> None:
        file = open_file(path)
        os.truncate(path, 10)
        request.respond_with_parts(200, (), (file.get_range(0, size),))

    house = pair(run)
    house.client.send(get())
    house.drink()

    assert (house.client.end, house.client.reader.final) == ("closed", [])
    assert "a file ended" in house.logged()[0]


def test_a_file_that_grows_is_sent_as_it_was_announced(pair: Make, path: Path) -> None:
    house = pair(serving(path, (0, len(LARGE))))
    house.client.send(get())
    house.turn()
    with path.open("ab") as file:
        file.write(b"more" * 100_000)
    slowly(house)

    assert house.client.last.body == LARGE
    assert house.ask(get("/")) in ([], [200])


def test_a_file_that_is_replaced_is_sent_as_it_was(pair: Make, path: Path, tmp_path: Path) -> None:
    house = pair(serving(path, (0, len(LARGE))))
    house.client.send(get())
    house.turn()
    (tmp_path / "new").write_bytes(b"n" * len(LARGE))
    (tmp_path / "new").rename(path)
    slowly(house)

    assert house.client.last.body == LARGE


@pytest.mark.parametrize("tcp", [False, True])
@pytest.mark.parametrize("reset", [False, True])
def test_a_client_that_leaves_closes_the_file(
    pair: Make, path: Path, *, reset: bool, tcp: bool
) -> None:
    house = pair(serving(path, (0, len(LARGE)), b"x" * 20_000, (0, 100_000)), tcp=tcp)
    before = descriptors()
    for _ in range(5):
        client = house.connect()
        client.send(get())
        house.turn()
        client.read(30_000)
        house.turn()
        client.close(reset=reset)
    house.turn(lambda: house.service.connections == 1)

    assert descriptors() == before


def test_a_client_that_reads_nothing_is_given_up_and_the_file_closed(
    pair: Make, path: Path
) -> None:
    house = pair(serving(path, (0, len(LARGE))), http_write_timeout=30)
    before = descriptors()
    house.client.send(get())
    house.turn()
    assert descriptors() == before + 1
    house.sweep(31)

    assert house.service.connections == 0
    assert descriptors() <= before


def test_head_reads_nothing(pair: Make, path: Path) -> None:
    house = pair(serving(path, (0, len(LARGE))))
    before = descriptors()
    house.client.reader.methods.append("HEAD")
    house.client.send(get(method="HEAD"))
    house.turn()
    house.client.read()

    assert house.client.last.get("content-length") == str(len(LARGE))
    assert house.client.received < 400
    assert descriptors() == before


def test_304_has_neither_body_nor_length(pair: Make) -> None:
    house = pair(lambda request: request.respond_with_parts(304, [(b"etag", b'"x"')], ()))

    assert house.ask(get()) == [304]
    assert house.client.last.get("etag") == '"x"'
    assert house.client.last.get("content-length") is None


def test_fields_of_the_application_take_the_place_of_a_files(pair: Make, path: Path) -> None:
    def run(request: Request) -> None:
        request.response_header("X-A", "mine")
        serving(path, (0, 5))(request)

    house = pair(run)
    house.ask(get())

    assert house.client.last.all("x-a") == ["mine"]


def test_a_second_answer_is_an_error(pair: Make, path: Path) -> None:
    def run(request: Request) -> None:
        serving(path, (0, 5))(request)
        serving(path, (0, 5))(request)

    house = pair(run)

    assert house.ask(get()) == [200]
    assert house.failed() == [RuntimeError]


def test_what_the_file_system_cannot_send_is_read(pair: Make) -> None:
    """/proc has files that sendfile() refuses or ends early; what can be read is sent."""
    maps = Path("/proc/self/environ")
    size = len(maps.read_bytes())
    if not size:
        pytest.skip("this process has no environment")
    house = pair(
        lambda request: request.respond_with_parts(200, (), (open_file(maps).get_range(0, size),))
    )
    house.client.send(get())
    house.drink()

    assert house.client.last.body == maps.read_bytes()


def test_a_large_file_lets_others_have_their_turn(pair: Make, tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(1 << 30)

    def run(request: Request) -> None:
        if request.path == "/large":
            request.respond_with_parts(200, (), (open_file(path).get_range(0, 1 << 30),))
        else:
            request.response(200, b"hi")

    house = pair(run, tcp=True)
    house.client.send(get("/large"))
    house.turn(lambda: "/large" in house.seen)
    other = house.connect()
    for answered in range(1, 6):
        other.send(get("/small"))
        house.turn(lambda count=answered: other.read() is not None and len(other.statuses) == count)
        house.client.read(1 << 22)
    house.client.close(reset=True)

    assert other.statuses == [200] * 5
