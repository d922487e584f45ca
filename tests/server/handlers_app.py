"""Handlers that wait, fail, and learn that their client has gone."""

import asyncio
import json

import kore

domain = kore.domain("*", attach="http")
seen: dict[str, int] = {}
opened = asyncio.Event()
crowd: set[asyncio.Future[None]] = set()
CROWD = 50


def count(what: str) -> None:
    seen[what] = seen.get(what, 0) + 1


@kore.route("/", methods=["get"])
def index(req: kore.pyhttp_request) -> None:
    req.response(200, b"hello world")


@kore.route("/seen", methods=["get"])
def report(req: kore.pyhttp_request) -> None:
    req.response(200, json.dumps(seen))


@kore.route("/loop", methods=["get"])
async def which_loop(req: kore.pyhttp_request) -> None:
    req.response(200, type(asyncio.get_running_loop()).__module__)


@kore.route("/sleep", methods=["get"])
async def sleep(req: kore.pyhttp_request) -> None:
    await asyncio.sleep(0.05)
    req.response(200, b"slept")


@kore.route("/timeout", methods=["get"])
async def timeout(req: kore.pyhttp_request) -> None:
    try:
        async with asyncio.timeout(0.02):
            await asyncio.sleep(60)
    except TimeoutError:
        req.response(200, b"timed out")


@kore.route("/current-task", methods=["get"])
async def current_task(req: kore.pyhttp_request) -> None:
    task = asyncio.current_task()
    req.response(200, type(task).__name__ if task else b"none")


@kore.route("/thread", methods=["get"])
async def thread(req: kore.pyhttp_request) -> None:
    counted = await asyncio.to_thread(sum, [1, 2, 3])
    req.response(200, str(counted))


@kore.route("/group", methods=["get"])
async def group(req: kore.pyhttp_request) -> None:
    async with asyncio.TaskGroup() as tasks:
        parts = [tasks.create_task(asyncio.sleep(0.01, n)) for n in range(3)]
    req.response(200, json.dumps([part.result() for part in parts]))


@kore.route("/crowd", methods=["get"])
async def wait_for_the_crowd(req: kore.pyhttp_request) -> None:
    here = asyncio.get_running_loop().create_future()
    crowd.add(here)
    if len(crowd) == CROWD:
        for each in crowd:
            each.set_result(None)
    await here
    req.response(200, b"all here")


@kore.route("/early", methods=["get"])
async def early(req: kore.pyhttp_request) -> None:
    req.response(200, b"early")
    await opened.wait()
    count("early went on")


@kore.route("/stay", methods=["get"])
async def stay(req: kore.pyhttp_request) -> None:
    count("stayed")
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        count("cancelled")
        raise
    finally:
        count("left")


@kore.route("/stubborn", methods=["get"])
async def stubborn(req: kore.pyhttp_request) -> None:
    count("stubborn")
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        req.response(200, b"to nobody")
        await asyncio.sleep(0.01)
        count("stubborn to the end")


@kore.route("/hold", methods=["get"])
async def hold(req: kore.pyhttp_request) -> None:
    count("held")
    await opened.wait()
    req.response(200, b"held")


@kore.route("/open", methods=["get"])
async def release(req: kore.pyhttp_request) -> None:
    opened.set()
    await asyncio.sleep(0)
    opened.clear()
    req.response(200, b"opened")


@kore.route("^/raise/([A-Za-z]+)$", methods=["get"])
def fail(req: kore.pyhttp_request, name: str) -> None:
    raise FAILURES[name]("on purpose")


@kore.route("^/raise-async/([A-Za-z]+)$", methods=["get"])
async def fail_at_once(req: kore.pyhttp_request, name: str) -> None:
    raise FAILURES[name]("on purpose")


@kore.route("^/raise-later/([A-Za-z]+)$", methods=["get"])
async def fail_later(req: kore.pyhttp_request, name: str) -> None:
    await asyncio.sleep(0.001)
    raise FAILURES[name]("on purpose")


FAILURES: dict[str, type[BaseException]] = {
    kind.__name__: kind
    for kind in (LookupError, SystemExit, KeyboardInterrupt, GeneratorExit, MemoryError)
}


@kore.route("/returns", methods=["get"])
def returns(req: kore.pyhttp_request) -> int:
    req.response(200, b"returned")
    return kore.RESULT_OK


@kore.route("/returns-async", methods=["get"])
async def returns_later(req: kore.pyhttp_request) -> str:
    req.response(200, b"returned")
    return "something"


@kore.route("/wrong-arguments", methods=["get"])
def wrong_arguments(*arguments: object) -> None:
    background(*arguments)


@kore.route("/toolkit", methods=["get"])
async def toolkit(req: kore.pyhttp_request) -> None:
    before = kore.time()
    await kore.suspend(20)
    kore.task_create(background())
    kore.log(kore.LOG_NOTICE, "a note from the handler")
    waited = kore.time() - before
    req.response(200, json.dumps({"worker": kore.worker(), "waited": waited}))


async def background() -> None:
    await asyncio.sleep(0.01)
    count("background")


@kore.route("/background-fails", methods=["get"])
def start_failing(req: kore.pyhttp_request) -> None:
    kore.task_create(failing())
    req.response(200, b"started")


async def failing() -> None:
    await asyncio.sleep(0.01)
    raise LookupError("in the background")


@kore.route("/disconnect", methods=["get"])
def disconnect(req: kore.pyhttp_request) -> None:
    req.connection.disconnect()
