"""What type checkers must take: the public names as applications use them. Never run."""

import asyncio

import kore
from kore import Connection, Request, Upload

kore.config.workers = 2
kore.config.http_body_max = "10m"
kore.config.http_pretty_error = True
kore.server("inside", path="/run/kore.sock", tls=False)
kore.bind("127.0.0.1", "8888")
shop: kore.pydomain = kore.domain("*", accesslog="access.log")
shop.redirect("^/old$", 301, "/")
jobs = kore.queue(5)
order: kore.lock = kore.lock()


def verify(req: Request, value: str) -> bool:
    return value == "sesame"


def on_message(conn: Connection, op: int, data: bytes) -> None:
    conn.websocket_send(op, data)
    kore.websocket_broadcast(conn, op, "text", kore.WEBSOCKET_BROADCAST_GLOBAL)


@kore.prerequest
def count(req: kore.pyhttp_request) -> bool:
    req.count = 1
    return bool(getattr(req, "count", 0))


@kore.route(
    "/",
    methods=["get"],
    get={"id": "^[0-9]+$"},
    auth={"type": "header", "value": "x-key", "verify": verify},
)
async def index(req: Request, capture: str) -> None:
    async with order:
        jobs.push(capture)
    results: list[object] = await kore.gather(kore.suspend(1), jobs.pop(), concurrency=1)
    timer = kore.timer(print, 100, kore.TIMER_ONESHOT)
    timer.close()
    proc = kore.proc(["ls", "-l"], 500)
    output: bytes | None = await proc.recv(10)
    status: int = await proc.reap()
    async with kore.transaction("db") as tx:
        rows = await tx.query("SELECT 1")
    count = 0 if rows is None else rows.rowcount
    async for row in kore.dbstream("db", "SELECT 1"):
        count += len(row)
    client = kore.httpclient("http://127.0.0.1:1/", curlopt={kore.CURLOPT_TIMEOUT: 1})
    async with client.stream() as answer:
        async for piece in answer:
            count += len(piece)
    _, body = await client.get(timeout=5)
    task = asyncio.create_task(client.post(body=b""))
    await task
    upload: Upload | None = req.file_lookup("file")
    if upload is not None:
        upload.save("file")
    workers: int = kore.config.workers + len(results) + status + count
    pretty: bool = kore.config.http_pretty_error
    req.response_header("x-workers", f"{workers} {pretty} {body} {output!r}")
    try:
        kore.sendobj({"a": 1})
    except kore.errors.BusyError as error:
        kore.log(kore.LOG_NOTICE, f"{error.workers}")
    req.response(200, [b"one", "two"])


@kore.route("/socket")
def socket(req: Request) -> None:
    req.websocket_handshake(None, on_message, "ondisconnect")


def annotated(file: kore.pyhttp_file, conn: kore.pyconnection, sock: kore.pysocket) -> None: ...
