"""The smallest application: one route, one worker."""

import os

import kore


class App:
    def configure(self, args):
        kore.config.workers = 1
        kore.server("hello", ip="127.0.0.1", port=os.environ["PORT"], tls=False)
        domain = kore.domain("*", attach="hello")
        domain.route("/", self.hello, methods=["get"])

    def hello(self, req):
        req.response(200, b"hello world")


koreapp = App()
