"""Work beside requests, with Kore's words and with asyncio's: `kore examples/tasks/app.py`."""

import asyncio
import os

import kore

kore.config.workers = 1
kore.server(ip="127.0.0.1", port=os.environ.get("PORT", "8888"), tls=False)
kore.domain("*")

counted = {"beats": 0, "jobs": 0}


async def heart():
    while True:
        counted["beats"] += 1
        await kore.suspend(20)


async def job():
    await kore.suspend(50)
    counted["jobs"] += 1


kore.task_create(heart())  # before the start: each worker runs a copy of its own


@kore.route("/jobs", methods=["get", "post"])
def jobs(req):
    if req.method == kore.HTTP_METHOD_POST:
        kore.task_create(job())  # it goes on after the answer
    req.response(200, f"{counted['jobs']} jobs done, {counted['beats']} heartbeats\n")


@kore.route("/both", methods=["get"])
async def both(req):
    async with asyncio.timeout(5):
        words = await asyncio.gather(asyncio.sleep(0.05, "slept"), asyncio.to_thread(os.getcwd))
    req.response(200, " in ".join(words))
