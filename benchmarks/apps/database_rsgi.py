"""The database workload as a bare RSGI application: granian."""

from urllib.parse import parse_qs

from database_common import HTML, JSON
from database_driver import driver, ready


async def hello(_):
    return b"hello world"


async def single(_):
    return await driver.single()


async def sequence(given):
    return await driver.sequence(given)


async def queries(given):
    return await driver.queries(given)


async def fortunes(_):
    return await driver.fortunes()


async def updates(given):
    return await driver.updates(given)


AS_JSON, AS_HTML = [("content-type", JSON)], [("content-type", HTML)]
ROUTES = {
    "/": (hello, AS_HTML), "/db": (single, AS_JSON), "/sequence": (sequence, AS_JSON),
    "/queries": (queries, AS_JSON), "/fortunes": (fortunes, AS_HTML),
    "/updates": (updates, AS_JSON),
}  # fmt: skip


async def app(scope, protocol):
    if driver.pool is None:
        await ready()
    handler, head = ROUTES[scope.path]
    given = parse_qs(scope.query_string).get("queries", [""])[0] if scope.query_string else ""
    protocol.response_bytes(200, head, await handler(given))
