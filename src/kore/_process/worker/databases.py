"""The databases of a worker. psycopg is imported by the template, if there are any."""

from collections.abc import Callable, Coroutine
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from kore._conf import databases
from kore._conf.diagnostics import find_caller
from kore._conf.schema import Config, DatabaseConfig
from kore._maybe_async import start_maybe_async
from kore._process.log.handlers import log
from kore.errors import ConfigError, DatabaseError

if TYPE_CHECKING:
    from kore._conf.settings import Settings
    from kore._pgsql.database import Database
    from kore._pgsql.rows import Rows
    from kore._process.worker.tasks import RequestTasks

LIBRARY: Final = "kore._pgsql.database"
ErrorReport = Callable[[str, BaseException], None]


def check_databases(config: Config) -> None:
    """Check all connection strings, and import the library once for all workers to be forked.

    Raises ConfigError if psycopg cannot be imported, or if libpq rejects a connection string.
    """
    for database in config.databases:
        _check_database(database, config.settings)


def _check_database(database: DatabaseConfig, settings: "Settings") -> None:
    label = f"{database.where}: database '{database.name}'"
    try:
        import_module(LIBRARY)
        _parse_target(database, settings)
    except ImportError as error:
        raise ConfigError(f"{label} needs psycopg, which cannot be loaded: {error}") from None
    except ConfigError as error:
        raise ConfigError(f"{label}: {error}") from None


def _parse_target(database: DatabaseConfig, settings: "Settings") -> Any:
    """Return the connection target of a database."""
    return import_module("kore._pgsql.conninfo").parse_conninfo(
        database.connstring, settings.pgsql_connect_timeout, settings.pgsql_statement_timeout
    )


class Databases:
    """The databases of a worker by name. Each gets its pool when it is first used."""

    def __init__(self, config: Config, tasks: "RequestTasks", report: ErrorReport) -> None:
        self.settings = config.settings
        self.configured = {database.name: database for database in config.databases}
        self.tasks = tasks
        self.report = report
        self.opened: dict[str, Database] = {}

    def register(self, name: str, connstring: str) -> None:
        """Add a database of this worker. The same name and string again change nothing.

        Raises ConfigError if the string is invalid or the name has another one.
        """
        database = databases.build_database(name, connstring, find_caller())
        # Now, since there is no later check as for those of the configuration.
        _check_database(database, self.settings)
        databases.add_database(self.configured, database)

    def query(
        self, db: str, query: str, params: Any, binary: object, bytea: object
    ) -> Coroutine[Any, Any, "Rows | None"]:
        """Return a coroutine that runs a query."""
        return self.get(db).query(query, params, binary, bytea)

    def get(self, name: str) -> "Database":
        """Return a database. Raises DatabaseError if none has that name."""
        return self.opened.get(name) or self._open(name)

    def _open(self, name: str) -> "Database":
        if name not in self.configured:
            known = ", ".join(self.configured) or "none: call kore.dbsetup()"
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
        callbacks = library.Callbacks(
            self.call_application,
            lambda text: log.warning("database '%s': %s", name, text),
            self.tasks.describe,
        )
        target = _parse_target(self.configured[name], settings)
        self.opened[name] = library.Database(target, limits, callbacks)
        return self.opened[name]

    def call_application(self, callback: Callable[..., object], *arguments: object) -> None:
        """Call a callback for notifications, and report what it raises."""
        try:
            start_maybe_async(partial(callback, *arguments), self.tasks.create)
        except BaseException as error:  # noqa: BLE001 - whatever an application raises
            self.report("the callback of listen()", error)

    async def close(self, seconds: float) -> None:
        """Cancel running queries and close all connections, each database in so many *seconds*."""
        for database in self.opened.values():
            await database.close(seconds)
