"""What one handler does stays with it: contexts, threads, forks, exits, farewells."""

import signal

import pytest

from tests.helpers import procs
from tests.helpers.build import get
from tests.helpers.fix_serve import Launcher, Server

APP = """
import asyncio, contextvars, os, pathlib, sys, time

domain = kore.domain("*", attach="http")
user = contextvars.ContextVar("user", default="nobody")

@kore.route("/set", methods=["get"])
def set_user(req):
    user.set("alice")
    req.response(200, user.get())

@kore.route("/get", methods=["get"])
def get_user(req):
    req.response(200, user.get())

@kore.route("/items", methods=["get"])
def items(req):
    user.set("bob")
    req.response(200, (user.get() for _ in range(2)))

@kore.route("/fork/([a-z]+)", methods=["get"])
def never(req):
    pass

@kore.route("^/fork/(return|exit|raise)$", methods=["get"])
def fork(req, how):
    if os.fork() == 0:
        if how == "exit":
            sys.exit(3)
        if how == "raise":
            raise ValueError("in the child")
        return req.response(200, b"child")
    req.response(200, b"parent")

@kore.route("/fork-await", methods=["get"])
async def fork_and_wait(req):
    child = os.fork() == 0
    await asyncio.sleep(0.01)
    req.response(200, b"child" if child else b"parent")

@kore.route("/fork-work", methods=["get"])
def fork_for_long(req):
    if os.fork() == 0:
        while not pathlib.Path("go").exists():
            time.sleep(0.01)
        os._exit(0)
    req.response_header("connection", "close")
    req.response(200, b"parent")

@kore.route("/gather-exit", methods=["get"])
async def gather_exit(req):
    async def leave():
        sys.exit(3)
    await asyncio.gather(leave())

@kore.route("/thread", methods=["get"])
async def thread(req):
    await asyncio.to_thread(req.response, 200, b"from a thread")
"""


@pytest.fixture(scope="module")
def server(serve_module: Launcher, loop: str) -> Server:
    return serve_module(APP, loop=loop)


def test_contextvars_of_one_request_are_not_there_in_the_next(server: Server) -> None:
    with server.connect() as client:
        assert client.ask(get("/set")).body == b"alice"
        assert client.ask(get("/get")).body == b"nobody"


def test_an_iterator_sees_the_contextvars_of_its_handler(server: Server) -> None:
    with server.connect() as client:
        assert client.ask(get("/items")).body == b"bobbob"
        assert client.ask(get("/get")).body == b"nobody"


@pytest.mark.parametrize("how", ["/fork/return", "/fork/exit", "/fork/raise", "/fork-await"])
def test_a_forked_child_that_comes_back_is_no_second_worker(server: Server, how: str) -> None:
    before = server.worker
    with server.connect() as client:
        for _ in range(3):
            assert client.ask(get(how)).body == b"parent"
        assert client.ask(get("/get")).body == b"nobody"
    assert server.worker == before


def test_a_forked_child_at_work_keeps_no_client_waiting(server: Server) -> None:
    with server.connect() as client:
        client.send(get("/fork-work"))
        try:
            assert client.until_ended() == "closed"
        finally:
            server.log.path.with_name("go").touch()


def test_an_exit_in_a_child_task_ends_that_task_only(server: Server) -> None:
    before = server.worker
    texts = ("SystemExit(3) in a task", "SystemExit(3) in route '/gather-exit'")
    with server.expecting(*texts, errors=2), server.connect() as client:
        assert client.ask(get("/gather-exit")).status == 500
    assert server.worker == before


def test_an_answer_from_another_thread_is_refused(server: Server) -> None:
    text = "response() belongs to the worker's thread"
    with server.expecting(text), server.connect() as client:
        assert client.ask(get("/thread")).status == 500


def test_an_async_farewell_is_not_cut_short(serve: Launcher) -> None:
    server = serve(
        """
        import asyncio
        domain = kore.domain("*", attach="http")

        async def kore_worker_teardown():
            await asyncio.sleep(0.5)
            kore.log(kore.LOG_INFO, "farewell")
        """
    )
    server.process.send_signal(signal.SIGTERM)
    server.log.wait("farewell")
    procs.until(lambda: server.process.poll() is not None, what="the end")

    assert server.process.returncode == 0
