"""Fixtures: a PostgreSQL for all tests that need one, and a worker that does what a test says."""

import ast
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest

from tests.helpers.fix_serve import Launcher, Server
from tests.helpers.postgres import Missing, Postgres, running
from tests.helpers.raw_client import Client

APP = '''
import asyncio, os, textwrap
kore.domain("*", attach="http")
kore.dbsetup("db", os.environ["DSN"])
kept = {}

@kore.route("/do", methods=["post"])
async def do(req):
    """Run the body of a coroutine."""
    code = "async def work():\\n" + textwrap.indent(req.body.decode(), "    ")
    try:
        exec(code, globals())
        answer = ("value", await work())
    except asyncio.CancelledError:
        raise
    except Exception as error:
        answer = ("error", type(error).__name__, str(error), getattr(error, "sqlstate", ""))
    req.response(200, repr(answer))
'''


class Raised(Exception):  # noqa: N818 - says what was
    """What a worker's code raised, with its type and sqlstate."""

    def __init__(self, kind: str, text: str, sqlstate: str | None) -> None:
        super().__init__(text)
        self.kind = kind
        self.sqlstate = sqlstate


def request(code: str) -> bytes:
    """Return the request that has a worker run code."""
    body = textwrap.dedent(code).strip().encode()
    head = b"POST /do HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body)
    return head + body


def result(body: bytes) -> Any:
    """Return what came of it."""
    kind, *values = ast.literal_eval(body.decode())
    if kind == "error":
        raise Raised(*values)
    return values[0]


class Worker:
    """One worker, which runs the code that it is sent."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.log = server.log

    def do(self, code: str) -> Any:
        """Run the body of a coroutine in the worker, and return what that returns."""
        with self.server.connect("POST") as client:
            return result(client.ask(request(code)).body)

    def begin(self, code: str) -> Client:
        """Have it run, and return who waits for the answer."""
        client = self.server.connect("POST")
        client.send(request(code))
        return client


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server that all tests share, and that none of them stops."""
    try:
        with running() as server:
            yield server
    except Missing as missing:  # no wheel for this machine, and no server of the system's
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[Postgres]:
    """A server that a test may stop."""
    try:
        with running() as server:
            yield server
    except Missing as missing:  # no wheel for this machine, and no server of the system's
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def worker(serve_module: Launcher, postgres: Postgres) -> Worker:
    """A worker with a database named `db`."""
    return Worker(serve_module(APP, DSN=postgres.dsn))
