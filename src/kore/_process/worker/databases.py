"""The databases of a worker. Their library is loaded by the template, if there are any."""

from collections.abc import Callable, Coroutine
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from kore._conf import databases
from kore._conf.diagnostics import find_caller
from kore._conf.schema import Config
from kore._conf.schema import Database as Wanted
from kore._maybe_async import await_result, is_awaitable
from kore._process.log.handlers import log
from kore.errors import ConfigError, DatabaseError

if TYPE_CHECKING:
    from kore._conf.settings import Settings
    from kore._pgsql.database import Database
    from kore._pgsql.rows import Rows
    from kore._process.worker.tasks import RequestTasks

LIBRARY: Final = "kore._pgsql.database"
Failed = Callable[[str, BaseException], None]


def check(config: Config) -> None:
    """Have libpq read all connection strings. ConfigError: it does not understand one.

    The library is loaded here, once for all workers that will be forked.
    """
    for wanted in config.databases:
        check_one(wanted, config.settings)


def check_one(wanted: Wanted, settings: "Settings") -> None:
    """Have libpq read one of them."""
    label = f"{wanted.where}: database '{wanted.name}'"
    try:
        import_module(LIBRARY)
        target(wanted, settings)
    except ImportError as error:
        raise ConfigError(f"{label} needs psycopg, which cannot be loaded: {error}") from None
    except ConfigError as error:
        raise ConfigError(f"{label}: {error}") from None


def target(wanted: Wanted, settings: "Settings") -> Any:
    """Return where a database is."""
    return import_module("kore._pgsql.conninfo").parse_conninfo(
        wanted.connstring, settings.pgsql_connect_timeout, settings.pgsql_statement_timeout
    )


class Databases:
    """The databases of a worker by name. The first query makes what it needs."""

    def __init__(self, config: Config, tasks: "RequestTasks", failed: Failed) -> None:
        self.settings = config.settings
        self.wanted = {wanted.name: wanted for wanted in config.databases}
        self.tasks = tasks
        self.failed = failed
        self.made: dict[str, Database] = {}

    def database(self, name: str, connstring: str) -> None:
        """Give one more database a name. The same again is nothing new."""
        wanted = databases.build_database(name, connstring, find_caller())
        # Here nobody looks at it later.
        check_one(wanted, self.settings)
        databases.add_database(self.wanted, wanted)

    def query(
        self, db: str, query: str, params: Any, binary: object, bytea: object
    ) -> Coroutine[Any, Any, "Rows | None"]:
        """Return what a query is awaited by."""
        return self.of(db).query(query, params, binary, bytea)

    def of(self, name: str) -> "Database":
        """Return a database. DatabaseError: none has that name."""
        return self.made.get(name) or self.make(name)

    def make(self, name: str) -> "Database":
        """Make a database of what was configured."""
        if name not in self.wanted:
            known = ", ".join(self.wanted) or "none: call kore.dbsetup()"
            raise DatabaseError(f"pgsql error: no database found named {name!r}, there is {known}")
        settings, library = self.settings, import_module(LIBRARY)
        limits = library.PoolLimits(
            connection_limit=settings.pgsql_conn_max,
            waiter_limit=settings.pgsql_queue_limit,
            idle_timeout=settings.pgsql_idle_timeout,
            cancel_timeout=settings.pgsql_cancel_timeout,
            prepared_limit=settings.pgsql_prepared_max,
            wait_timeout=settings.pgsql_queue_timeout,
        )
        around = library.Callbacks(
            self.call,
            lambda text: log.warning("database '%s': %s", name, text),
            self.tasks.describe,
        )
        self.made[name] = library.Database(target(self.wanted[name], settings), limits, around)
        return self.made[name]

    def call(self, callback: Callable[..., object], *arguments: object) -> None:
        """Call what an application gave for notifications; whatever it does ends here."""
        try:
            result = callback(*arguments)
            if is_awaitable(result):
                self.tasks.create(await_result(result))
        except BaseException as error:  # noqa: BLE001 - whatever an application raises
            self.failed("the callback of listen()", error)

    async def close(self, seconds: float) -> None:
        """Hang up, after what was going on has been cancelled."""
        for database in self.made.values():
            await database.close(seconds)
