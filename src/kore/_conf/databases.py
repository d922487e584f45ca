"""Databases of a configuration: names and connection strings.

The strings are for libpq, which is not loaded here: the template has it parse them.
"""

from kore._conf.arguments import check_printable, check_type
from kore._conf.schema import DatabaseConfig
from kore.errors import ConfigError


def build_database(name: object, connstring: object, where: str) -> DatabaseConfig:
    """Return the database of a call or a directive."""
    given = check_type(connstring, str, "connstring")
    if "\0" in given:
        raise ValueError("connstring: embedded null character")
    return DatabaseConfig(check_printable(name, "name"), given, where)


def add_database(known: dict[str, DatabaseConfig], wanted: DatabaseConfig) -> None:
    """Add a database. Raises ConfigError if another one has its name."""
    earlier = known.setdefault(wanted.name, wanted)
    if earlier != wanted:
        raise ConfigError(
            f"database '{wanted.name}' is another one already, at {earlier.where}: "
            "give each a name of its own"
        )
