"""Databases, from both doors."""

import pytest

from kore._conf.builder import Builder
from kore._conf.file.printer import Printer
from kore._conf.schema import DatabaseConfig
from kore.errors import ConfigError, KoreError
from tests.helpers.conf import built


def builder() -> Builder:
    return Builder(lambda: "app.py:1")


def test_a_call_gives_a_database_a_name() -> None:
    made = builder()
    made.database("shop", "dbname=shop")
    assert made.databases == {"shop": DatabaseConfig("shop", "dbname=shop")}


def test_the_same_database_twice_is_accepted() -> None:
    made = builder()
    made.database("shop", "dbname=shop")
    made.database("shop", "dbname=shop")
    assert len(made.databases) == 1


def test_another_database_of_the_same_name_is_refused() -> None:
    made = builder()
    made.database("shop", "dbname=shop")
    with pytest.raises(ConfigError, match=r"database 'shop' is another one already, at app\.py:1"):
        made.database("shop", "dbname=other")


@pytest.mark.parametrize(
    ("name", "connstring", "error"),
    [
        ("", "", ValueError),
        ("a\n", "", ConfigError),
        (1, "", TypeError),
        ("a", b"", TypeError),
        ("a", "x\0", ValueError),
    ],
)
def test_an_invalid_database_is_refused(name: str, connstring: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        builder().database(name, connstring)


def test_no_database_is_added_after_the_start() -> None:
    made = builder()
    made.frozen = True
    with pytest.raises(KoreError, match="configuration is final"):
        made.database("shop", "")


def test_the_repr_of_a_database_has_no_password() -> None:
    assert "secret" not in repr(DatabaseConfig("shop", "password=secret"))


def test_a_file_gives_a_database_a_name() -> None:
    made = built('database shop "host=/run/postgresql dbname=shop"').build()
    assert made.databases == (DatabaseConfig("shop", "host=/run/postgresql dbname=shop"),)


def test_a_printed_configuration_has_its_databases() -> None:
    config = built("database shop \"password='a b' dbname=shop\"").build()
    printed = Printer(lambda _: "").print_config(config, [])
    again = built(printed, server=False).build()
    assert again.databases == config.databases


@pytest.mark.parametrize("text", ["database", "database a", "database a b c"])
def test_a_directive_has_two_words(text: str) -> None:
    with pytest.raises(ConfigError, match=r"kore.conf:1: write `database NAME CONNSTRING`"):
        built(text).build()
