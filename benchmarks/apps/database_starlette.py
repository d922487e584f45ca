"""The database workload on starlette, served by uvicorn."""

from contextlib import asynccontextmanager

from database_common import HTML, JSON
from database_driver import driver, ready
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route


@asynccontextmanager
async def lifespan(_):
    await ready()
    yield


async def hello(request):
    return Response(b"hello world")


async def single(request):
    return Response(await driver.single(), media_type=JSON)


async def sequence(request):
    given = request.query_params.get("queries", "")
    return Response(await driver.sequence(given), media_type=JSON)


async def queries(request):
    given = request.query_params.get("queries", "")
    return Response(await driver.queries(given), media_type=JSON)


async def fortunes(request):
    return Response(await driver.fortunes(), media_type=HTML)


async def updates(request):
    given = request.query_params.get("queries", "")
    return Response(await driver.updates(given), media_type=JSON)


app = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/", hello), Route("/db", single), Route("/sequence", sequence),
        Route("/queries", queries), Route("/fortunes", fortunes), Route("/updates", updates),
    ],
)  # fmt: skip
