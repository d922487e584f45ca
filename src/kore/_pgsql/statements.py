"""Cache of a connection's prepared statements: a query is prepared when it is used again. Pure.

A query whose text differs each time is used once and never prepared. The cache evicts by the
CLOCK algorithm: the oldest statement that was not used since it was last looked at.
"""

import secrets


class PreparedStatement:
    """A query that the server knows by *name*."""

    __slots__ = ("column_names", "name", "text", "used")

    def __init__(self, name: bytes, text: bytes | None = None) -> None:
        self.name = name
        # To be sent to the server before the first use; None: it has been.
        self.text = text
        # Known after the first result.
        self.column_names: tuple[str, ...] | None = None
        # Since the eviction last looked at it.
        self.used = True


class StatementCache:
    """The prepared statements of one connection, at most *limit*, and as many candidates.

    With a *limit* of 0 no query is prepared.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.prepared: dict[str, PreparedStatement] = {}
        self.seen_once: dict[str, None] = {}
        self.name_count = 0
        # Behind a pooler several connections may share a session of the server. The token tells
        # our names from those of other connections.
        self.token = secrets.token_hex(8).encode()

    def note_use(self, query: str) -> bool:
        """Record the use of a query that could be prepared; return whether it was used before."""
        if not self.limit:
            return False
        if query in self.seen_once:
            return True
        if len(self.seen_once) >= self.limit:
            del self.seen_once[next(iter(self.seen_once))]
        self.seen_once[query] = None
        return False

    def make_name(self) -> bytes:
        """Return a name that no statement of this connection has had."""
        self.name_count += 1
        return b"kore_%s_%d" % (self.token, self.name_count)

    def add(self, query: str, name: bytes, text: bytes | None = None) -> PreparedStatement:
        """Add a query that is prepared; with *text*, one that is sent before its first use."""
        self.seen_once.pop(query, None)
        statement = self.prepared[query] = PreparedStatement(name, text)
        return statement

    def remove(self, statement: PreparedStatement) -> None:
        """Remove a statement that the server may not know."""
        for query in [query for query, it in self.prepared.items() if it is statement]:
            del self.prepared[query]

    def evict(self, room: int = 1) -> bytes | None:
        """Evict a statement if there is no room for *room* others; return its name.

        A statement that was used since the last look is kept once more.
        """
        while len(self.prepared) > self.limit - room:
            query, oldest = next(iter(self.prepared.items()))
            del self.prepared[query]
            if not oldest.used:
                return oldest.name
            oldest.used = False
            self.prepared[query] = oldest
        return None

    def clear(self) -> None:
        """Remove all statements: the server has dropped them."""
        self.prepared.clear()
