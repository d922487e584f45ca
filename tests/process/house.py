"""What the process tests share: an application that shows what its processes do."""

import contextlib
import http.client
import os
import socket
import time
import urllib.request

from tests.helpers import procs
from tests.helpers.fix_serve import RUNNING, Server

# Routes that let a test see, hold up and end the worker that answers.
APP = """
import asyncio, os, signal, time

class App:
    def configure(self, args):
        domain = kore.domain("*", attach="http")
        for path in ("/pid", "/sleep", "/wait", "/kill", "/segv", "/exit0", "/exit3"):
            domain.route(path, getattr(self, path[1:]), methods=["get"])

    def pid(self, req):
        req.response(200, str(os.getpid()).encode())

    def sleep(self, req):
        seconds = float(req.request_header("seconds") or 30)
        print(f"asleep in {os.getpid()}", flush=True)
        time.sleep(seconds)
        self.pid(req)

    async def wait(self, req):
        print(f"waiting in {os.getpid()}", flush=True)
        await asyncio.sleep(float(req.request_header("seconds") or 30))
        self.pid(req)

    def kill(self, req):
        os.kill(os.getpid(), signal.SIGKILL)

    def segv(self, req):
        os.kill(os.getpid(), signal.SIGSEGV)

    def exit0(self, req):
        os._exit(0)

    def exit3(self, req):
        os._exit(3)

koreapp = App()
"""


def get(server: Server, path: str = "/pid", timeout: float = 20, **fields: str) -> bytes:
    """Return the body of an answer; any other end of the exchange is an OSError."""
    url = f"http://127.0.0.1:{server.address[1]}{path}"
    with urllib.request.urlopen(urllib.request.Request(url, headers=fields), timeout=timeout) as it:
        body: bytes = it.read()
        return body


def try_get(server: Server, path: str = "/pid", timeout: float = 20) -> bytes:
    """Return the body of an answer, nothing when there is none."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        return get(server, path, timeout)
    return b""


def ask(server: Server, path: str, seconds: float) -> socket.socket:
    """Send a request and do not wait for its answer."""
    client = socket.create_connection(server.address, timeout=30)
    client.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\nseconds: {seconds}\r\n\r\n".encode())
    return client


def answer(client: socket.socket) -> bytes:
    """Return all that comes until the other side closes; nothing when it was reset."""
    received = b""
    with client, contextlib.suppress(ConnectionResetError):
        while more := client.recv(4096):
            received += more
    return received


def full(server: Server, count: int, seconds: float = 10) -> list[int]:
    """Wait until the server has so many workers that serve, and return their pids."""
    procs.until(lambda: len(serving(server)) == count, seconds, what=f"{count} workers")
    return serving(server)


def replaced(server: Server, dead: list[int], count: int) -> list[int]:
    """Wait until the server has so many workers again, none of them one of the *dead*."""
    procs.until(lambda: not set(dead) & set(server.workers), what=f"the end of {dead}")
    return full(server, count)


def serving(server: Server) -> list[int]:
    """Return the pids that have been reported as started, and live."""
    text = server.log.text()
    return [pid for pid in server.workers if f"started (#{pid})" in text]


def template(server: Server) -> int:
    """Return the pid of the template."""
    (pid,) = [pid for pid in procs.children(server.process.pid) if "template" in procs.title(pid)]
    return pid


def alive(pid: int) -> bool:
    """Whether a process runs."""
    fields = procs.stat(pid)
    return bool(fields) and fields[0] != "Z"


def port_is_free(port: int) -> bool:
    """Whether nobody listens there."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def end(server: Server, number: int, seconds: float = 20) -> int:
    """Send a signal to the parent, wait for its end, and return its status."""
    os.kill(server.process.pid, number)
    return finished(server, seconds)


def finished(server: Server, seconds: float = 20) -> int:
    """Wait for the end of the whole server, and return its status."""
    status = server.process.wait(seconds)
    procs.until(lambda: not procs.session(server.process.pid), 2, "all processes gone")
    # It has ended as the test wanted; the fixture has nothing left to stop.
    RUNNING.remove(server)
    return status


def took(since: float) -> float:
    """Return the seconds since then."""
    return time.monotonic() - since
