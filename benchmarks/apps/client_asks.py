"""One run of one client: `client_asks.py CLIENT URL COUNT BUNDLE` prints its CPU and its time."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import uvloop

TASKS = 64
Get = Callable[[str], Awaitable[bytes]]


@asynccontextmanager
async def kore(bundle: str) -> AsyncIterator[Get]:
    import kore

    clients = {}

    async def get(url: str) -> bytes:
        if url not in clients:
            clients[url] = kore.httpclient(url, cabundle=bundle)
        status, body = await clients[url].get()
        assert status == 200
        return body

    yield get


@asynccontextmanager
async def aiohttp(bundle: str) -> AsyncIterator[Get]:
    import ssl

    import aiohttp

    context = ssl.create_default_context(cafile=bundle)
    connector = aiohttp.TCPConnector(limit=TASKS, ssl=context)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def get(url: str) -> bytes:
            async with session.get(url) as answer:
                assert answer.status == 200
                return await answer.read()

        yield get


@asynccontextmanager
async def httpx(bundle: str) -> AsyncIterator[Get]:
    import ssl

    import httpx

    context = ssl.create_default_context(cafile=bundle)
    limits = httpx.Limits(max_connections=TASKS, max_keepalive_connections=TASKS)
    async with httpx.AsyncClient(verify=context, limits=limits) as client:

        async def get(url: str) -> bytes:
            answer = await client.get(url)
            assert answer.status_code == 200
            return answer.content

        yield get


@asynccontextmanager
async def niquests(bundle: str) -> AsyncIterator[Get]:
    import niquests

    async with niquests.AsyncSession(
        pool_connections=TASKS, pool_maxsize=TASKS, disable_http2=True, disable_http3=True
    ) as session:

        async def get(url: str) -> bytes:
            answer = await session.get(url, verify=bundle)
            assert answer.status_code == 200
            return answer.content or b""

        yield get


CLIENTS = {"kore": kore, "aiohttp": aiohttp, "httpx": httpx, "niquests": niquests}


async def ask(get: Get, url: str, count: int) -> None:
    """Ask so often, from all tasks."""
    size = len(await get(url))

    async def work(times: int) -> None:
        for _ in range(times):
            assert len(await get(url)) == size

    await asyncio.gather(*[work(count // TASKS) for _ in range(TASKS)])


async def main(client: str, url: str, count: int, bundle: str) -> None:
    async with CLIENTS[client](bundle) as get:
        await ask(get, url, max(TASKS * 4, count // 5))
        cpu, wall = time.process_time(), time.perf_counter()
        await ask(get, url, count)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    done = count // TASKS * TASKS
    print(json.dumps({"cpu": cpu / done * 1e6, "wall": wall / done * 1e6}))


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]))
