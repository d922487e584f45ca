"""asyncpg: its pool, without the query that resets a connection after each use."""

import asyncio
import os

import asyncpg
from database_common import (
    CONNECTIONS,
    FORTUNES,
    UPDATE,
    WORLD,
    encoded,
    number,
    numbers,
    page,
    world,
)

ONE = WORLD.format("$1")
ALL = UPDATE.format("$1", "$2")


class Plain(asyncpg.Connection):
    """A connection as it was left: these queries leave nothing behind."""

    def get_reset_query(self):
        return ""


class Driver:
    pool = None

    async def open(self):
        self.pool = await asyncpg.create_pool(
            host=os.environ["PGSOCKETS"], user="postgres", database="postgres",
            min_size=CONNECTIONS, max_size=CONNECTIONS, connection_class=Plain,
        )  # fmt: skip

    async def single(self):
        async with self.pool.acquire() as connection:
            row = await connection.fetchrow(ONE, number())
        return encoded(world(row))

    async def sequence(self, given):
        async with self.pool.acquire() as connection:
            statement = await connection.prepare(ONE)
            found = [world(await statement.fetchrow(each)) for each in numbers(given)]
        return encoded(found)

    async def queries(self, given):
        async with self.pool.acquire() as connection:
            rows = await connection.fetchmany(ONE, [(each,) for each in numbers(given)])
        return encoded([world(row) for row in rows])

    async def fortunes(self):
        async with self.pool.acquire() as connection:
            rows = await connection.fetch(FORTUNES)
        return page(rows)

    async def updates(self, given):
        wanted = sorted(numbers(given))
        async with self.pool.acquire() as connection:
            rows = await connection.fetchmany(ONE, [(each,) for each in wanted])
            worlds = [world(row) | {"randomNumber": number()} for row in rows]
            await connection.execute(ALL, wanted, [each["randomNumber"] for each in worlds])
        return encoded(worlds)


driver = Driver()
opened = asyncio.Lock()


async def ready():
    """Open the pool, once, on the loop that serves."""
    async with opened:
        if driver.pool is None:
            await driver.open()
    return driver
