"""The workload of TLS on kore: `bench` speaks TLS; `plain`, if it is asked for, does not."""

import os

import kore


class App:
    def configure(self, args):
        kore.config.workers = 1
        # The run pins the server itself, and opens many connections.
        kore.config.worker_set_affinity = 0
        kore.config.worker_max_connections = 12000
        kore.config.worker_rlimit_nofiles = 12000
        kore.server("bench", ip="127.0.0.1", port=os.environ["PORT"])
        domain = kore.domain(
            "*", attach="bench", cert=os.environ["CERTIFICATE"], key=os.environ["KEY"]
        )
        domain.route("/", self.plaintext, methods=["get"])
        domain.filemaps({"/static/": os.environ["STATIC"]})
        if "PLAIN_PORT" in os.environ:
            kore.server("plain", ip="127.0.0.1", port=os.environ["PLAIN_PORT"], tls=False)
            kore.domain("*", attach="plain").route("/", self.plaintext, methods=["get"])

    def plaintext(self, req):
        req.response(200, b"hello world")


koreapp = App()
