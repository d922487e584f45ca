"""Objects from worker 1, which has the clients, to worker 2, `/send`; and back, `/echo`."""

import asyncio
import os
import time

import kore

kore.config.workers = 2
kore.config.worker_no_accept = 2
# Sender, receiver and parent share the machine's cores as they do in earnest.
kore.config.worker_set_affinity = 0
kore.server("bench", ip="127.0.0.1", port=os.environ["PORT"], tls=False)


class App:
    """What worker 2 sends back wakes who waits for it in worker 1."""

    def __init__(self):
        self.answered = asyncio.Event()

    def onmsg(self, obj):
        if kore.worker() == 2:
            if obj[0] == "echo":
                kore.sendobj(obj, worker=1)
        else:
            self.answered.set()


koreapp = App()


def value(size):
    return ("data", {"id": 4711, "name": "an object"}, bytes(size - 36))


async def send(req, count, size):
    obj = value(int(size))
    began = time.perf_counter()
    for _ in range(int(count)):
        while True:
            try:
                kore.sendobj(obj, worker=2)
            except kore.errors.BusyError:
                await kore.sendobj_drained(2)
            else:
                break
    await kore.sendobj_drained(2)
    req.response(200, repr(time.perf_counter() - began).encode())


async def echo(req, count, size):
    obj = ("echo", *value(int(size))[1:])
    began = time.perf_counter()
    for _ in range(int(count)):
        koreapp.answered.clear()
        kore.sendobj(obj, worker=2)
        await koreapp.answered.wait()
    req.response(200, repr(time.perf_counter() - began).encode())


domain = kore.domain("*", attach="bench")
domain.route("/", lambda req: req.response(200, b"ok"), methods=["get"])
domain.route("^/send/([0-9]+)/([0-9]+)$", send, methods=["get"])
domain.route("^/echo/([0-9]+)/([0-9]+)$", echo, methods=["get"])
