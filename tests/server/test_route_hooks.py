"""Hooks of a route: asked before a body is read, given its pieces, told of the end."""

import hashlib
import json
import random
import threading
from pathlib import Path

import pytest

from tests.helpers import procs
from tests.helpers.build import chunked, get, post
from tests.helpers.fix_serve import Launcher, Server
from tests.helpers.raw_client import Client, Mark

CHUNKED = "Transfer-Encoding: chunked"
EXPECT = "Expect: 100-continue"
APP = Path(__file__).with_name("hooks_app.py")
SETTINGS = {"http_body_disk_offload": 2000}


@pytest.fixture(scope="module")
def server(serve_module: Launcher) -> Server:
    return serve_module(APP, settings=SETTINGS)


@pytest.fixture(scope="module")
def impatient(serve_module: Launcher) -> Server:
    return serve_module(APP, settings={"http_body_timeout": 1, **SETTINGS})


def coded(*pieces: bytes, target: str) -> bytes:
    return post(chunked(*pieces), None, CHUNKED, target=target)


def seen(server: Server) -> list[object]:
    with server.connect() as client:
        found: list[object] = json.loads(client.ask(get("/seen")).body)
        return found


def seen_after(server: Server, last: object) -> list[object]:
    found: list[object] = []
    procs.until(lambda: found.extend(seen(server)) or last in found, what=f"{last} is seen")
    return found


def is_freed(server: Server, name: str, times: int = 1) -> None:
    """Wait for so many calls of on_free, and see that no more follow."""
    count = 0

    def calls() -> int:
        with server.connect() as client:
            return int(client.ask(get(f"/freed/{name}")).body)

    def complete() -> bool:
        nonlocal count
        count += calls()
        return count >= times

    procs.until(complete, what=f"on_free of {name}")
    assert count + calls() == times


# ---- on_headers

NAMES = ["now", "later", "at-once"]
AFTER = ["", "/later"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("after", AFTER)
@pytest.mark.parametrize("kind", ["true", "ok", "nothing"])
def test_a_request_that_is_let_in_goes_on(server: Server, name: str, after: str, kind: str) -> None:
    target = f"/{name}{after}"
    field = f"X-Kind: {kind}"
    with server.connect() as client:
        assert client.ask(post(b"abc", 3, field, target=target)).body == b"abc"
        assert client.ask(get(target, field)).body == b""
        assert client.ask(coded(b"x" * 5000, target=target)).body == b"x" * 5000

    first, second, third, fourth, *_ = seen(server)
    assert [first, second] == [["headers", kind, ""], ["handler", kind, "abc"]]
    assert [third, fourth] == [["headers", kind, ""], ["handler", kind, ""]]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("after", ["", "/stream"])
@pytest.mark.parametrize(("kind", "status"), [("answers", 403), ("answers and false", 402)])
def test_a_hook_may_refuse_and_the_connection_goes_on(
    server: Server, name: str, after: str, kind: str, status: int
) -> None:
    with server.connect("POST", "GET") as client:
        refused = post(b"x" * 5000, 5000, f"X-Kind: {kind}", target=f"/{name}{after}")
        client.send(refused + get())

        assert [a.status for a in client.answers(2)] == [status, 200]
    assert seen(server) == [["headers", kind, ""]]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["false", "error"])
def test_a_hook_that_refuses_without_an_answer_is_a_mistake(
    server: Server, name: str, kind: str
) -> None:
    log = f"no response: on_headers stopped route '/{name}' without calling response()"
    with server.expecting(log, errors=0), server.connect() as client:
        assert client.ask(post(b"abc", 3, f"X-Kind: {kind}", target=f"/{name}")).status == 500
        assert client.ask(get()).status == 200
    assert seen(server) == [["headers", kind, ""]]


@pytest.mark.parametrize("name", NAMES)
def test_a_hook_that_fails_is_one_500(server: Server, name: str) -> None:
    with server.expecting("ValueError: judged"), server.connect("POST", "GET") as client:
        client.send(post(b"abc", 3, "X-Kind: raises", target=f"/{name}") + get())

        assert [a.status for a in client.answers(2)] == [500, 200]
    assert seen(server) == [["headers", "raises", ""]]


@pytest.mark.parametrize("name", NAMES)
def test_refused_request_gets_no_100_continue(server: Server, name: str) -> None:
    with server.connect("POST") as client:
        client.send(post(b"", 500, EXPECT, "X-Kind: answers", target=f"/{name}"))

        assert client.answer().status == 403
        assert [a.status for a in client.reader.answers] == [403]
        assert client.until_ended() == "closed"
    with server.connect("POST") as client:
        client.send(post(b"", 3, EXPECT, target=f"/{name}"), Mark.CONTINUE, b"abc")

        assert client.answer().body == b"abc"
    seen(server)


def test_a_large_body_of_a_refused_request_is_not_read(server: Server) -> None:
    with server.connect("POST") as client:
        request = post(bytes(900_000), 900_000, "X-Kind: answers", target="/later")
        thread = threading.Thread(target=client.send, args=(request,))
        thread.start()

        assert client.answer().status == 403
        client.until_ended()
        thread.join()
    seen(server)


def test_disconnect_cancels_a_waiting_hook(server: Server) -> None:
    client = server.connect("POST")
    client.send(post(b"abc", 10, target="/never"))
    assert seen_after(server, "begun") == ["begun"]
    client.reset()

    assert seen_after(server, "cancelled") == ["cancelled"]


def test_hooks_run_in_their_order(server: Server) -> None:
    with server.connect() as client:
        client.ask(post(b"abc", target="/order"))

    order = ["headers", "chunk", "auth", "prerequest", "handler", "free"]
    assert seen_after(server, "free") == order


# ---- on_body_chunk


@pytest.mark.parametrize("target", ["/chunks", "/chunks/later"])
@pytest.mark.parametrize("size", [1, 5000, 65537, 3 << 20])
def test_a_hook_gets_all_pieces_of_a_body(server: Server, target: str, size: int) -> None:
    body = random.Random(size).randbytes(size)
    digest = hashlib.sha256(body).hexdigest()
    with server.connect() as client:
        for request in (post(body, target=target), coded(body, target=target)):
            total, largest, found = json.loads(client.ask(request).body)
            assert (total, found) == (size, digest)
            assert largest <= 65536 + 16384
        assert client.ask(post(b"", target=target)).body == b"nothing"


@pytest.mark.parametrize("target", ["/picky", "/picky/later"])
@pytest.mark.parametrize("word", [b"ok", b"one"])
def test_a_hook_says_true_to_go_on(server: Server, target: str, word: bytes) -> None:
    with server.connect() as client:
        assert client.ask(post(word, target=target)).body == b"nothing"


@pytest.mark.parametrize("target", ["/picky", "/picky/later"])
@pytest.mark.parametrize("word", [b"false", b"none", b"text"])
def test_other_hook_results_are_a_500_and_close(server: Server, target: str, word: bytes) -> None:
    log = f"on_body_chunk of route '{target}' returned"
    with server.expecting(log, errors=0), server.connect("POST") as client:
        client.send(post(word, 100, target=target))

        assert client.answer().status == 500
        assert client.until_ended() == "closed"


@pytest.mark.parametrize("target", ["/picky", "/picky/later"])
def test_a_hook_may_answer(server: Server, target: str) -> None:
    with server.connect("POST") as client:
        client.send(post(b"answer", 100, target=target))

        assert client.answer().status == 422
        assert client.until_ended() == "closed"


@pytest.mark.parametrize("target", ["/picky", "/picky/later"])
def test_a_hook_that_raises_is_one_500(server: Server, target: str) -> None:
    with server.expecting("ValueError: picky"), server.connect("POST") as client:
        client.send(post(b"raise", 100, target=target))

        assert client.answer().status == 500
        assert client.until_ended() == "closed"


def test_a_body_that_went_to_a_hook_is_not_kept(server: Server) -> None:
    with server.connect() as client:
        said = client.ask(post(b"x" * 5000, target="/unkept")).body

    why = b"this route has on_body_chunk, which was given the body"
    assert said == b"http_body_read() failed: " + why


def test_a_client_may_leave_while_a_hook_waits(server: Server) -> None:
    for cut in range(60, 400, 7):
        client = server.connect()
        client.send(coded(*[b"x" * 20] * 10, target="/chunks/later")[:cut])
        client.reset() if cut % 2 else client.close()
    with server.connect() as client:
        assert json.loads(client.ask(post(b"abc", target="/chunks")).body)[:2] == [3, 3]


@pytest.mark.parametrize("target", ["/later", "/at-once", "/chunks/later", "/let-go"])
def test_hooks_that_never_get_to_run_are_let_go(server: Server, target: str) -> None:
    for _ in range(50):
        client = server.connect()
        client.send(post(b"abc", target=target))
        client.reset()
    with server.connect() as client:
        assert client.ask(get()).status == 200
        client.ask(get("/seen"))


# ---- on_free


@pytest.mark.parametrize("name", ["plain", "async-free", "stream"])
def test_on_free_is_called_once_after_a_response(server: Server, name: str) -> None:
    with server.connect() as client:
        for request in (get(f"/{name}"), post(b"x" * 5000, target=f"/{name}")):
            assert client.ask(request).status == 200
    is_freed(server, name, 2)


def test_the_end_is_when_the_handler_has_ended_too(server: Server) -> None:
    with server.connect() as client:
        client.ask(get("/goes-on"))

    assert seen_after(server, 0) == [0]
    is_freed(server, "goes-on")


@pytest.mark.parametrize(
    ("name", "log", "errors"),
    [
        ("raises", "ValueError: raised", 1),
        ("silent", "no response", 0),
        ("breaks", "ValueError: broken", 1),
    ],
)
def test_on_free_is_called_once_after_an_error(
    server: Server, name: str, log: str, errors: int
) -> None:
    with server.expecting(log, errors=errors), server.connect("GET") as client:
        client.send(get(f"/{name}"))
        client.receive()
        is_freed(server, name)


@pytest.mark.parametrize(
    ("name", "request_", "status"),
    [
        ("refused", post(b"abc", target="/refused"), 403),
        ("tiny", post(b"abcd", target="/tiny"), 413),
        ("tiny", coded(b"abcd", target="/tiny"), 413),
        ("plain", post(b"xyz\r\n", None, CHUNKED, target="/plain"), 400),
    ],
)
def test_on_free_is_called_once_after_a_refusal(
    server: Server, name: str, request_: bytes, status: int
) -> None:
    with server.connect("POST") as client:
        assert client.ask(request_).status == status
    is_freed(server, name)


@pytest.mark.parametrize("name", ["plain", "stream"])
def test_on_free_is_called_once_after_a_timeout(impatient: Server, name: str) -> None:
    with impatient.connect("POST") as client:
        assert client.ask(post(b"abc", 10, target=f"/{name}")).status == 408
    is_freed(impatient, name)


@pytest.mark.parametrize("leave", [Client.close, Client.reset])
@pytest.mark.parametrize(
    ("name", "request_"),
    [
        ("plain", post(b"abc", 10, target="/plain")),
        ("plain", post(b"x" * 5000, 10_000, target="/plain")),
        ("stream", post(b"abc", 10, target="/stream")),
        ("slow", post(b"abc", target="/slow")),
    ],
)
def test_on_free_is_called_once_after_a_disconnect(
    server: Server, name: str, request_: bytes, leave: object
) -> None:
    client = server.connect("POST")
    client.send(request_)
    if name == "slow":
        seen_after(server, "slow")
    with server.connect() as other:
        other.ask(get())
    leave(client)  # type: ignore[operator]
    is_freed(server, name)


@pytest.mark.parametrize("name", ["broken", "broken-later"])
def test_exception_of_on_free_is_logged_without_further_effect(server: Server, name: str) -> None:
    with server.expecting(f"in on_free of route '/{name}'"), server.connect() as client:
        assert client.ask(get(f"/{name}")).status == 200
        is_freed(server, name)
        assert client.ask(get()).status == 200


@pytest.mark.parametrize("hook", ["headers", "chunk"])
@pytest.mark.parametrize("size", [10, 100_000])
def test_a_body_that_a_hook_opens_and_does_not_end_is_cut_off(
    server: Server, hook: str, size: int
) -> None:
    path = f"/opens/{hook}"
    logged = f"response without an end: the handler of route '{path}'"
    with server.expecting(logged, errors=0), server.connect("POST") as client:
        client.send(post(b"x" * size, target=path))
        assert client.until_ended() != "open"
    assert not client.reader.final, "or it were taken for the whole"
    assert seen(server) == []
