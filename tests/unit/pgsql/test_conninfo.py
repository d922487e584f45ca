"""Connection strings."""

import asyncio

import pytest

from kore._pgsql.conninfo import parse_conninfo, resolve_attempts
from kore.errors import ConfigError, DatabaseError


def parse_keywords(conninfo: str, statement_timeout_ms: int = 0) -> dict[str, str]:
    return parse_conninfo(conninfo, 10, statement_timeout_ms).keywords


def test_keyword_string_and_uri_are_equal() -> None:
    assert parse_keywords("host=/tmp dbname=hello") == parse_keywords(
        "postgresql:///hello?host=/tmp"
    )


def test_string_overrides_defaults() -> None:
    assert parse_keywords("")["application_name"] == "kore"
    assert parse_keywords("application_name=mine")["application_name"] == "mine"


def test_client_encoding_is_always_utf8() -> None:
    assert parse_keywords("client_encoding=LATIN1")["client_encoding"] == "UTF8"


def test_statement_timeout_is_appended_to_options() -> None:
    made = parse_keywords("options='-c search_path=shop'", 1500)
    assert made["options"] == "-c search_path=shop -c statement_timeout=1500"
    assert "options" not in parse_keywords("")


@pytest.mark.parametrize(
    ("conninfo", "seconds"),
    [("", 10), ("connect_timeout=3", 3), ("connect_timeout=0", 10), ("connect_timeout=-1", 10)],
)
def test_connect_timeout_of_the_string_counts_if_positive(conninfo: str, seconds: int) -> None:
    made = parse_conninfo(conninfo, 10, 0)
    assert made.timeout == seconds
    assert "connect_timeout" not in made.keywords


@pytest.mark.parametrize("conninfo", ["nonsense", "host", "color=red", "postgresql://[", "\udcff"])
def test_invalid_string_is_refused(conninfo: str) -> None:
    with pytest.raises(ConfigError):
        parse_conninfo(conninfo, 10, 0)


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
def test_each_address_is_one_attempt(given: dict[str, str], found: list[str]) -> None:
    assert [each.decode() for each in asyncio.run(resolve_attempts(given))] == found


def test_host_is_resolved_to_all_its_addresses() -> None:
    found = asyncio.run(resolve_attempts({"host": "localhost"}))
    assert found
    assert all(b"host=localhost" in each and b"hostaddr=" in each for each in found)


def test_numbers_of_ports_and_hosts_must_agree() -> None:
    with pytest.raises(DatabaseError, match="pgsql error: 3 ports for 2 hosts"):
        asyncio.run(resolve_attempts({"host": "/a,/b", "port": "1,2,3"}))


def test_prefer_standby_tries_all_addresses_twice() -> None:
    given = {"host": "/a,/b", "target_session_attrs": "prefer-standby"}
    found = [each.decode() for each in asyncio.run(resolve_attempts(given))]
    standby = " target_session_attrs=standby"
    assert [each.endswith(standby) for each in found] == [True, True, False, False]
    assert [each.removesuffix(standby) for each in found[:2]] == found[2:]


def test_random_load_balancing_shuffles_hosts() -> None:
    given = {"host": "/a,/b,/c,/d", "load_balance_hosts": "random"}
    orders = {tuple(asyncio.run(resolve_attempts(given))) for _ in range(100)}
    assert len(orders) > 1
    assert len({frozenset(order) for order in orders}) == 1
