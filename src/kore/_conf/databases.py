"""Databases as a configuration has them. What libpq makes of a string is asked where it is used."""

from typing import TYPE_CHECKING

from kore._conf import check
from kore._conf.file.syntax import Block
from kore._conf.schema import Database
from kore.errors import ConfigError

if TYPE_CHECKING:
    from kore._conf.file.directives import Scope


def database(name: object, connstring: object, where: str) -> Database:
    """Return a database that was asked for."""
    given = check.typed(connstring, str, "connstring")
    if "\0" in given:
        raise ValueError("connstring: embedded null character")
    return Database(check.printable(name, "name"), given, where)


def add(known: dict[str, Database], wanted: Database) -> None:
    """Add a database; one that is known already must be the same."""
    earlier = known.setdefault(wanted.name, wanted)
    if earlier != wanted:
        raise ConfigError(
            f"database '{wanted.name}' is another one already, at {earlier.where}: "
            "give each a name of its own"
        )


def read(top: "Scope", block: Block) -> None:
    """Read `database NAME CONNSTRING`."""
    top.reading.builder.database(*block.arguments)
