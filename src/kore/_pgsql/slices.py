"""Large results become rows in slices: other requests have their turn in between."""

import asyncio
from time import monotonic
from typing import Final

from psycopg.pq.abc import PGresult

from kore._pgsql.rows import Rows, rows, rows_in_bytes, with_bytes

# Values of a result that is made into rows in one go, and of the first slice of a larger one.
VALUES: Final = 4000
SLICE: Final = 64
# Seconds after which others have their turn; slices grow and shrink with the time they take.
TURN: Final = 0.002


class SliceBudget:
    """Lets others have their turn when it is time."""

    def __init__(self) -> None:
        self.begun = monotonic()

    async def pause(self) -> bool:
        """Let others run if this has taken long enough; return whether it has."""
        if monotonic() - self.begun < TURN:
            return False
        await asyncio.sleep(0)
        self.begun = monotonic()
        return True


async def converted(
    result: PGresult, names: tuple[str, ...], *, binary: bool, bytea: bool
) -> Rows:
    """Return all rows of a result."""
    count, columns = result.ntuples, max(1, len(names))
    if count * columns <= VALUES:
        return made(result, names, (0, count), binary=binary, bytea=bytea)
    found = Rows()
    turns, step, start = SliceBudget(), max(1, SLICE // columns), 0
    while start < count:
        end = min(count, start + step)
        found += made(result, names, (start, end), binary=binary, bytea=bytea)
        step = max(1, step // 2) if await turns.pause() else step * 2
        start = end
    return found


def made(
    result: PGresult, names: tuple[str, ...], span: tuple[int, int], *, binary: bool, bytea: bool
) -> Rows:
    """Return rows, from the first one to before the last one."""
    if binary:
        return rows_in_bytes(result, names, *span)
    found = rows(result, names, *span)
    if bytea:
        with_bytes(result, names, found)
    return found
