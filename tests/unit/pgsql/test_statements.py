"""Which queries a connection prepares."""

from kore._pgsql.statements import StatementCache


def prepared(statements: StatementCache, query: str) -> list[bytes]:
    """Prepare a query; return what had to go."""
    gone = []
    while name := statements.surplus():
        gone.append(name)
    statements.keep(query, statements.name())
    return gone


def test_a_query_is_worth_it_when_it_comes_again() -> None:
    statements = StatementCache(10)

    assert not statements.came_before("a")
    assert not statements.came_before("b")
    assert statements.came_before("a")


def test_zero_prepares_nothing() -> None:
    statements = StatementCache(0)

    assert [statements.came_before("a") for _ in range(3)] == [False] * 3
    assert statements.once == {}


def test_what_came_once_is_forgotten_in_time() -> None:
    statements = StatementCache(3)
    for query in "abcd":
        statements.came_before(query)

    assert list(statements.once) == ["b", "c", "d"]


def test_names_are_never_used_again() -> None:
    statements = StatementCache(2)

    assert len({statements.name() for _ in range(100)}) == 100


def test_what_is_used_stays() -> None:
    statements = StatementCache(2)
    assert prepared(statements, "a") == []
    assert prepared(statements, "b") == []
    first, second = (each.name for each in statements.prepared.values())
    # All were used since they were made, so the oldest goes when it is looked at again.
    assert prepared(statements, "c") == [first]
    statements.prepared["c"].used = True
    statements.prepared["b"].used = False
    assert prepared(statements, "d") == [second]
    assert list(statements.prepared) == ["c", "d"]


def test_what_the_server_forgot_is_forgotten() -> None:
    statements = StatementCache(2)
    prepared(statements, "a")
    statements.forget()

    assert statements.prepared == {}


def test_no_two_connections_give_the_same_name() -> None:
    """Behind a pooler one's statement would answer the other one's query."""
    assert StatementCache(2).name() != StatementCache(2).name()
