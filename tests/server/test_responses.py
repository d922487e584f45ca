"""Answers: every kind of body, and what happens when an application gets one wrong."""

import hashlib
import json
from pathlib import Path

import pytest

from tests.helpers import procs
from tests.helpers.build import get, request
from tests.helpers.fix_serve import Launcher, Server
from tests.helpers.fix_worker import ThreadLauncher, ThreadServer
from tests.helpers.raw_client import Client
from tests.helpers.response_reader import Answer
from tests.helpers.wire import sound

THREE = [b"a", b"bc", "é".encode()]
LARGE = bytes(range(256)) * 80_000


@pytest.fixture(scope="module")
def server(serve_thread: ThreadLauncher, loop: str) -> ThreadServer:
    return serve_thread(Path(__file__).with_name("responses_app.py"), loop=loop)


@pytest.fixture(scope="module")
def process(serve_module: Launcher, loop: str) -> Server:
    return serve_module(Path(__file__).with_name("responses_app.py"), loop=loop)


def ask(server: ThreadServer, wanted: bytes) -> Answer:
    """Return the answer, and require that the connection is good for another."""
    with server.connect() as client:
        answer = client.ask(wanted)
        assert client.ask(get("/body/bytes")).body == b"some bytes"
    return answer


@pytest.mark.parametrize("how", ["body", "async-body"])
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("bytes", b"some bytes"),
        ("bytearray", b"some bytes"),
        ("memoryview", b"some bytes"),
        ("str", "héllo".encode()),
        ("none", b""),
        ("empty-bytes", b""),
        ("empty-str", b""),
    ],
)
def test_a_body_in_one_piece_has_a_length(
    server: ThreadServer, how: str, kind: str, body: bytes
) -> None:
    answer = ask(server, get(f"/{how}/{kind}"))

    sound(answer)
    assert (answer.status, answer.body) == (200, body)
    assert answer.get("content-length") == str(len(body))


@pytest.mark.parametrize("how", ["body", "async-body"])
@pytest.mark.parametrize(
    ("kind", "chunks"),
    [
        ("list", THREE),
        ("tuple", THREE),
        ("generator", THREE),
        ("buffers", THREE),
        ("async-generator", THREE),
        ("empty-items", THREE),
        ("async-empty-items", THREE),
        ("empty-list", []),
        ("empty-generator", []),
        ("empty-async-generator", []),
        ("only-empty", []),
    ],
)
def test_an_iterator_is_sent_item_by_item(
    server: ThreadServer, how: str, kind: str, chunks: list[bytes]
) -> None:
    answer = ask(server, get(f"/{how}/{kind}"))

    assert (answer.status, answer.chunks) == (200, chunks)
    assert answer.get("transfer-encoding") == "chunked"


@pytest.mark.parametrize("kind", ["large", "large-view", "large-items"])
def test_twenty_megabytes_arrive_complete(server: ThreadServer, kind: str) -> None:
    body = ask(server, get(f"/body/{kind}")).body

    assert hashlib.sha256(body).digest() == hashlib.sha256(LARGE).digest()


@pytest.mark.parametrize("kind", ["bytes", "list", "async-generator", "large", "none", "str"])
def test_head_is_answered_like_get_without_the_body(server: ThreadServer, kind: str) -> None:
    full = ask(server, get(f"/body/{kind}"))
    head = ask(server, request("HEAD", f"/body/{kind}"))

    assert (head.status, head.body) == (full.status, b"")
    assert head.get("content-length") == full.get("content-length")


@pytest.mark.parametrize("code", [204, 304])
@pytest.mark.parametrize("kind", ["bytes", "list", "async-generator", "none", "large"])
def test_some_statuses_never_have_a_body(server: ThreadServer, code: int, kind: str) -> None:
    answer = ask(server, get(f"/status/{code}/{kind}"))

    assert (answer.status, answer.body) == (code, b"")
    assert answer.get("content-length") != "0"
    assert answer.get("date")


@pytest.mark.parametrize("code", [201, 299, 400, 418, 429, 500, 599])
def test_other_statuses_are_sent_as_they_are(server: ThreadServer, code: int) -> None:
    answer = ask(server, get(f"/status/{code}/bytes"))

    assert (answer.status, answer.body) == (code, b"some bytes")


@pytest.mark.parametrize("code", [-1, 0, 99, 1000, 12345])
def test_a_number_that_is_no_status_is_an_error(server: ThreadServer, code: int) -> None:
    with server.expecting("/status/", "ValueError"):
        answer = ask(server, get(f"/status/{code}/bytes"))

    assert answer.status == 500


@pytest.mark.parametrize("kind", ["bytes", "list", "async-generator", "large-items"])
def test_an_old_client_gets_the_body_until_the_end(server: ThreadServer, kind: str) -> None:
    with server.connect() as client:
        client.send(request("GET", f"/body/{kind}", version="HTTP/1.0"))

        assert client.until_ended() == "closed"
    (answer,) = client.reader.final
    assert answer.get("transfer-encoding") is None
    expected = {"bytes": b"some bytes", "large-items": LARGE}
    assert answer.body == expected.get(kind, b"".join(THREE))


def test_invalid_body_type_is_an_error(server: ThreadServer) -> None:
    with server.expecting("body", "TypeError"):
        answer = ask(server, get("/body/number"))

    assert answer.status == 500


@pytest.mark.parametrize("kind", ["fails-later", "fails-later-async", "bad-item"])
def test_an_iterator_that_fails_midway_aborts_the_connection(
    server: ThreadServer, kind: str
) -> None:
    with (
        server.expecting("TypeError" if kind == "bad-item" else "no more items"),
        server.connect() as client,
    ):
        client.send(get(f"/body/{kind}") + get("/body/bytes"))
        client.until_ended()

    assert client.reader.final == []
    assert client.reader.partial


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("fails-first", "no more items"),
        ("fails-first-async", "no more items"),
        ("bad-first-item", "TypeError"),
        ("bad-first-item-async", "must be bytes or str, not int"),
        ("bad-first-text-async", "UnicodeEncodeError"),
    ],
)
def test_an_iterator_that_fails_at_once_is_answered_with_500(
    server: ThreadServer, kind: str, error: str
) -> None:
    with server.expecting(error):
        answer = ask(server, get(f"/body/{kind}"))

    assert answer.status == 500


@pytest.mark.parametrize("kind", ["fails-later", "fails-later-async"])
def test_a_failing_iterator_cuts_off_an_old_client(server: ThreadServer, kind: str) -> None:
    with server.expecting("no more items"), server.connect() as client:
        client.send(request("GET", f"/body/{kind}", version="HTTP/1.0"))

        # Nothing but a reset tells such a client that the body is not complete.
        assert client.until_ended() == "reset"


@pytest.mark.parametrize("path", ["/twice", "/twice-async"])
def test_a_second_answer_is_an_error_and_is_not_sent(server: ThreadServer, path: str) -> None:
    with server.expecting(path):
        answer = ask(server, get(path))

    assert (answer.status, answer.body) == (200, b"first")


def test_an_exception_after_the_answer_is_logged_and_does_not_answer_again(
    server: ThreadServer,
) -> None:
    with server.expecting("/fails-after", "LookupError: too late"):
        answer = ask(server, get("/fails-after"))

    assert (answer.status, answer.body) == (200, b"first")


@pytest.mark.parametrize("path", ["/silent", "/silent-async"])
def test_no_answer_is_an_error_and_the_client_gets_500(server: ThreadServer, path: str) -> None:
    with server.expecting(path, errors=0):
        answer = ask(server, get(path))

    assert answer.status == 500


def test_later_changes_do_not_affect_a_given_body(server: ThreadServer) -> None:
    assert ask(server, get("/changed-later")).body == b"before" * 1_000_000


def test_hints_may_come_before_the_answer(server: ThreadServer) -> None:
    with server.connect() as client:
        client.send(get("/hints"))
        final = client.answer()
        hints = client.reader.answers[0]

    assert (hints.status, hints.get("link")) == (103, "</style.css>; rel=preload")
    assert (final.status, final.body, final.get("x-final")) == (200, b"final", "yes")
    assert final.get("link") is None


def test_an_old_client_gets_no_hints(server: ThreadServer) -> None:
    with server.connect() as client:
        client.send(request("GET", "/hints", version="HTTP/1.0"))
        client.until_ended()

    assert [answer.status for answer in client.reader.answers] == [200]


def test_attributes_stay_with_the_request(server: ThreadServer) -> None:
    assert ask(server, get("/attributes")).body == b"joe nothing"


@pytest.mark.parametrize("path", ["/endless", "/endless-async"])
def test_a_slow_reader_holds_the_iterator_back(process: Server, path: str) -> None:
    memory = procs.resident(process.worker)
    with process.connect() as client, process.connect() as other:
        client.send(get(path))
        first = state(other.ask(get("/state")))

        def settled() -> bool:
            nonlocal first
            before, first = first, state(other.ask(get("/state")))
            return before["pulled"] == first["pulled"] > 0

        procs.until(settled, what="the iterator waits for the reader")
        # The kernel's two buffers take several megabytes; the worker must add nothing.
        assert procs.resident(process.worker) - memory < 4 << 20
        read(client, 16 << 20)
        assert state(other.ask(get("/state")))["pulled"] > first["pulled"]

        client.reset()
        procs.until(
            lambda: state(other.ask(get("/state")))["closed"] > first["closed"],
            what="the iterator was closed",
        )


def read(client: Client, size: int) -> None:
    """Take that many bytes, whatever they are."""
    while size > 0:
        size -= len(client.socket.recv(1 << 20))


def state(answer: Answer) -> dict[str, int]:
    return dict(json.loads(answer.body))
