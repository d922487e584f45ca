"""The databases of a worker: found by name, checked before they are used, opened when they are."""

import asyncio
import sys
from typing import Any

import pytest

from kore._conf.builder import Builder
from kore._conf.schema import Config
from kore._conf.server_schema import Address

# Kept: psycopg cannot be loaded twice into a process.
from kore._pgsql import database as database
from kore._process.worker.databases import LIBRARY, Databases, check_databases
from kore.errors import ConfigError, DatabaseError

STRING = "host=/nowhere user=nobody"


class FakeTasks:
    """The tasks of a worker: coroutines are kept, and never run."""

    def __init__(self) -> None:
        self.created: list[Any] = []

    def create(self, coroutine: Any) -> None:
        self.created.append(coroutine)

    def describe(self) -> str:
        return "a task"


class Made:
    """The databases of a worker, and the errors that it was told."""

    def __init__(self, config: Config) -> None:
        self.tasks = FakeTasks()
        self.errors: list[str] = []
        tasks: Any = self.tasks
        self.databases = Databases(config, tasks, self.report)

    def report(self, where: str, error: BaseException) -> None:
        self.errors.append(f"{where}: {error!r}")


def build(**strings: str) -> Config:
    builder = Builder()
    builder.server("http", Address(ip="127.0.0.1", port=0), tls=False)
    for name, string in strings.items():
        builder.database(name, string)
    return builder.build()


def test_a_valid_connection_string_passes_the_check() -> None:
    check_databases(build(main=STRING))


def test_a_string_that_libpq_rejects_is_refused_with_its_place() -> None:
    with pytest.raises(ConfigError, match=r"test_databases\.py:\d+: database 'main': ") as raised:
        check_databases(build(main="hots=/nowhere"))
    assert "hots" in str(raised.value)


def test_a_database_that_cannot_be_loaded_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, LIBRARY, None)

    with pytest.raises(ConfigError, match="database 'main' needs psycopg, which cannot be loaded"):
        check_databases(build(main=STRING))


def test_a_database_is_opened_once() -> None:
    async def main() -> None:
        databases = Made(build(main=STRING)).databases
        assert databases.opened == {}
        assert databases.get("main") is databases.get("main")
        await databases.close(1.0)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("strings", "known"),
    [({}, "there is none: call kore.dbsetup()"), ({"a": STRING, "b": STRING}, "there is a, b")],
)
def test_an_unknown_name_is_an_error_that_names_those_there_are(
    strings: dict[str, str], known: str
) -> None:
    with pytest.raises(DatabaseError, match="no database found named 'c'") as raised:
        Made(build(**strings)).databases.query("c", "SELECT 1", (), False, None)
    assert str(raised.value).endswith(known)


def test_a_worker_may_add_databases_of_its_own() -> None:
    databases = Made(build()).databases
    databases.register("own", STRING)
    databases.register("own", STRING)

    assert list(databases.configured) == ["own"]
    with pytest.raises(ConfigError):
        databases.register("own", f"{STRING} port=1")
    with pytest.raises(ConfigError, match="database 'other': "):
        databases.register("other", "hots=/nowhere")


def test_a_callback_that_fails_is_reported() -> None:
    made = Made(build())
    made.databases.call_application(lambda value: 1 / value, 0)

    assert made.errors == ["the callback of listen(): ZeroDivisionError('division by zero')"]


def test_an_async_callback_becomes_a_task() -> None:
    async def callback(_: int) -> None:
        pass

    made = Made(build())
    made.databases.call_application(callback, 1)
    (task,) = made.tasks.created

    assert asyncio.run(task) is None
    assert made.errors == []
