"""WebSockets on socketify: echo, and messages to all clients."""

import os

from socketify import App, AppListenOptions, CompressOptions

TERMS = {"compression": CompressOptions.DISABLED, "idle_timeout": 0}


def echo(socket, message, op):
    socket.send(message, op)


def join(socket):
    socket.subscribe("all")


def tell(socket, message, op):
    app.publish("all", message, op)


app = App()
app.ws("/echo", {**TERMS, "message": echo})
app.ws("/broadcast", {**TERMS, "open": join, "message": tell})
app.listen(AppListenOptions(port=int(os.environ["PORT"]), host="127.0.0.1"))
app.run()
