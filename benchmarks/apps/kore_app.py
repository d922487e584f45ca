"""The workload on kore."""

import json
import os
import pathlib

import kore

DOCUMENT = {"message": "hello world", "number": 42, "flag": True, "items": [1, 2, 3]}
RULES = {"id": "^[0-9]+$", "name": "^[a-z]+$", "flag": "^(yes|no)$"}


class App:
    def configure(self, args):
        kore.config.workers = int(os.environ.get("WORKERS", "1"))
        # The run pins the server itself, and opens 10,000 connections.
        kore.config.worker_set_affinity = 0
        kore.config.worker_max_connections = 12000
        kore.config.worker_rlimit_nofiles = 12000
        kore.config.http_body_max = 16 << 20
        kore.server("bench", ip="127.0.0.1", port=os.environ["PORT"], tls=False)
        domain = kore.domain("*", attach="bench")
        if os.environ.get("WORKLOAD") == "accesslog":
            # In memory, so that a run does not wait for a disk; and new, so that it ends.
            log = pathlib.Path("/dev/shm/kore-bench-access.log")
            log.unlink(missing_ok=True)
            domain.accesslog = str(log)
        domain.route("/", self.plaintext, methods=["get"])
        domain.route("/async", self.asynchronous, methods=["get"])
        domain.route("/json", self.document, methods=["get"])
        domain.route("/echo", self.echo, methods=["post"])
        domain.route(
            "/parameters", self.parameters, methods=["get"], get=RULES, required=list(RULES)
        )
        domain.route("/upload", self.upload, methods=["post"])
        domain.filemaps({"/static/": os.environ["STATIC"]})
        domain.route("/pid", self.pid, methods=["get"])

    def plaintext(self, req):
        req.response(200, b"hello world")

    async def asynchronous(self, req):
        req.response(200, b"hello world")

    def document(self, req):
        req.response_header("content-type", "application/json")
        req.response(200, json.dumps(DOCUMENT).encode())

    def echo(self, req):
        req.response(200, req.body)

    def parameters(self, req):
        req.populate_get()
        given = [req.argument(name) for name in RULES]
        req.response(200, " ".join(given).encode())

    def upload(self, req):
        req.populate_multi()
        req.response(200, str(len(req.file_lookup("file").body)).encode())

    def pid(self, req):
        req.response(200, str(os.getpid()).encode())


koreapp = App()
