"""Bodies that are made while they are sent: `kore examples/streaming/app.py`."""

import asyncio
import os

import kore

kore.server(ip="127.0.0.1", port=os.environ.get("PORT", "8888"), tls=False)
kore.domain("*")


def squares(count):
    for number in range(count):
        yield f"{number} {number * number}\n"


async def ticks():
    try:
        for left in (3, 2, 1):
            yield f"{left}\n"
            await asyncio.sleep(0.2)
        yield "go\n"
    finally:
        # Whether it is over or its client has left.
        kore.log(kore.LOG_INFO, f"the countdown came to {left}")


@kore.route("^/squares/([0-9]{1,6})$", methods=["get"])
def table(req, count):
    # The next item is taken when the client has read what came before: memory stays flat.
    req.response_header("content-type", "text/plain")
    req.response(200, squares(int(count)))


@kore.route("/countdown", methods=["get"])
async def countdown(req):
    req.response_header("content-type", "text/plain")
    req.response(200, ticks())
