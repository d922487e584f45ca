"""What an application can know of a WebSocket, and do with it."""

import signal
from pathlib import Path

import pytest

from tests.helpers.build import get
from tests.helpers.fix_serve import Launcher
from tests.helpers.fix_worker import ThreadLauncher, ThreadServer
from tests.helpers.websocket import BINARY, TEXT, Got, Peer, closing, frame
from tests.process.process_helpers import end

APP = Path(__file__).with_name("websocket_calls_app.py")


@pytest.fixture(scope="module")
def calls(serve_thread: ThreadLauncher) -> ThreadServer:
    return serve_thread(APP, settings={"websocket_close_timeout": 1})


def told(server: ThreadServer, *questions: str, path: str = "/do") -> list[str]:
    """Return what the application answers to questions of one client."""
    with Peer(server.address, path) as peer:
        for question in questions:
            peer.text(question)
        return peer.take(len(questions))


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("type(c) is kore.pyconnection", "True"),
        ("c.addr", "127.0.0.1"),
        ("c.fd > 2", "True"),
        ("c.x509 is None and c.x509dict is None and 'nothing'", "nothing"),
        ("c.state == kore.CONN_STATE_ESTABLISHED", "True"),
        ("c.proto == kore.CONN_PROTO_WEBSOCKET", "True"),
        ("c.buffered", "0"),
        ("[c.close_code, c.close_reason]", "[None, None]"),
        ("sorted(c.rooms)", "[]"),
        (
            "[c.join('a'), c.join('b'), c.join('a'), sorted(c.rooms)]",
            "[True, True, True, ['a', 'b']]",
        ),
        ("[c.leave('a'), c.join('a'), c.leave('a'), c.leave('a')]", "[False, True, True, False]"),
        ("call(c.join, None)", "TypeError: Argument 'room' "),
        ("call(c.websocket_send, 9, b'')", "TypeError: invalid op parameter: "),
        ("call(c.websocket_send, 0, b'')", "TypeError: invalid op parameter: "),
        ("call(c.websocket_send, '1', b'')", "TypeError: invalid op parameter: "),
        ("call(c.websocket_send, 1.0, b'')", "TypeError: invalid op parameter: "),
        ("call(c.websocket_send, 1 << 80, b'')", "TypeError: invalid op parameter: "),
        ("call(c.websocket_send, 1, None)", "TypeError: a message is str or bytes-like, not None"),
        ("call(c.websocket_send, 1, 7)", "TypeError: a message is str or bytes-like, not int"),
        ("call(c.websocket_send, 1, b'\\xff')", "ValueError: a text must be UTF-8"),
        ("call(c.websocket_send, 1, '\\ud800')", "UnicodeEncodeError: "),
        ("call(c.websocket_send, 2, '\\ud800')", "UnicodeEncodeError: "),
        ("call(kore.websocket_broadcast, 7, 1, 'x')", "TypeError: src must be a kore.connection"),
        ("call(kore.websocket_broadcast, c, 8, 'x')", "TypeError: invalid op parameter: "),
        ("call(kore.websocket_broadcast, c, 1, b'\\xff')", "ValueError: a text must be UTF-8"),
        ("call(kore.websocket_broadcast, c, 1, 'x', 3)", "ValueError: invalid scope: "),
        ("call(kore.websocket_broadcast, c, 1, 'x', None)", "ValueError: invalid scope: "),
        ("in_a_thread(c.websocket_send, 1, 'x')", "RuntimeError: websocket_send() belongs to"),
        ("in_a_thread(c.disconnect)", "RuntimeError: disconnect() belongs to"),
        ("in_a_thread(kore.websocket_broadcast, c, 1, 'x')", "RuntimeError: websocket_broadcast("),
        ("kore.websocket_broadcast(c, 1, 'x')", "True"),
    ],
)
def test_connection_has_its_attributes(calls: ThreadServer, question: str, answer: str) -> None:
    (found,) = told(calls, question)
    assert found.startswith(answer)


def test_a_connection_is_one_object_with_room_for_more(calls: ThreadServer) -> None:
    with Peer(calls.address, "/do") as peer:
        peer.text("known.update(me=c) or setattr(c, 'name', 'me')")
        for n in range(1, 4):
            peer.text("[named(c), c is known['me'], c in {known['me']}, c.name]")
            assert peer.hears() == f"[{n}, True, True, 'me']"
        start = calls.log.size()
        assert peer.leaves(4002).code == 4002
    calls.log.wait("note: parted me 4002  False 3", start)


@pytest.mark.parametrize(
    ("data", "got"),
    [
        ("1, 'κ'", Got(TEXT, "κ".encode())),
        ("1, 'κ'.encode()", Got(TEXT, "κ".encode())),
        ("2, 'κ'", Got(BINARY, "κ".encode())),
        ("2, b'\\xff'", Got(BINARY, b"\xff")),
        ("2, bytearray(b'ab')", Got(BINARY, b"ab")),
        ("2, memoryview(b'abcd')[::2]", Got(BINARY, b"ac")),
        ("1, ''", Got(TEXT, b"")),
        ("2, b'x' * 100000", Got(BINARY, b"x" * 100000)),
        ("1, 'x' * 100000", Got(TEXT, b"x" * 100000)),
    ],
)
def test_text_and_bytes_of_all_kinds_are_sent(calls: ThreadServer, data: str, got: Got) -> None:
    with Peer(calls.address, "/do") as peer:
        peer.text(f"c.websocket_send({data})")
        assert peer.got() == got
        assert peer.hears() == "True"


# ---- the end


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        ("", 1000, ""),
        ("4999, 'κόσμε'", 4999, "κόσμε"),
        ("code=3000, reason='r' * 123", 3000, "r" * 123),
    ],
)
def test_disconnect_tells_the_client_why(
    calls: ThreadServer, arguments: str, code: int, reason: str
) -> None:
    start = calls.log.size()
    with Peer(calls.address, "/do") as peer:
        peer.text(f"note('found', c.disconnect({arguments}), c.disconnect(), c.state, c.fd > 0)")
        peer.text("note('deaf')")
        assert peer.hears() == "farewell", "ondisconnect is called first"
        end = peer.got()
        assert (end.code, end.reason) == (code, reason)
        peer.send(frame(TEXT, "note('deaf')"), closing(code))
        assert peer.rest() == []
    log = calls.log.wait("note: found True False 3 True", start)
    assert f"note: parted None {code} {reason} True None" in log
    assert "note: deaf" not in log


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ("999", "ValueError: 999 is not a code"),
        ("1004", "ValueError: 1004 is not a code"),
        ("1005", "ValueError: 1005 is not a code"),
        ("1006", "ValueError: 1006 is not a code"),
        ("1015", "ValueError: 1015 is not a code"),
        ("2999", "ValueError: 2999 is not a code"),
        ("5000", "ValueError: 5000 is not a code"),
        ("-1", "ValueError: -1 is not a code"),
        ("2 ** 70", "ValueError: 1180591620717411303424 is not a code"),
        ("True", "ValueError: True is not a code"),
        ("1000.0", "ValueError: 1000.0 is not a code"),
        ("None", "ValueError: None is not a code"),
        ("'1000'", "ValueError: '1000' is not a code"),
        ("1000, 'r' * 124", "ValueError: a reason has at most 123 bytes"),
        ("1000, 'κ' * 62", "ValueError: a reason has at most 123 bytes"),
        ("1000, '\\ud800'", "UnicodeEncodeError: "),
        ("1000, None", "TypeError: a reason is a str, not NoneType"),
        ("1000, b'x'", "TypeError: a reason is a str, not bytes"),
    ],
)
def test_invalid_close_arguments_change_nothing(
    calls: ThreadServer, arguments: str, error: str
) -> None:
    with Peer(calls.address, "/do") as peer:
        peer.text(f"call(c.disconnect, {arguments})")
        assert peer.hears().startswith(error)
        assert peer.is_open()


DEAD = """[o.websocket_send(1, 'x'), o.disconnect(), o.join('a'), o.leave('a'), o.fd, o.state,
 o.proto, o.buffered, sorted(o.rooms), o.close_code, o.close_reason]"""


def test_operations_on_a_connection_that_is_gone_say_so(calls: ThreadServer) -> None:
    start = calls.log.size()
    with Peer(calls.address, "/do") as gone:
        gone.text("known.update(gone=c) or c.join('a')")
        gone.send(closing(3001, "why"))
        assert [got.op for got in gone.rest()] == [1, 8]
    calls.log.wait("note: parted None 3001 why", start)
    question = DEAD.replace("\n", "").replace("o.", "others['gone'].")
    expected = "[False, False, False, False, -1, 3, 2, 0, [], 3001, 'why']"
    assert told(calls, question) == [expected]
    assert told(calls, "others['gone'].drained()", path="/await") == ["False"]


def test_a_connection_about_to_end_is_in_no_new_group(calls: ThreadServer) -> None:
    start = calls.log.size()
    with Peer(calls.address, "/do") as peer:
        peer.text("note('closing', c.disconnect(), c.join('a'), c.websocket_send(1, 'x'))")
        peer.rest()
    calls.log.wait("note: closing True False False", start)


def test_a_client_that_does_not_answer_a_goodbye_is_not_waited_for(calls: ThreadServer) -> None:
    with Peer(calls.address, "/do") as peer:
        peer.text("c.disconnect(4000) and None")
        assert peer.hears() == "farewell"
        assert peer.closed().code == 4000


def test_drained_waits_until_the_client_has_read(calls: ThreadServer) -> None:
    start = calls.log.size()
    with Peer(calls.address, "/await", receive_buffer=65536) as peer:
        peer.text("note('sent', c.websocket_send(2, b'x' * 16_000_000), c.buffered > 100_000)")
        peer.text("c.drained()")
        calls.log.wait("note: sent True True", start)
        assert peer.got().data == b"x" * 16_000_000
        assert peer.hears() == "True"


def test_an_http_connection_is_no_websocket(calls: ThreadServer) -> None:
    start = calls.log.size()
    with calls.connect() as client:
        assert client.ask(get("/http")).body == b"hello"
    log = calls.log.wait("note: http", start)
    assert "TypeError: not a websocket connection" in log


# ---- odd moments


@pytest.mark.parametrize(
    "how", ["c.disconnect(4003)", "c.websocket_send(1,'x')+and+c.disconnect(4003)"]
)
def test_onconnect_may_send_and_disconnect(calls: ThreadServer, how: str) -> None:
    start = calls.log.size()
    with Peer(calls.address, f"/onconnect/{how}", after=frame(TEXT, "unheard")) as peer:
        texts = [got.data for got in peer if got.op == TEXT]
        assert texts == ([b"x"] if "send" in how else []) + [b"farewell"]
    log = calls.log.wait("note: parted None 4003", start)
    calls.log.wait("note: opened True", start)
    assert "unheard" not in log


def test_a_callback_may_disconnect_any_other(calls: ThreadServer) -> None:
    with Peer(calls.address, "/do") as one, Peer(calls.address, "/do") as two:
        one.text("known.update(one=c)")
        one.text("1")
        assert one.hears() == "1"
        two.text("others['one'].disconnect(4004, 'by another')")
        assert two.hears() == "True"
        assert one.hears() == "farewell"
        assert one.got() == Got(8, (4004).to_bytes(2, "big") + b"by another")
        assert two.is_open()


def test_ondisconnect_may_disconnect_all(calls: ThreadServer) -> None:
    peers = [Peer(calls.address, "/chain") for _ in range(200)]
    peers[0].text("go")
    for peer in peers:
        assert peer.until_closed().code == 4005
        peer.socket.close()
    with calls.connect() as client:
        assert client.ask(get("/chain-errors")).body == b"0"


def test_nested_disconnects_beyond_the_stack_close_all(serve: Launcher) -> None:
    shallow = "import sys\nsys.setrecursionlimit(170)\n"
    server = serve(APP.read_text() + shallow)
    peers = [Peer(server.address, "/chain") for _ in range(400)]
    peers[0].text("go")
    codes = set()
    for peer in peers:
        codes.add(peer.until_closed().code)
        peer.socket.close()
    assert codes <= {4005, 1011}
    with server.connect() as client:
        caught = int(client.ask(get("/chain-errors")).body)
    # The stack ends in a callback, which catches that, or before one, which costs its client 1011.
    assert caught or 1011 in codes
    assert end(server, signal.SIGTERM) == 0


def test_broadcast_from_ondisconnect_reaches_the_remaining(calls: ThreadServer) -> None:
    start = calls.log.size()
    peers = [Peer(calls.address, "/wake") for _ in range(50)]
    left, stay = peers[:40], peers[40:]
    for peer in left:
        peer.reset()
    for peer in stay:
        assert sorted(peer.take(40)) == sorted(f"{n} left" for n in range(40))
        peer.text("still")
    calls.log.wait("note: wake 40", start)
    for peer in stay:
        assert sorted(peer.take(9)) == ["still"] * 9
        peer.reset()
