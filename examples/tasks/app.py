"""Work beside requests, with Kore's words and with asyncio's: `kore examples/tasks/app.py`."""

import asyncio
import os
import time

import kore

kore.config.workers = 1
kore.server(ip="127.0.0.1", port=os.environ.get("PORT", "8888"), tls=False)
kore.domain("*")

beats = []


async def heart():
    while True:
        beats.append(kore.time())
        await kore.suspend(20)


kore.task_create(heart())  # before the start: each worker runs a copy of its own


@kore.route("/beats", methods=["get"])
def count(req):
    req.response(200, f"{len(beats)}\n")


@kore.route("/both", methods=["get"])
async def both(req):
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        waited = group.create_task(asyncio.sleep(0.05, "slept"))
        threaded = group.create_task(asyncio.to_thread(time.strftime, "%Y"))
    req.response(200, f"{waited.result()} in {threaded.result()}\n")
