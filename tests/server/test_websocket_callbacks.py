"""Callbacks: who is found by which name, who waits, what happens when they fail."""

from pathlib import Path
from urllib.parse import quote

import pytest

from tests.helpers import procs
from tests.helpers.build import get
from tests.helpers.fix_serve import Launcher, Server
from tests.helpers.websocket import ACCEPT, ASKING, BINARY, TEXT, Peer, frame

APP = Path(__file__).with_name("websocket_calls_app.py")


@pytest.fixture(scope="module")
def calls(serve_module: Launcher, loop: str) -> Server:
    return serve_module(APP, loop=loop, settings={"websocket_close_timeout": 1})


# ---- names


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("names", ["welcome", "hi"]),
        ("functions", ["welcome", "hi"]),
        ("module", ["welcome", "hi"]),
        ("object", ["chat: hi"]),
        ("method", ["chat: hi"]),
        ("lambda", ["hi"]),
        ("async", ["hi"]),
    ],
)
def test_callbacks_are_functions_or_their_names(
    calls: Server, path: str, expected: list[str]
) -> None:
    start = calls.log.size()
    with Peer(calls.address, f"/by/{path}") as peer:
        peer.text("hi")
        assert peer.take(len(expected)) == expected
    calls.log.wait(f"note: {path} True", start)


def test_callbacks_may_be_none(calls: Server) -> None:
    with Peer(calls.address, "/by/nobody") as peer:
        peer.text("hi")
        assert peer.is_open()
        assert peer.leaves().code == 1000


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("wrong", "NameError onconnect callback 'onconect' not found in the application (did you"),
        ("wrong-module", "NameError onmsg callback 'nowhere.onmsg' not found in the application"),
        ("no-function", "NameError onmsg callback 'notes' not found in the application"),
        ("number", "ConfigError onmsg must be a function, its name or None, not 7"),
        ("other-word", "NameError onmsg callback 'on_message' not found in the application"),
    ],
)
def test_invalid_callback_is_named(calls: Server, path: str, text: str) -> None:
    start = calls.log.size()
    with calls.connect() as client:
        assert client.ask(get(f"/by/{path}", *ASKING)).status == 500
    calls.log.wait(text, start)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("maxframe=-1", "ConfigError: bad value '-1' for maxframe: "),
        ("timeout='x'", "ConfigError: bad value 'x' for timeout: "),
        ("buffer_full='burst'", "ConfigError: bad value 'burst' for buffer_full: close or raise"),
        ("protocols='chat'", "ConfigError: protocols must be a list, not 'chat'"),
        ("protocols=['a,b']", "ConfigError: 'a,b' is not a protocol: a token such as chat.v1"),
        ("origins=['x']", "ConfigError: 'x' is not an origin: same, or https://example.com"),
        ("compress=1", "TypeError: compress must be bool, not int"),
        ("maxfram=1", "ConfigError: unknown keyword 'maxfram' of a websocket (did you mean '"),
    ],
)
def test_invalid_keyword_is_named(calls: Server, query: str, text: str) -> None:
    with calls.connect() as client:
        answer = client.ask(get(f"/terms?{quote(query, safe='=')}", *ASKING))
        assert answer.status == 500
        assert answer.body.decode().startswith(text)


# ---- waiting


def test_messages_are_handled_one_at_a_time_and_in_order(calls: Server) -> None:
    with Peer(calls.address, "/counted") as peer:
        numbers = [str(n) for n in range(500)]
        peer.send(b"".join(frame(TEXT, n) for n in numbers))
        assert peer.take(500) == numbers


def test_pings_are_answered_while_a_callback_waits(calls: Server) -> None:
    start = calls.log.size()
    with Peer(calls.address, "/gated") as peer:
        peer.text("first")
        calls.log.wait("note: holds first", start)
        peer.text("second")
        assert peer.is_open()
        with calls.connect() as client:
            assert client.ask(get("/open")).status == 200
        calls.log.wait("note: holds second", start)
        assert peer.hears() == "first"
        with calls.connect() as client:
            assert client.ask(get("/open")).status == 200
        assert peer.hears() == "second"


def test_a_client_that_floods_a_waiting_callback_has_to_wait_itself(calls: Server) -> None:
    start, memory = calls.log.size(), procs.resident(calls.worker)
    with Peer(calls.address, "/gated") as peer:
        peer.text("first")
        calls.log.wait("note: holds first", start)
        peer.flood(frame(BINARY, b"x" * 16384))
        assert procs.resident(calls.worker) - memory < 8 << 20
        with calls.connect() as client:
            assert client.ask(get("/open")).status == 200
        assert peer.hears() == "first"
        calls.log.wait("note: holds b'xxx", start)
        peer.reset()
    calls.log.wait("note: parted None 1006", start)
    calls.log.wait("messages lost, an earlier one took too long", start)


def test_all_messages_of_a_client_that_leaves_are_handled_first(calls: Server) -> None:
    start = calls.log.size()
    with Peer(calls.address, "/gated") as peer:
        for text in ("one", "two", "three"):
            peer.text(text)
        calls.log.wait("note: holds one", start)
        assert peer.leaves(4001).code == 4001
    for text in ("one", "two", "three"):
        calls.log.wait(f"note: holds {text}", start)
        assert "parted" not in calls.log.text(start)
        with calls.connect() as client:
            assert client.ask(get("/open")).status == 200
    calls.log.wait("note: parted None 4001", start)


# ---- failing


# What is raised, and the last line that is logged of it.
ERRORS = {
    "ValueError('x')": "| ValueError: x]",
    "SystemExit(3)": "| SystemExit: 3]",
    "KeyboardInterrupt()": "| KeyboardInterrupt]",
    "asyncio.CancelledError()": "| asyncio.exceptions.CancelledError]",
}


@pytest.mark.parametrize("path", ["/do", "/await"])
@pytest.mark.parametrize("error", ERRORS)
def test_a_callback_that_fails_ends_its_own_connection(
    calls: Server, path: str, error: str
) -> None:
    worker = calls.worker
    start = calls.log.size()
    with Peer(calls.address, path) as other, Peer(calls.address, path) as peer:
        with calls.expecting(f"in websocket '{path}'", ERRORS[error]):
            peer.send(frame(TEXT, f"fails({error})"), frame(TEXT, "note('never')") * 5)
            assert peer.closed().code == 1011
        peer.socket.close()
        calls.log.wait("note: parted None 1011", start)
        other.text("40 + 2")
        assert other.hears() == "42"
    assert calls.worker == worker
    assert "never" not in calls.log.text(start)


def test_late_failure_of_a_callback_is_reported_in_order(calls: Server) -> None:
    with Peer(calls.address, "/await") as peer, calls.expecting("| ValueError: later]"):
        peer.text("asyncio.sleep(0.2)")
        peer.text("fails(ValueError('later'))")
        peer.send(frame(TEXT, "1" * 3000) * 200)
        assert peer.closed().code == 1011


def test_a_failing_onconnect_ends_the_connection(calls: Server) -> None:
    with calls.expecting("| ZeroDivisionError: "), Peer(calls.address, "/onconnect/1//0") as peer:
        assert peer.closed().code == 1011
    with (
        calls.expecting("| ZeroDivisionError: "),
        Peer(calls.address, "/onconnect/1//0", after=frame(TEXT, "x")) as peer,
    ):
        assert peer.closed().code == 1011


def test_a_failing_ondisconnect_is_reported(calls: Server) -> None:
    with calls.expecting("| ValueError: in ondisconnect]"), Peer(calls.address, "/parting") as peer:
        assert peer.leaves().code == 1000


def test_an_ondisconnect_that_waits_for_ever_is_cancelled(serve: Launcher) -> None:
    server = serve(APP, settings={"websocket_close_timeout": 1})
    with Peer(server.address, "/slow-parting") as peer:
        assert peer.leaves().code == 1000
    server.log.wait("note: cancelled at the end")


def test_the_tracer_hears_of_it(serve: Launcher) -> None:
    tracer = "kore.tracer(lambda kind, error, trace: note('traced', kind.__name__, error))\n"
    server = serve(APP.read_text() + tracer)
    with Peer(server.address, "/do") as peer:
        peer.text("fails(LookupError('mine'))")
        assert peer.closed().code == 1011
    server.log.wait("note: traced LookupError mine")


# ---- handshakes in odd places


def test_a_coroutine_may_shake_hands_and_go_on(calls: Server) -> None:
    start = calls.log.size()
    with Peer(calls.address, "/async", after=frame(TEXT, "early")) as peer:
        assert peer.take(2) == ["welcome", "early"]
        calls.log.wait("note: goes on", start)
        assert peer.is_open()
    calls.log.wait("note: left 1006", start)


def test_a_route_that_streams_may_shake_hands(calls: Server) -> None:
    with Peer(calls.address, "/streamed", after=frame(TEXT, "early")) as peer:
        assert peer.hears() == "early"
        assert peer.leaves().code == 1000


def test_there_is_one_answer_to_a_request(calls: Server) -> None:
    start = calls.log.size()
    with Peer(calls.address, "/twice") as peer:
        assert peer.is_open()
    log = calls.log.wait("note: response", start)
    assert "note: first True" in log
    assert "note: second RuntimeError: " in log
    assert "note: response RuntimeError: " in log
    with calls.connect() as client:
        assert client.ask(get("/late", *ASKING)).body == b"first"
        assert client.ask(get("/hello")).status == 200
    calls.log.wait("note: late RuntimeError: ", start)


def test_a_handler_that_fails_after_the_handshake_leaves_the_websocket_alone(
    calls: Server,
) -> None:
    with (
        calls.expecting("| ValueError: after the handshake]"),
        Peer(calls.address, "/spoils") as peer,
    ):
        peer.text("still there")
        assert peer.hears() == "still there"


def test_fields_of_the_application_are_sent_but_for_those_of_the_handshake(
    calls: Server,
) -> None:
    with calls.connect() as client:
        client.send(get("/fields", *ASKING))
        client.wait(lambda: client.reader.answers)
        (answer,) = client.reader.answers
        assert answer.get("x-own") == "1"
        assert answer.get("connection") == "upgrade"
        assert answer.get("upgrade") == "websocket"
        assert answer.get("server") == "mine"
        assert answer.get("sec-websocket-accept") == ACCEPT
        assert answer.get("content-length") is None
