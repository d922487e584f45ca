"""The cache of prepared statements."""

from kore._pgsql.statements import StatementCache


def prepare(cache: StatementCache, query: str) -> list[bytes]:
    """Add a query; return the names of the evicted statements."""
    evicted = []
    while name := cache.evict():
        evicted.append(name)
    cache.add(query, cache.make_name())
    return evicted


def test_query_is_repeated_on_its_second_use() -> None:
    cache = StatementCache(10)

    assert not cache.note_use("a")
    assert not cache.note_use("b")
    assert cache.note_use("a")


def test_limit_of_zero_disables_preparing() -> None:
    cache = StatementCache(0)

    assert [cache.note_use("a") for _ in range(3)] == [False] * 3
    assert cache.seen_once == {}


def test_oldest_candidate_is_dropped() -> None:
    cache = StatementCache(3)
    for query in "abcd":
        cache.note_use(query)

    assert list(cache.seen_once) == ["b", "c", "d"]


def test_names_are_unique() -> None:
    cache = StatementCache(2)

    assert len({cache.make_name() for _ in range(100)}) == 100


def test_recently_used_statement_is_kept() -> None:
    cache = StatementCache(2)
    assert prepare(cache, "a") == []
    assert prepare(cache, "b") == []
    first, second = (each.name for each in cache.prepared.values())
    # All were used since they were added, so the oldest goes at the second look.
    assert prepare(cache, "c") == [first]
    cache.prepared["c"].used = True
    cache.prepared["b"].used = False
    assert prepare(cache, "d") == [second]
    assert list(cache.prepared) == ["c", "d"]


def test_removed_statement_is_not_prepared() -> None:
    cache = StatementCache(2)
    prepare(cache, "a")
    prepare(cache, "b")
    cache.remove(cache.prepared["a"])

    assert list(cache.prepared) == ["b"]


def test_clear_removes_all_statements() -> None:
    cache = StatementCache(2)
    prepare(cache, "a")
    cache.clear()

    assert cache.prepared == {}


def test_names_of_two_connections_differ() -> None:
    """Behind a pooler, both may use one session of the server."""
    assert StatementCache(2).make_name() != StatementCache(2).make_name()
