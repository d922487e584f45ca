"""psycopg 3 with its pool, compiled, statements prepared, pipelines where they help."""

import asyncio
import os

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
from psycopg_pool import AsyncConnectionPool

ONE = WORLD.format("%s")
ALL = UPDATE.format("%s", "%s")


class Driver:
    pool = None

    async def open(self):
        pool = AsyncConnectionPool(
            f"host={os.environ['PGSOCKETS']} user=postgres dbname=postgres",
            min_size=CONNECTIONS, max_size=CONNECTIONS, open=False,
            kwargs={"autocommit": True, "prepare_threshold": 1},
        )  # fmt: skip
        await pool.open(wait=True)
        self.pool = pool

    async def single(self):
        async with self.pool.connection() as connection:
            cursor = await connection.execute(ONE, (number(),))
            row = await cursor.fetchone()
        return encoded(world(row))

    async def sequence(self, given):
        found = []
        async with self.pool.connection() as connection, connection.cursor() as cursor:
            for each in numbers(given):
                await cursor.execute(ONE, (each,))
                found.append(world(await cursor.fetchone()))
        return encoded(found)

    async def many(self, connection, wanted):
        async with connection.pipeline():
            cursors = [await connection.execute(ONE, (each,)) for each in wanted]
            return [world(await cursor.fetchone()) for cursor in cursors]

    async def queries(self, given):
        async with self.pool.connection() as connection:
            return encoded(await self.many(connection, numbers(given)))

    async def fortunes(self):
        async with self.pool.connection() as connection:
            cursor = await connection.execute(FORTUNES)
            rows = await cursor.fetchall()
        return page(rows)

    async def updates(self, given):
        wanted = sorted(numbers(given))
        async with self.pool.connection() as connection:
            worlds = await self.many(connection, wanted)
            for each in worlds:
                each["randomNumber"] = number()
            await connection.execute(ALL, (wanted, [each["randomNumber"] for each in worlds]))
        return encoded(worlds)


driver = Driver()
opened = asyncio.Lock()


async def ready():
    """Open the pool, once, on the loop that serves."""
    async with opened:
        if driver.pool is None:
            await driver.open()
    return driver
