"""A request that is refused says why: in the log, and in access logs."""

import json
import re
from pathlib import Path

import pytest

from kore._core import refusals
from kore._core.refusals import REFUSALS
from tests.helpers.build import get, request
from tests.helpers.fix_serve import Launcher, Server
from tests.helpers.house import ROOT
from tests.helpers.procs import until
from tests.helpers.refused_requests import LATE, OVER_TLS, REFUSED, coded

APP = """
import asyncio

domain = kore.domain("localhost", attach="http")
domain.accesslog = (
    "access.log", '{"status":$status,"refusal":"$refusal","end":"$request_completion"}'
)
plain = kore.domain("plain.test", attach="http")
plain.accesslog = ("plain.log", "$status [$refusal]")

def index(req):
    req.response(200, b"hello world")

def echo(req):
    req.response(200, req.body)

async def reads(req):
    async for piece in req.chunks():
        req.response(103)
    req.response(200)

def mirror(req):
    req.response(200, req.chunks())

def ws(req):
    req.websocket_handshake(origins=["https://example.com"])

for each in (domain, plain):
    each.route("/", index, methods=["get"])
    each.route("/echo", echo, methods=["post"])
domain.route("/short", echo, methods=["post"], body_max=10)
domain.route("/reads", reads, methods=["post"], stream=True)
domain.route("/mirror", mirror, methods=["post"], stream=True)
domain.route("/ws", ws, methods=["get"])
"""
CASES = [(name, raw) for name, cases in REFUSED.items() for raw in cases]
Line = dict[str, object]


def read(server: Server, name: str = "access.log", start: int = 0) -> list[str]:
    return server.log.path.with_name(name).read_text()[start:].splitlines()


def refused(server: Server, raw: bytes) -> int:
    with server.connect("GET") as client:
        client.send(raw)
        return client.answer().status


@pytest.fixture(scope="module")
def server(serve_module: Launcher) -> Server:
    return serve_module(APP)


@pytest.fixture(scope="module")
def told(serve_module: Launcher) -> list[tuple[int, Line]]:
    """Return the status and the log line of each case."""
    server = serve_module(APP)
    statuses = [refused(server, raw) for _, raw in CASES]
    until(lambda: len(read(server)) >= len(CASES), what="a line for each request")
    return list(zip(statuses, map(json.loads, read(server)), strict=True))


def test_each_reason_has_a_case() -> None:
    assert REFUSED.keys() | LATE.keys() | OVER_TLS == REFUSALS.keys()
    assert all(REFUSED.values())


def test_the_table_has_each_reason_of_the_core_once() -> None:
    source = Path(refusals.__file__).with_name("refusals.pxd").read_text()
    names = re.findall(r"^ +REFUSE_(\w+)$", source, re.MULTILINE)

    assert {name: rule.number for name, rule in REFUSALS.items()} == {
        name: number for number, name in enumerate(names, 1)
    }


def test_the_guide_has_each_reason() -> None:
    guide = (ROOT / "docs" / "guide" / "access-log.md").read_text()
    rows = [f"| {rule.status} | {rule.text} | {rule.section} |" for rule in REFUSALS.values()]

    assert guide.endswith("\n".join(rows) + "\n")


@pytest.mark.parametrize("name", REFUSALS)
def test_a_reason_is_fit_for_logs(name: str) -> None:
    rule = REFUSALS[name]

    assert rule.text.isascii()
    assert rule.text.isprintable()
    assert not set(rule.text) & set('"\\')
    assert 400 <= rule.status <= 505
    assert re.fullmatch(r"RFC \d{4} \d+(\.\d+)*", rule.section)


@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda at: f"{CASES[at][0]}-{at}")
def test_the_access_log_has_the_reason(told: list[tuple[int, Line]], number: int) -> None:
    name, _ = CASES[number]
    rule = REFUSALS[name]

    assert told[number] == (
        rule.status,
        {"status": rule.status, "refusal": rule.text, "end": "OK"},
    )


@pytest.mark.parametrize("name", LATE)
def test_slow_request_gets_a_408(serve: Launcher, name: str) -> None:
    server = serve(APP, settings={"http_header_timeout": 1, "http_body_timeout": 1})
    rule = REFUSALS[name]

    assert refused(server, LATE[name]) == 408
    until(lambda: read(server), what="a line")
    assert json.loads(read(server)[0])["refusal"] == rule.text
    server.log.wait(f"refused with 408: {rule.text} ({rule.section})")


def test_a_request_that_is_not_refused_has_no_reason(server: Server) -> None:
    start = len("\n".join(read(server)))
    with server.connect() as client:
        client.ask(get("/"))
        client.ask(get("/missing"))
    until(lambda: len(read(server, start=start)) >= 2, what="two lines")

    assert [json.loads(line)["refusal"] for line in read(server)[-2:]] == ["", ""]


def test_text_has_a_dash_for_no_reason(serve: Launcher) -> None:
    server = serve(APP)
    with server.connect() as client:
        client.ask(request(host="plain.test"))
        client.send(request("POST", "/echo", "Transfer-Encoding: chunked", host="plain.test"))
        client.send(b"x")
        assert client.answer().status == 400
    until(lambda: len(read(server, "plain.log")) == 2, what="two lines")

    assert read(server, "plain.log") == ["200 [-]", f"400 [{REFUSALS['CHUNK_SIZE'].text}]"]


def test_a_body_that_breaks_a_rule_while_the_handler_reads_it(serve: Launcher) -> None:
    server = serve(APP)
    with server.connect("POST") as client:
        client.send(coded(b"1\r\na\r\n").replace(b"/echo", b"/reads"))
        client.wait(lambda: any(answer.status == 103 for answer in client.reader.answers))
        client.send(b"1\r\nbXX")
        assert client.answer().status == 400
    until(lambda: read(server), what="a line")

    assert json.loads(read(server)[0]) == {
        "status": 400,
        "refusal": REFUSALS["CHUNK_DATA_END"].text,
        "end": "OK",
    }


def test_a_body_that_breaks_a_rule_when_the_answer_has_begun(serve: Launcher) -> None:
    server = serve(APP)
    with server.connect("POST") as client:
        client.send(coded(b"1\r\na\r\n").replace(b"/echo", b"/mirror"))
        client.wait(lambda: client.reader.partial)
        client.send(b"1\r\nbXX")
        client.until_ended()
    until(lambda: read(server), what="a line")

    assert json.loads(read(server)[0]) == {
        "status": 200,
        "refusal": REFUSALS["CHUNK_DATA_END"].text,
        "end": "",
    }
    server.log.wait(
        "refused with 400: CR LF does not follow the data of a chunk (RFC 9112 7.1), in 'XX'"
    )


def test_log_names_client_and_broken_rule(serve: Launcher) -> None:
    server = serve(APP)

    refused(server, get("/", "name\x1b[2J: value"))

    server.log.wait(
        "request of 127.0.0.1 refused with 400: a field line has a control character (RFC 9110 5.5)"
        r", in 'name\x1b[2J: value'"
    )
    assert "\x1b" not in server.log.text()


def test_refusals_of_many_clients_are_rate_limited_in_the_log(serve: Launcher) -> None:
    server = serve(APP)
    sent = 0

    def counts() -> list[int]:
        return list(
            map(int, re.findall(r"; (\d+) more since the last such line", server.log.text()))
        )

    while not counts():
        assert refused(server, b"GARBAGE\r\n") == 400
        sent += 1
    until(lambda: len(read(server)) == sent, what="a line of the access log for each")

    logged = server.log.text().count("refused with 400")
    assert 0 < sum(counts()) < sent
    assert logged + sum(counts()) <= sent  # of the last second's the log says nothing yet
