"""An application as a class: `kore examples/hello/app.py`, then http://127.0.0.1:8888."""

import os

import kore


class App:
    def configure(self, args):
        kore.config.workers = 2
        kore.server("notls", ip="127.0.0.1", port=os.environ.get("PORT", "8888"), tls=False)
        domain = kore.domain("*", attach="notls")
        domain.route("/", self.index, methods=["get"])
        domain.route("^/user/([a-z]+)$", self.user, methods=["get"])

    def index(self, req):
        req.response(200, b"hello world")

    async def user(self, req, name):
        req.response_header("content-type", "text/plain")
        req.response(200, f"hello {name}".encode())


koreapp = App()
