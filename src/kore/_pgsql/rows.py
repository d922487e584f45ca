"""Results as an application gets them: a list of dicts, or nothing."""

from typing import Any, Final, TypeAlias

from psycopg.pq import DiagnosticField, ExecStatus
from psycopg.pq.abc import PGresult

from kore.errors import DatabaseError

EMPTY_QUERY: Final = int(ExecStatus.EMPTY_QUERY)
COMMAND_OK: Final = int(ExecStatus.COMMAND_OK)
TUPLES_OK: Final = int(ExecStatus.TUPLES_OK)
SINGLE_TUPLE: Final = int(ExecStatus.SINGLE_TUPLE)
TUPLES_CHUNK: Final = int(ExecStatus.TUPLES_CHUNK)
PIPELINE_SYNC: Final = int(ExecStatus.PIPELINE_SYNC)
PIPELINE_ABORTED: Final = int(ExecStatus.PIPELINE_ABORTED)
COPIES: Final = frozenset(
    {int(ExecStatus.COPY_IN), int(ExecStatus.COPY_OUT), int(ExecStatus.COPY_BOTH)}
)
GOOD: Final = frozenset({COMMAND_OK, TUPLES_OK, SINGLE_TUPLE, TUPLES_CHUNK})

# Where the server finds that the columns of a prepared query have changed.
REVALIDATION: Final = b"RevalidateCachedQuery"
BYTEA: Final = 17  # its number in pg_type
FIELDS: Final = {
    "severity": DiagnosticField.SEVERITY_NONLOCALIZED,
    "primary": DiagnosticField.MESSAGE_PRIMARY,
    "detail": DiagnosticField.MESSAGE_DETAIL,
    "hint": DiagnosticField.MESSAGE_HINT,
    "position": DiagnosticField.STATEMENT_POSITION,
    "schema": DiagnosticField.SCHEMA_NAME,
    "table": DiagnosticField.TABLE_NAME,
    "column": DiagnosticField.COLUMN_NAME,
    "datatype": DiagnosticField.DATATYPE_NAME,
    "constraint": DiagnosticField.CONSTRAINT_NAME,
}

Row: TypeAlias = dict[str, Any]
Results: TypeAlias = list[PGresult]


class Rows(list[Row]):
    """The rows of a result, each a dict by column; *rowcount* is their number."""

    __slots__ = ()

    @property
    def rowcount(self) -> int:
        """How many there are; `dbexecute()` says it of what returns no rows."""
        return len(self)


def columns(result: PGresult) -> tuple[str, ...]:
    r"""Return the names of the columns; of two of one name the last one counts.

    Those that are no UTF-8, from a database without an encoding or after a change of
    `client_encoding`, have their other bytes as `\xe9`.
    """
    names = (result.fname(index) or b"" for index in range(result.nfields))
    return tuple(name.decode("utf-8", "backslashreplace") for name in names)


def width(result: PGresult) -> int:
    """Return the bytes of the longest of some rows: the first, the last, and those in between."""
    count, columns = result.ntuples, range(result.nfields)
    some = {0, count // 4, count // 2, count * 3 // 4, count - 1}
    get = result.get_value
    return max(sum(len(get(row, column) or b"") for column in columns) for row in some)


def rows(result: PGresult, names: tuple[str, ...], first: int, last: int) -> Rows:
    """Return rows as text, the first one to before the last one; NULL is None."""
    get = result.get_value
    made = Rows()
    # Loops: comprehensions within one another take twice as long for a short row.
    try:
        for row in range(first, last):
            found: Row = {}
            column = 0
            for name in names:
                value = get(row, column)
                found[name] = None if value is None else value.decode()
                column += 1  # noqa: SIM113 - enumerate() takes longer
            made.append(found)
    except UnicodeDecodeError as error:
        raise DatabaseError(
            f"pgsql error: a value is no UTF-8 ({error.reason}): ask for it with binary=True"
        ) from None
    return made


def rows_in_bytes(result: PGresult, names: tuple[str, ...], first: int, last: int) -> Rows:
    """Return rows with each value as the server sent it."""
    get = result.get_value
    numbered = tuple(enumerate(names))
    return Rows(
        {name: get(row, column) for column, name in numbered} for row in range(first, last)
    )


def with_bytes(result: PGresult, names: tuple[str, ...], found: list[Row]) -> list[Row]:
    """Make bytes of what is of type bytea, in rows as text."""
    # Of two of one name a row has the last one.
    for name, column in {name: column for column, name in enumerate(names)}.items():
        if result.ftype(column) == BYTEA:
            for row in found:
                if row[name] is not None:
                    row[name] = unescaped(row[name])
    return found


def unescaped(value: str) -> bytes:
    r"""Return the bytes of a bytea as text: `\x` and hexadecimal, or the older escapes."""
    if value.startswith("\\x"):
        return bytes.fromhex(value[2:])
    # `bytea_output = escape`: backslashes are doubled, what is not printable is octal.
    return value.encode("latin-1").decode("unicode_escape").encode("latin-1")


def affected(result: PGresult) -> int:
    """Return how many rows a statement is said to have touched; 0 where it says nothing."""
    return result.command_tuples or 0


def tag(result: PGresult) -> str:
    """Return what the server calls the command: `INSERT`, `CREATE TABLE`."""
    said = (result.command_status or b"").decode()
    return said.rstrip("0123456789 ")


def has_not_run(result: PGresult, token: bytes) -> bool:
    """Return whether a prepared query failed because of its name, or a change of its tables.

    The same errors may be raised by what runs: that has a context, and other words.
    """
    if result.error_field(DiagnosticField.CONTEXT):
        return False
    source = result.error_field(DiagnosticField.SOURCE_FUNCTION)
    primary = result.error_field(DiagnosticField.MESSAGE_PRIMARY) or b""
    return source == REVALIDATION or token in primary


def failure(result: PGresult) -> DatabaseError:
    """Return what the server has against a query."""
    if result.status == EMPTY_QUERY:
        return DatabaseError("failed to perform query: it is empty")
    said = {name: result.error_field(code) for name, code in FIELDS.items()}
    fields = {name: value.decode("utf-8", "replace") for name, value in said.items() if value}
    state = result.error_field(DiagnosticField.SQLSTATE)
    text = (result.error_message or b"").decode("utf-8", "replace").strip()
    reason = f"failed to perform query: {text or 'the connection is gone'}"
    return DatabaseError(reason, state.decode() if state else None, fields)
