"""What type checkers must refuse, each line with the code of mypy's error. Never run."""

import kore
from kore import Connection, Request


async def handler(req: Request, conn: Connection) -> None:
    req.respond(200)  # attr-defined
    req.refuse(404)  # attr-defined
    req.end_body()  # attr-defined
    print(req.user)  # attr-defined
    print(conn.advance)  # attr-defined
    req.response("text")  # arg-type
    req.response(200, {"a": 1})  # arg-type
    req.response(200, {"a", "b"})  # arg-type
    req.response(200, 5)  # arg-type
    kore.config.wrokers = 2  # attr-defined
    print(kore.config.wrokers)  # attr-defined
    kore.config.workers = None  # assignment
    kore.lokc()  # attr-defined
    kore.bind(5)  # call-arg, arg-type
    kore.timer(print, "100", 0)  # arg-type
    kore.server(tsl=False)  # call-arg
    kore.route("/", method=["get"])  # call-arg
    kore.httpclient("http://a/", tlsverfy=False)  # call-arg
    kore.log("info", "text")  # arg-type
    await kore.suspend("1")  # arg-type
    kore.queue().push()  # call-arg
