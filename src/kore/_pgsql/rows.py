"""Conversion of results to rows: a list of dicts, with values as text or bytes."""

from typing import Any, Final, TypeAlias

from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult

from kore.errors import DatabaseError

COMMAND_OK: Final = int(ExecStatus.COMMAND_OK)
TUPLES_OK: Final = int(ExecStatus.TUPLES_OK)
SINGLE_TUPLE: Final = int(ExecStatus.SINGLE_TUPLE)
TUPLES_CHUNK: Final = int(ExecStatus.TUPLES_CHUNK)
SUCCESS_STATUSES: Final = frozenset({COMMAND_OK, TUPLES_OK, SINGLE_TUPLE, TUPLES_CHUNK})

BYTEA_OID: Final = 17  # in pg_type

Row: TypeAlias = dict[str, Any]
Results: TypeAlias = list[PGresult]


class Rows(list[Row]):
    """The rows of a result, each a dict by column; *rowcount* is their number."""

    __slots__ = ()

    @property
    def rowcount(self) -> int:
        """The number of rows. For a statement that returns none, see `dbexecute()`."""
        return len(self)


def decode_column_names(result: PGresult) -> tuple[str, ...]:
    r"""Return the names of the columns; of two with the same name the last one counts.

    A name that is not UTF-8, from a database without an encoding or after a change of
    `client_encoding`, has its other bytes as `\xe9`.
    """
    names = (result.fname(index) or b"" for index in range(result.nfields))
    return tuple(name.decode("utf-8", "backslashreplace") for name in names)


def estimate_row_size(result: PGresult) -> int:
    """Return the bytes of the longest of five rows: the first, the last and three between."""
    count, columns = result.ntuples, range(result.nfields)
    sample = {0, count // 4, count // 2, count * 3 // 4, count - 1}
    get = result.get_value
    return max(sum(len(get(row, column) or b"") for column in columns) for row in sample)


def convert_text_rows(result: PGresult, names: tuple[str, ...], first: int, last: int) -> Rows:
    """Return rows *first* to before *last* with values as text; NULL is None.

    Raises DatabaseError if a value is not UTF-8.
    """
    get = result.get_value
    rows = Rows()
    # Loops: nested comprehensions take twice as long for a short row.
    try:
        for index in range(first, last):
            row: Row = {}
            column = 0
            for name in names:
                value = get(index, column)
                row[name] = None if value is None else value.decode()
                column += 1  # noqa: SIM113 - enumerate() takes longer
            rows.append(row)
    except UnicodeDecodeError as error:
        raise DatabaseError(
            f"pgsql error: a value is not UTF-8 ({error.reason}): ask for it with binary=True"
        ) from None
    return rows


def convert_binary_rows(result: PGresult, names: tuple[str, ...], first: int, last: int) -> Rows:
    """Return rows *first* to before *last* with values as the bytes that the server sent."""
    get = result.get_value
    numbered = tuple(enumerate(names))
    return Rows({name: get(row, column) for column, name in numbered} for row in range(first, last))


def decode_bytea_columns(result: PGresult, names: tuple[str, ...], rows: list[Row]) -> None:
    """Decode the values of bytea columns to bytes, in rows of text."""
    # The dict keeps the last column of each name, as the rows do.
    for name, column in {name: column for column, name in enumerate(names)}.items():
        if result.ftype(column) == BYTEA_OID:
            for row in rows:
                if row[name] is not None:
                    row[name] = _unescape_bytea(row[name])


def _unescape_bytea(value: str) -> bytes:
    r"""Return the bytes of a bytea in text form: `\x` and hexadecimal, or the escape format."""
    if value.startswith("\\x"):
        return bytes.fromhex(value[2:])
    # `bytea_output = escape`: backslashes are doubled, other bytes are octal.
    return value.encode("latin-1").decode("unicode_escape").encode("latin-1")


def count_affected(result: PGresult) -> int:
    """Return how many rows a statement affected; 0 if the server does not say."""
    return result.command_tuples or 0


def get_command_tag(result: PGresult) -> str:
    """Return the server's name of the command that ran, such as `INSERT` or `CREATE TABLE`."""
    status = (result.command_status or b"").decode()
    return status.rstrip("0123456789 ")
