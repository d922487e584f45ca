"""What `make demo` serves: a page that tries each of the handlers below, and shows their source."""

import asyncio
import html
import inspect
import os
from pathlib import Path

import kore

kore.config.workers = 2
kore.server("demo", ip="127.0.0.1", port=os.environ.get("KORE_DEMO_PORT", "8888"), tls=False)
kore.domain("*", attach="demo")


def text(req, body):
    req.response_header("content-type", "text/plain; charset=utf-8")
    req.response(200, body)


@kore.route("^/hello/([a-z]+)/([1-9])$", methods=["get"])
def hello(req, name, times):
    text(req, f"hello {name}\n" * int(times))


@kore.route("^/wait/([0-9]{1,4})$", methods=["get"])
async def wait(req, ms):
    started = kore.time()
    await kore.suspend(int(ms))
    text(req, f"waited {kore.time() - started} ms\n")


async def countdown():
    for left in range(5, 0, -1):
        yield f"{left} ...\n"
        await asyncio.sleep(0.4)
    yield "lift-off\n"


@kore.route("/countdown", methods=["get"])
def stream(req):
    text(req, countdown())


@kore.route("/echo", methods=["post"])
def echo(req):
    text(req, req.body)


@kore.route("/worker", methods=["get"])
def worker(req):
    # The next request is a new connection, for any worker.
    req.response_header("connection", "close")
    text(req, f"worker {kore.worker()}, pid {os.getpid()}\n")


# serve.py has started a server, if there is one to be had.
kore.dbsetup("demo", os.environ.get("KORE_DEMO_DATABASE", "host=/nowhere"))


@kore.route("/notes", methods=["post"])
async def notes(req):
    try:
        async with kore.transaction("demo") as tx:
            await tx.query("INSERT INTO notes (note) VALUES ($1)", [req.body[:100]])
            rows = await tx.query("SELECT * FROM notes ORDER BY id DESC LIMIT 5")
        text(req, "".join(f"{row['id']}  {row['note']}\n" for row in rows))
    except kore.errors.DatabaseError as error:
        text(req, f"{error}\n")


@kore.route("/fails", methods=["get"])
def fails(req):
    raise RuntimeError("on purpose")


PAGE = Path(__file__).with_name("page.html").read_text()
for handler in (text, hello, wait, countdown, stream, echo, worker, notes, fails):
    source = html.escape(inspect.getsource(handler).strip())
    PAGE = PAGE.replace(f"<!-- {handler.__name__} -->", source)


@kore.route("/", methods=["get"])
def index(req):
    req.response_header("content-type", "text/html; charset=utf-8")
    req.response(200, PAGE)
