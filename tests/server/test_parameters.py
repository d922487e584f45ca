"""Parameters of queries and forms: declared, validated, and then an argument."""

import json
import random
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.helpers import procs
from tests.helpers.build import get, post, request
from tests.helpers.fix_serve import Launcher
from tests.helpers.fix_worker import ThreadLauncher, ThreadServer
from tests.server.test_tools import curl, url

FORM = "Content-Type: application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def server(serve_thread: ThreadLauncher, loop: str) -> ThreadServer:
    return serve_thread(Path(__file__).with_name("parameters_app.py"), loop=loop)


def ask(server: ThreadServer, sent: bytes) -> Any:
    with server.connect() as client:
        answer = client.ask(sent)
    assert answer.status == 200, answer
    return json.loads(answer.body)


def seen(server: ThreadServer, sent: bytes) -> Any:
    return ask(server, sent)["all"]


def form(data: bytes, target: str = "/form", method: str = "POST") -> bytes:
    return post(data, -1, FORM, target=target, method=method)


@pytest.mark.parametrize("path", ["/sync", "/async"])
@pytest.mark.parametrize(
    ("query", "arguments"),
    [
        ("", {}),
        ("?", {}),
        ("?id=1", {"id": ["1"]}),
        ("?id=1&id=x&id=2", {"id": ["1", "2"]}),
        ("?id=x", {}),
        ("?id=", {}),
        ("?v=", {"v": [""]}),
        ("?v", {"v": [""]}),
        ("?v=1=2", {"v": ["1=2"]}),
        ("?v=a+b%20c%2B", {"v": ["a b c+"]}),
        ("?v=%4&v=%zz", {"v": ["%4", "%zz"]}),
        ("?v=%E2%82%AC", {"v": ["€"]}),
        ("?v=%ff&v=a%00", {}),
        ("?%69d=7", {"id": ["7"]}),
        ("?id=1%0A", {}),
        ("?ID=1&other=2", {}),
    ],
)
def test_valid_declared_parameter_is_an_argument(
    server: ThreadServer, path: str, query: str, arguments: dict[str, list[str]]
) -> None:
    found = ask(server, get(path + query))

    assert found["all"] == arguments
    assert found["first"] == {name: values[0] for name, values in arguments.items()}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_form_comes_with_any_method_that_has_a_body(server: ThreadServer, method: str) -> None:
    assert seen(server, form(b"v=1&v=a%0D%0Ab&other=2", method=method)) == {"v": ["1", "a\r\nb"]}


def test_encoded_parameter_is_decoded(server: ThreadServer) -> None:
    rng = random.Random(3)
    for _ in range(20):
        values = ["".join(rng.choices("ab &=+%;#/?é€😀\t\n\"'<>", k=9)) for _ in range(4)]
        assert seen(server, form(urlencode([("v", v) for v in values]).encode())) == {"v": values}


def test_a_form_is_seen_in_pieces_and_chunks_as_in_one(server: ThreadServer) -> None:
    with server.connect() as client:
        client.reader.methods.append("POST")
        client.send_bytewise(form(b"v=a%20b&v=c"))

        assert json.loads(client.answer().body)["all"] == {"v": ["a b", "c"]}


def test_curl_sends_forms(server: ThreadServer) -> None:
    said = curl("--data-urlencode", "v=a&b c", "-d", "n=5", "-d", "n=0", url(server, "/form"))

    assert json.loads(said.splitlines()[-1])["all"] == {"v": ["a&b c"], "n": ["5"]}


def test_a_query_and_a_body_are_judged_by_their_own_rules(server: ThreadServer) -> None:
    assert seen(server, form(b"v=x", "/both?v=1")) == {"v": ["1", "x"]}
    assert seen(server, form(b"v=x", "/both?v=y")) == {"v": ["x"]}


def test_a_body_of_another_type_is_no_form(server: ThreadServer) -> None:
    sent = post(b"v=1", -1, "Content-Type: application/json", target="/form")

    assert seen(server, sent) == {}


def test_head_is_judged_as_get(server: ThreadServer) -> None:
    with server.connect() as client:
        answers = [client.ask(request(method, "/head?id=42")) for method in ("GET", "HEAD")]

    assert [answer.get("x-id") for answer in answers] == ["42", "42"]


def test_a_function_sees_the_request_and_each_value(server: ThreadServer) -> None:
    assert ask(server, get("/asked?n=1&n=x&n=2")) == ["1", "x", "2"]


@pytest.mark.parametrize("path", ["/user", "/user-later"])
def test_a_coroutine_is_awaited_before_the_handler(server: ThreadServer, path: str) -> None:
    assert seen(server, get(f"{path}?name=eve&name=ada&name=bob")) == {"name": ["ada"]}


def test_validators_of_many_clients_wait_at_the_same_time(server: ThreadServer) -> None:
    clients = [server.connect() for _ in range(20)]
    for client in clients:
        client.send(get("/user?name=eve&id=1&name=ada"))
    found = [json.loads(client.answer().body)["all"] for client in clients]
    for client in clients:
        client.close()

    assert found == [{"name": ["ada"], "id": ["1"]}] * 20


def test_a_client_that_leaves_ends_the_wait(server: ThreadServer) -> None:
    with server.connect() as client:
        client.send(get("/user?name=forever"))
        procs.until(lambda: ask(server, get("/waiting")) == ["forever"], what="the wait")

    procs.until(lambda: ask(server, get("/waiting")) == [], what="the end of the wait")


def test_a_validator_that_fails_lets_nothing_through(server: ThreadServer) -> None:
    with (
        server.expecting("LookupError('boo')", "in route '/fails'"),
        server.connect() as client,
    ):
        assert client.ask(get("/fails?v=boo")).status == 500
        assert client.ask(get()).status == 200


def test_the_query_is_there_without_any_declaration(server: ThreadServer) -> None:
    text, query, before = ask(server, get("/query?a=1&b=%41+b&a=2&c"))

    assert text == "a=1&b=%41+b&a=2&c"
    assert query == {"a": ["1", "2"], "b": ["A b"], "c": [""]}
    assert before == [None, {}, True]
    assert ask(server, get("/query"))[:2] == ["", {}]


@pytest.mark.parametrize("target", ["/needs", "/needs?id=x", "/needs?other=1"])
def test_without_a_required_parameter_the_answer_is_400(server: ThreadServer, target: str) -> None:
    with server.connect() as client:
        answer = client.ask(get(target))

        assert (answer.status, answer.get("connection")) == (400, "keep-alive")
        assert json.loads(client.ask(get("/needs?id=1")).body)["all"] == {"id": ["1"]}


def test_strict_route_reports_errors_as_json(server: ThreadServer) -> None:
    with server.connect() as client:
        refused = client.ask(form(b"name=eve", "/strict"))
        taken = client.ask(form(b"name=ada", "/strict?id=1"))

    assert (refused.status, refused.get("content-type")) == (400, "application/json")
    assert json.loads(refused.body) == [
        {"name": "id", "in": "query", "problem": "missing"},
        {"name": "name", "in": "form", "problem": "invalid"},
    ]
    assert json.loads(taken.body)["all"] == {"id": ["1"], "name": ["ada"]}


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (get("/sync?" + "v&" * 999), 200),
        (get("/sync?" + "v&" * 1000), 400),
        (form(b"v=1&" * 999), 200),
        (form(b"v=1&" * 1000), 400),
        (form(b"&" * 900_000), 400),
    ],
)
def test_there_are_a_thousand_parameters_at_most(
    server: ThreadServer, sent: bytes, status: int
) -> None:
    with server.connect() as client:
        assert client.ask(sent).status == status
        assert client.ask(get()).body == b"hello world"


def test_how_many_parameters_there_may_be_is_a_setting(serve: Launcher) -> None:
    server = serve(
        Path(__file__).with_name("parameters_app.py"), settings={"http_arguments_max": 2}
    )
    with server.connect() as client:
        assert client.ask(get("/sync?v=1&v=2")).status == 200
        assert client.ask(get("/sync?v=1&v=2&v=3")).status == 400
