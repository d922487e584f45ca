"""The functions of `import kore` for PostgreSQL, imported on first use: they need a worker."""

from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from kore import _context
from kore.errors import KoreError

if TYPE_CHECKING:
    from kore._pgsql.listen import NotifyCallback, Subscription
    from kore._pgsql.rows import Rows
    from kore._pgsql.stream import RowStream
    from kore._pgsql.transaction import Transaction

Params = Sequence[str | bytes | int | float | bool | None] | None


def dbquery(
    db: str, query: str, params: Params = None, *, binary: bool = False, bytea: bool = False
) -> Coroutine[Any, Any, "Rows | None"]:
    """Ask a database: `rows = await kore.dbquery("db", "SELECT ... $1", params=[value])`.

    Returns a list of dicts by column, [] for no rows, None for what returns none, such as an
    INSERT. Values are text as PostgreSQL writes them, NULL is None. *binary*: bytes as it sends
    them; *bytea*: bytes for columns of that type. Parameters are str, int, float, bool and None,
    for whatever type the server makes of them, and bytes in the binary form of their type. Without
    parameters there may be several statements. Raises `kore.errors.DatabaseError`.
    """
    return _context.require_worker().databases.query(db, query, params, binary, bytea)


def dbexecute(db: str, query: str, params: Params = None) -> Coroutine[Any, Any, int]:
    """Ask a database, and return how many rows were inserted, updated, deleted or selected."""
    return _context.require_worker().databases.get(db).execute(query, params)


def dbpipeline(
    db: str, queries: Iterable[object], *, binary: bool = False, bytea: bool = False
) -> Coroutine[Any, Any, "list[Rows | None]"]:
    """Ask several queries in one go; return a list of what `dbquery()` would for each.

    *queries* has texts, or pairs of text and parameters. One way to the server and back is all it
    takes. They take effect together or not at all: the first error is raised.
    """
    return _context.require_worker().databases.get(db).pipeline(queries, binary, bytea)


def dbstream(
    db: str, query: str, params: Params = None, *, binary: bool = False, bytea: bool = False
) -> "RowStream":
    """Return an async iterator over the rows of a query, however many: `async for row in ...`.

    They are read some at a time, from a cursor in a transaction of its own.
    """
    return _context.require_worker().databases.get(db).stream(query, params, binary, bytea)


def transaction(
    db: str, *, isolation: str | None = None, readonly: bool = False
) -> "Transaction":
    """Have queries take effect together: `async with kore.transaction("db") as tx:`.

    `tx` has query(), execute(), pipeline() and stream(), and transaction() for one within it, a
    savepoint. What leaves the block by an exception is rolled back. *isolation* is "read
    committed", "repeatable read" or "serializable".
    """
    return _context.require_worker().databases.get(db).transaction(isolation, readonly=readonly)


def listen(
    db: str, channel: str, callback: "NotifyCallback", *, again: Callable[[], object] | None = None
) -> "Subscription":
    """Call *callback*, a coroutine or not, with channel and payload of each NOTIFY.

    Each worker listens for itself, on a connection that is opened again when it is lost; *again* is
    called then, because what was notified meanwhile is. Awaiting what this returns waits until the
    server knows; its close() ends it.
    """
    if not callable(callback):
        _raise_for_address(db, channel, callback)
    return _context.require_worker().databases.get(db).listen(channel, callback, again)


def _raise_for_address(db: str, channel: object, callback: object) -> NoReturn:
    """Raise KoreError for `kore.listen(ip, port, ...)` of Kore 3, else TypeError."""
    if str(channel).isdecimal():
        raise KoreError(
            f"kore.listen({db!r}, {channel!r}, {callback!r}): addresses are no longer listened on "
            f"by this call, which is for PostgreSQL; write kore.bind({db!r}, {channel!r}), or "
            f"kore.server(ip={db!r}, port={channel!r}, tls=False)"
        )
    raise TypeError(f"listen: the callback must be callable, not {callback!r}")
