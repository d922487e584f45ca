"""The database workload on blacksheep; granian serves it."""

from blacksheep import Application, Content, Request, Response, get
from database_common import HTML, JSON
from database_driver import driver, ready

app = Application()


@app.on_start
async def start(_):
    await ready()


def made(kind: str, body: bytes) -> Response:
    return Response(200, content=Content(kind.encode(), body))


@get("/")
async def hello() -> Response:
    return made(HTML, b"hello world")


@get("/db")
async def single() -> Response:
    return made(JSON, await driver.single())


@get("/sequence")
async def sequence(request: Request) -> Response:
    return made(JSON, await driver.sequence(request.query.get("queries", [""])[0]))


@get("/queries")
async def queries(request: Request) -> Response:
    return made(JSON, await driver.queries(request.query.get("queries", [""])[0]))


@get("/fortunes")
async def fortunes() -> Response:
    return made(HTML, await driver.fortunes())


@get("/updates")
async def updates(request: Request) -> Response:
    return made(JSON, await driver.updates(request.query.get("queries", [""])[0]))
