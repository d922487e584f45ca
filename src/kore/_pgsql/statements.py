"""Which queries a connection has prepared: those that came twice, the least used ones first out.

Pure. A query that is put together anew each time comes once, and is never prepared.
"""

import secrets


class PreparedStatement:
    """A query that the server knows by a *name*."""

    __slots__ = ("columns", "name", "text", "used")

    def __init__(self, name: bytes, text: bytes | None = None) -> None:
        self.name = name
        # What the server has yet to be sent, if anything.
        self.text = text
        # What its results are called, once there was one.
        self.columns: tuple[str, ...] | None = None
        self.used = True


class StatementCache:
    """The queries of one connection, at most *limit* of each kind; 0: none is ever prepared."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.prepared: dict[str, PreparedStatement] = {}
        self.once: dict[str, None] = {}
        self.count = 0
        # Behind a pooler several connections may be led to one session of the server. There a name
        # that another one has given must not be taken for ours.
        self.token = secrets.token_hex(8).encode()

    def came_before(self, query: str) -> bool:
        """Take note of a query that could be prepared; say whether it is worth it."""
        if not self.limit:
            return False
        if query in self.once:
            return True
        if len(self.once) >= self.limit:
            del self.once[next(iter(self.once))]
        self.once[query] = None
        return False

    def name(self) -> bytes:
        """Return a name that no statement of this connection has had."""
        self.count += 1
        return b"kore_%s_%d" % (self.token, self.count)

    def keep(self, query: str, name: bytes, text: bytes | None = None) -> PreparedStatement:
        """Keep a query that has been prepared, or is about to be, by its *text*."""
        self.once.pop(query, None)
        made = self.prepared[query] = PreparedStatement(name, text)
        return made

    def drop(self, statement: PreparedStatement) -> None:
        """Keep a query no more: the server may not know it."""
        for query in [query for query, it in self.prepared.items() if it is statement]:
            del self.prepared[query]

    def surplus(self, room: int = 1) -> bytes | None:
        """Return the name of a statement that has to go before *room* others are prepared.

        One that was used since it was last looked at has another chance.
        """
        while len(self.prepared) > self.limit - room:
            query, oldest = next(iter(self.prepared.items()))
            del self.prepared[query]
            if not oldest.used:
                return oldest.name
            oldest.used = False
            self.prepared[query] = oldest
        return None

    def forget(self) -> None:
        """Forget all: the server did."""
        self.prepared.clear()
