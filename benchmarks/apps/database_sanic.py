"""The database workload on sanic, over uvloop."""

import os

from database_common import HTML, JSON
from database_driver import driver, ready
from sanic import Sanic
from sanic.response import raw

app = Sanic("bench")


@app.before_server_start
async def start(*_):
    await ready()


@app.get("/")
def hello(request):
    return raw(b"hello world", content_type=HTML)


@app.get("/db")
async def single(request):
    return raw(await driver.single(), content_type=JSON)


@app.get("/sequence")
async def sequence(request):
    return raw(await driver.sequence(request.args.get("queries", "")), content_type=JSON)


@app.get("/queries")
async def queries(request):
    return raw(await driver.queries(request.args.get("queries", "")), content_type=JSON)


@app.get("/fortunes")
async def fortunes(request):
    return raw(await driver.fortunes(), content_type=HTML)


@app.get("/updates")
async def updates(request):
    return raw(await driver.updates(request.args.get("queries", "")), content_type=JSON)


if __name__ == "__main__":
    app.run(
        host="127.0.0.1", port=int(os.environ["PORT"]),
        single_process=True, access_log=False, motd=False,
    )  # fmt: skip
