"""Conversion of large results in slices, so that the worker serves other requests in between."""

import asyncio
from time import monotonic
from typing import Final

from psycopg.pq.abc import PGresult

from kore._pgsql.rows import (
    Rows,
    convert_binary_rows,
    convert_text_rows,
    decode_bytea_columns,
)

# A result of at most so many values is converted at once.
UNSLICED_VALUES_MAX: Final = 4000
# Values in the first slice; later ones grow and shrink with the time they take.
SLICE_VALUES: Final = 64
# Seconds of conversion after which the event loop runs.
SLICE_SECONDS: Final = 0.002


class SliceBudget:
    """The time that a long computation may take before it yields to the event loop."""

    def __init__(self) -> None:
        self.start_time = monotonic()

    async def yield_if_spent(self) -> bool:
        """Yield to the event loop if the time is spent; return whether it was."""
        if monotonic() - self.start_time < SLICE_SECONDS:
            return False
        await asyncio.sleep(0)
        self.start_time = monotonic()
        return True


async def convert_rows(
    result: PGresult, names: tuple[str, ...], *, binary: bool, bytea: bool
) -> Rows:
    """Return all rows of a result."""
    count, columns = result.ntuples, max(1, len(names))
    if count * columns <= UNSLICED_VALUES_MAX:
        return _convert_span(result, names, (0, count), binary=binary, bytea=bytea)
    rows = Rows()
    budget, step, start = SliceBudget(), max(1, SLICE_VALUES // columns), 0
    while start < count:
        end = min(count, start + step)
        rows += _convert_span(result, names, (start, end), binary=binary, bytea=bytea)
        step = max(1, step // 2) if await budget.yield_if_spent() else step * 2
        start = end
    return rows


def _convert_span(
    result: PGresult, names: tuple[str, ...], span: tuple[int, int], *, binary: bool, bytea: bool
) -> Rows:
    """Return the rows from the first index of *span* to before the last one."""
    if binary:
        return convert_binary_rows(result, names, *span)
    rows = convert_text_rows(result, names, *span)
    if bytea:
        decode_bytea_columns(result, names, rows)
    return rows
