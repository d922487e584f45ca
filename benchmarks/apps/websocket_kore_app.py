"""WebSockets on kore: echo, and messages to all clients."""

import os

import kore

WORKERS = int(os.environ.get("WORKERS", "1"))
SCOPE = kore.WEBSOCKET_BROADCAST_GLOBAL if WORKERS > 1 else kore.WEBSOCKET_BROADCAST_LOCAL


def echo(conn, op, data):
    conn.websocket_send(op, data)


def tell(conn, op, data):
    kore.websocket_broadcast(None, op, data, SCOPE)


class App:
    def configure(self, args):
        kore.config.workers = WORKERS
        # The run pins the server itself, and opens 10,000 connections.
        kore.config.worker_set_affinity = 0
        kore.config.worker_max_connections = 12000
        kore.config.worker_rlimit_nofiles = 12000
        kore.config.websocket_timeout = 0
        kore.server("bench", ip="127.0.0.1", port=os.environ["PORT"], tls=False)
        domain = kore.domain("*", attach="bench")
        domain.route("/echo", self.echo, methods=["get"])
        domain.route("/broadcast", self.broadcast, methods=["get"])

    def echo(self, req):
        req.websocket_handshake(None, echo, None)

    def broadcast(self, req):
        req.websocket_handshake(None, tell, None)


koreapp = App()
