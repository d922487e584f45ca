"""The rules of the TechEmpower benchmarks, on the application that is measured."""

import json
import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.helpers.build import get
from tests.helpers.fix_serve import RUNNING, Server
from tests.helpers.postgres import Postgres
from tests.helpers.raw_client import Client

APPS = Path(__file__).parents[2] / "benchmarks" / "apps"
PAIR = {"id", "randomNumber"}


@pytest.fixture(scope="module")
def database(postgres: Postgres) -> str:
    """A database with their tables."""
    postgres.sql("CREATE DATABASE hello_world")
    postgres.sql((APPS / "database.sql").read_text(), "hello_world")
    return f"{postgres.dsn} dbname=hello_world"


@pytest.fixture(scope="module")
def server(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    command = [sys.executable, "-m", "kore", str(APPS / "database_kore.py")]
    server = Server(command, tmp_path_factory.mktemp("tfb"), {"DSN": database, "PORT": "0"})
    try:
        server.learn_port()
        RUNNING.append(server)
        yield server
        server.stop()
    finally:
        server.kill()


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with server.connect() as client:
        yield client


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/plaintext", "text/plain"),
        ("/json", "application/json"),
        ("/db", "application/json"),
        ("/queries?queries=2", "application/json"),
        ("/updates?queries=2", "application/json"),
        ("/fortunes", "text/html; charset=utf-8"),
    ],
)
def test_an_answer_has_the_fields_it_must_have(client: Client, path: str, kind: str) -> None:
    answer = client.ask(get(path))

    assert (answer.status, answer.get("content-type")) == (200, kind)
    assert answer.get("server")
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", answer.get("date") or "")
    assert int(answer.get("content-length") or 0) == len(answer.body)
    assert answer.get("content-encoding") is None


def test_texts_are_exactly_so(client: Client) -> None:
    assert client.ask(get("/plaintext")).body == b"Hello, World!"
    assert json.loads(client.ask(get("/json")).body) == {"message": "Hello, World!"}


def is_world(world: dict[str, int]) -> bool:
    """Return whether it is a row of the table."""
    return world.keys() == PAIR and all(
        type(value) is int and 1 <= value <= 10000 for value in world.values()
    )


def test_a_single_row_is_a_random_one(client: Client) -> None:
    found = [json.loads(client.ask(get("/db")).body) for _ in range(20)]

    assert all(map(is_world, found))
    assert len({world["id"] for world in found}) > 10


@pytest.mark.parametrize("path", ["/queries", "/sequence", "/updates"])
@pytest.mark.parametrize(
    ("given", "count"),
    [
        ("?queries=2", 2), ("?queries=0", 1), ("?queries=foo", 1), ("?queries=501", 500),
        ("?queries=", 1), ("", 1), ("?queries=1", 1), ("?queries=20", 20), ("?queries=-1", 1),
        ("?queries=500", 500),
    ],
)  # fmt: skip
def test_the_number_of_rows_is_bounded(client: Client, path: str, given: str, count: int) -> None:
    worlds = json.loads(client.ask(get(path + given)).body)

    assert len(worlds) == count
    assert all(map(is_world, worlds))


def test_updates_are_in_the_table(client: Client, postgres: Postgres) -> None:
    worlds = json.loads(client.ask(get("/updates?queries=100")).body)

    rows = postgres.sql("SELECT json_object_agg(id, randomnumber) FROM world", "hello_world")
    kept = json.loads(rows)
    assert all(kept[str(world["id"])] == world["randomNumber"] for world in worlds)


class Table(HTMLParser):
    """The cells of a table, and the tags around it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(page)

    def handle_decl(self, decl: str) -> None:
        self.tags.append(decl)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows:
            self.rows[-1][-1] += data


def test_fortunes_are_sorted_and_escaped(client: Client) -> None:
    page = client.ask(get("/fortunes")).body.decode()
    table = Table(page)

    assert table.tags[:6] == ["DOCTYPE html", "html", "head", "title", "body", "table"]
    assert set(table.tags[6:]) == {"tr", "th", "td"}
    head, *rows = table.rows
    assert head == ["id", "message"]
    assert [int(row[0]) for row in rows] == [11, 4, 5, 2, 8, 0, 3, 7, 10, 6, 9, 1, 12]
    assert ["0", "Additional fortune added at request time."] in rows
    assert rows[0][1].startswith("<script>alert(")
    assert "<script>" not in page
    assert rows[-1][1] == "フレームワークのベンチマーク"
