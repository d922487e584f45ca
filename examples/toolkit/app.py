"""Kore's awaitables: a queue, a lock, a process, a socket: `kore examples/toolkit/app.py`."""

import os

import kore

kore.config.workers = 1
kore.server(ip="127.0.0.1", port=os.environ.get("PORT", "8888"), tls=False)
kore.domain("*")

jobs = kore.queue()
one_at_a_time = kore.lock()


async def double():
    while True:
        number, answers = await jobs.pop()
        answers.push(2 * number)


kore.task_create(double())


@kore.route("^/double/([0-9]{1,9})$", methods=["get"])
async def ask(req, number):
    answers = kore.queue()
    jobs.push((int(number), answers))
    req.response(200, f"{await answers.pop()}\n")


@kore.route("/count", methods=["get"])
async def count(req):
    async with one_at_a_time:  # nobody else reads or writes the number meanwhile
        number = (kore.app() or 0) + 1
        await kore.suspend(1)
        kore.app(number)
    req.response(200, f"{number}\n")
