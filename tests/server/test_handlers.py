"""Handlers, sync and async, on both event loops: waiting, failing, and being left alone."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers import procs
from tests.helpers.build import get
from tests.helpers.fix_serve import Launcher, Server
from tests.helpers.raw_client import GAP, Client, Mark


@pytest.fixture(scope="module")
def server(serve_module: Launcher, loop: str) -> Server:
    return serve_module(Path(__file__).with_name("handlers_app.py"), loop=loop)


def seen(server: Server, what: str) -> int:
    with server.connect() as client:
        return int(json.loads(client.ask(get("/seen")).body).get(what, 0))


def until_seen(server: Server, what: str, times: int) -> None:
    procs.until(lambda: seen(server, what) >= times, what=f"{what} {times} times")


def test_the_chosen_loop_runs_the_handlers(server: Server, loop: str) -> None:
    with server.connect() as client:
        module = client.ask(get("/loop")).body.decode()

    assert module.split(".")[0] == loop


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/", b"hello world"),
        ("/sleep", b"slept"),
        ("/timeout", b"timed out"),
        ("/current-task", b"Task"),
        ("/thread", b"6"),
        ("/group", b"[0, 1, 2]"),
        ("/returns", b"returned"),
        ("/returns-async", b"returned"),
    ],
)
def test_a_handler_may_do_what_asyncio_offers(server: Server, path: str, body: bytes) -> None:
    with server.connect() as client:
        answers = [client.ask(get(path)) for _ in range(3)]

    assert [(answer.status, answer.body) for answer in answers] == [(200, body)] * 3


def test_fifty_handlers_wait_at_the_same_time(server: Server) -> None:
    clients = [server.connect() for _ in range(50)]
    for client in clients:
        client.send(get("/crowd"))
    bodies = [client.answer().body for client in clients]
    for client in clients:
        client.close()

    assert bodies == [b"all here"] * 50


def test_an_answer_is_sent_before_its_handler_ends(server: Server) -> None:
    before = seen(server, "early went on")
    with server.connect() as client:
        assert client.ask(get("/early")).body == b"early"
        assert client.ask(get("/")).body == b"hello world"
        assert seen(server, "early went on") == before
        assert client.ask(get("/open")).body == b"opened"

    until_seen(server, "early went on", before + 1)


@pytest.mark.parametrize("how", ["raise", "raise-async", "raise-later"])
def test_an_exception_is_one_500_and_one_line(server: Server, how: str) -> None:
    with server.expecting(f"/{how}/", "LookupError: on purpose"), server.connect() as client:
        answer = client.ask(get(f"/{how}/LookupError"))
        assert client.ask(get("/")).body == b"hello world"

    assert (answer.status, answer.get("connection")) == (500, "keep-alive")
    assert b"on purpose" not in answer.body


@pytest.mark.parametrize("how", ["raise", "raise-async", "raise-later"])
@pytest.mark.parametrize(
    "kind", ["SystemExit", "KeyboardInterrupt", "GeneratorExit", "MemoryError"]
)
def test_no_exception_ends_the_worker(server: Server, how: str, kind: str) -> None:
    worker = server.worker
    with server.expecting(kind), server.connect() as client:
        assert client.ask(get(f"/{how}/{kind}")).status == 500
        assert client.ask(get("/")).body == b"hello world"

    assert server.worker == worker


def test_a_handler_that_takes_no_request_is_an_error(server: Server) -> None:
    with server.expecting("TypeError"), server.connect() as client:
        assert client.ask(get("/wrong-arguments")).status == 500


def test_the_toolkit_is_there_from_the_start(server: Server) -> None:
    before, start = seen(server, "background"), server.log.size()
    with server.connect() as client:
        found = json.loads(client.ask(get("/toolkit")).body)

    assert found["worker"] == 1
    assert found["waited"] >= 20
    server.log.wait("a note from the handler", start)
    until_seen(server, "background", before + 1)


def test_failing_task_is_logged_without_further_effect(server: Server) -> None:
    with server.expecting("LookupError: in the background"), server.connect() as client:
        assert client.ask(get("/background-fails")).body == b"started"

    assert seen(server, "nothing") == 0


@pytest.mark.parametrize("goes", [Client.close, Client.reset], ids=["close", "reset"])
def test_the_task_of_a_client_that_has_gone_is_cancelled_at_once(
    server: Server, goes: Callable[[Client], None]
) -> None:
    before = {what: seen(server, what) for what in ("stayed", "cancelled", "left")}
    client = server.connect()
    client.send(get("/stay"))
    until_seen(server, "stayed", before["stayed"] + 1)
    assert seen(server, "left") == before["left"]

    goes(client)

    until_seen(server, "cancelled", before["cancelled"] + 1)
    until_seen(server, "left", before["left"] + 1)


def test_a_client_that_leaves_an_answer_unread_has_gone(server: Server) -> None:
    before = {what: seen(server, what) for what in ("stayed", "cancelled")}
    client = server.connect()
    client.send(get("/") + get("/stay"))
    until_seen(server, "stayed", before["stayed"] + 1)
    client.hears(1)

    client.close()  # with the first answer unread: the kernel sends a reset

    until_seen(server, "cancelled", before["cancelled"] + 1)


def test_a_handler_may_answer_a_client_that_has_gone(server: Server) -> None:
    before = {what: seen(server, what) for what in ("stubborn", "stubborn to the end")}
    client = server.connect()
    client.send(get("/stubborn"))
    until_seen(server, "stubborn", before["stubborn"] + 1)

    client.reset()

    until_seen(server, "stubborn to the end", before["stubborn to the end"] + 1)


def test_a_client_that_has_gone_costs_nothing_when_the_answer_comes(server: Server) -> None:
    before = seen(server, "held")
    client = server.connect()
    client.send(get("/hold"))
    until_seen(server, "held", before + 1)
    client.close()

    with server.connect() as other:
        assert other.ask(get("/open")).body == b"opened"
        assert other.ask(get("/")).body == b"hello world"


@pytest.mark.parametrize("path", ["/sleep", "/thread", "/timeout", "/"])
def test_a_half_closed_client_gets_its_answer(server: Server, path: str) -> None:
    with server.connect() as client:
        client.send(get(path), Mark.HALF_CLOSE)

        assert client.until_ended() == "closed"
    assert [answer.status for answer in client.reader.final] == [200]


def test_a_client_that_half_closes_later_gets_its_answer(server: Server) -> None:
    before = seen(server, "held")
    with server.connect() as client:
        client.send(get("/hold"))
        until_seen(server, "held", before + 1)
        client.send(Mark.HALF_CLOSE, GAP)
        with server.connect() as other:
            other.ask(get("/open"))

        assert client.answer().body == b"held"
        assert client.until_ended() == "closed"


def test_a_handler_may_hang_up(server: Server) -> None:
    with server.connect() as client:
        client.send(get("/disconnect"))

        assert client.until_ended() in ("closed", "reset")
    assert client.reader.answers == []


def test_a_tracer_gets_the_exceptions_and_the_log_does_not(serve: Launcher) -> None:
    server = serve("""
        def trace(kind, value, traceback):
            lines = traceback.tb_frame.f_code.co_name if traceback else None
            kore.log(kore.LOG_ERR, f"traced {kind.__name__} {value} {lines is not None}")

        kore.tracer(trace)
        domain = kore.domain("*", attach="http")

        @kore.route("/sync", methods=["get"])
        def sync(req):
            raise LookupError("in sync")

        @kore.route("/later", methods=["get"])
        async def later(req):
            raise LookupError("in async")

        @kore.route("/task", methods=["get"])
        def start(req):
            kore.task_create(task())
            req.response(200, b"")

        async def task():
            raise LookupError("in a task")
    """)
    with server.connect() as client:
        statuses = [client.ask(get(path)).status for path in ("/sync", "/later", "/task")]

    assert statuses == [500, 500, 200]
    for where in ("sync", "async", "a task"):
        server.log.wait(f"traced LookupError in {where} True")
