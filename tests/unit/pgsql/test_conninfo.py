"""Connection strings."""

import asyncio

import pytest

from kore._pgsql.conninfo import attempts, target
from kore.errors import ConfigError, DatabaseError


def words(conninfo: str, **more: int) -> dict[str, str]:
    return target(conninfo, 10, more.get("statement_ms", 0)).words


def test_words_and_uris_mean_the_same() -> None:
    assert words("host=/tmp dbname=hello") == words("postgresql:///hello?host=/tmp")


def test_what_the_string_says_comes_before_what_we_add() -> None:
    assert words("")["application_name"] == "kore"
    assert words("application_name=mine")["application_name"] == "mine"


def test_text_is_always_utf8() -> None:
    assert words("client_encoding=LATIN1")["client_encoding"] == "UTF8"


def test_a_limit_for_statements_is_added_to_options() -> None:
    made = words("options='-c search_path=shop'", statement_ms=1500)
    assert made["options"] == "-c search_path=shop -c statement_timeout=1500"
    assert "options" not in words("")


@pytest.mark.parametrize(
    ("conninfo", "seconds"),
    [("", 10), ("connect_timeout=3", 3), ("connect_timeout=0", 10), ("connect_timeout=-1", 10)],
)
def test_the_string_may_say_how_long_a_connection_takes(conninfo: str, seconds: int) -> None:
    made = target(conninfo, 10, 0)
    assert made.timeout == seconds
    assert "connect_timeout" not in made.words


@pytest.mark.parametrize("conninfo", ["nonsense", "host", "color=red", "postgresql://[", "\udcff"])
def test_what_libpq_does_not_understand_is_refused(conninfo: str) -> None:
    with pytest.raises(ConfigError):
        target(conninfo, 10, 0)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"host": "/tmp"}, ["host=/tmp port=5432"]),
        ({"hostaddr": "127.0.0.1"}, ["hostaddr=127.0.0.1"]),
        ({"host": "127.0.0.1", "port": "1"}, ["host=127.0.0.1 port=1"]),
        ({"host": "/a,/b", "port": "1,2"}, ["host=/a port=1", "host=/b port=2"]),
        ({"host": "/a,/b", "port": "7"}, ["host=/a port=7", "host=/b port=7"]),
        ({"host": "::1"}, ["host=::1 port=5432"]),
        ({"service": "x"}, ["service=x"]),
    ],
)
def test_each_address_is_an_attempt(given: dict[str, str], found: list[str]) -> None:
    assert [each.decode() for each in asyncio.run(attempts(given))] == found


def test_names_are_resolved_to_all_their_addresses() -> None:
    found = asyncio.run(attempts({"host": "localhost"}))
    assert found
    assert all(b"host=localhost" in each and b"hostaddr=" in each for each in found)


def test_ports_and_hosts_must_go_together() -> None:
    with pytest.raises(DatabaseError, match="pgsql error: 3 ports for 2 hosts"):
        asyncio.run(attempts({"host": "/a,/b", "port": "1,2,3"}))


def test_a_standby_is_looked_for_at_all_addresses_before_anything_else_will_do() -> None:
    given = {"host": "/a,/b", "target_session_attrs": "prefer-standby"}
    found = [each.decode() for each in asyncio.run(attempts(given))]
    standby = " target_session_attrs=standby"
    assert [each.endswith(standby) for each in found] == [True, True, False, False]
    assert [each.removesuffix(standby) for each in found[:2]] == found[2:]


def test_hosts_are_tried_in_any_order_where_asked() -> None:
    given = {"host": "/a,/b,/c,/d", "load_balance_hosts": "random"}
    orders = {tuple(asyncio.run(attempts(given))) for _ in range(100)}
    assert len(orders) > 1
    assert len({frozenset(order) for order in orders}) == 1
