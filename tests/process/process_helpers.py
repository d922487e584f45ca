"""What the process tests share: an application that shows what its processes do."""

import contextlib
import http.client
import os
import re
import signal
import socket
import time
import urllib.request
from pathlib import Path

from tests.helpers import procs
from tests.helpers.fix_serve import RUNNING, Server
from tests.helpers.procs import PATIENCE

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


def get(server: Server, path: str = "/pid", timeout: float = PATIENCE, **fields: str) -> bytes:
    """Return the body of an answer; any other end of the exchange is an OSError."""
    url = f"http://127.0.0.1:{server.address[1]}{path}"
    with urllib.request.urlopen(urllib.request.Request(url, headers=fields), timeout=timeout) as it:
        body: bytes = it.read()
        return body


def try_get(server: Server, path: str = "/pid", timeout: float = PATIENCE) -> bytes:
    """Return the body of an answer, nothing when there is none."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        return get(server, path, timeout)
    return b""


def ask(server: Server, path: str, seconds: float, port: int = 0) -> socket.socket:
    """Send a request, the last on its connection, and do not wait for its answer."""
    address = ("127.0.0.1", port or server.address[1])
    client = socket.create_connection(address, timeout=30)
    fields = f"host: x\r\nseconds: {seconds}\r\nconnection: close\r\n"
    client.sendall(f"GET {path} HTTP/1.1\r\n{fields}\r\n".encode())
    return client


def answer(client: socket.socket) -> bytes:
    """Return all that comes until the other side closes; nothing when it was reset."""
    received = b""
    with client, contextlib.suppress(ConnectionResetError):
        while more := client.recv(4096):
            received += more
    return received


def full(server: Server, count: int, seconds: float = PATIENCE) -> list[int]:
    """Wait until the server has so many workers that serve, and return their pids."""
    found: list[int] = []

    def complete() -> bool:
        found[:] = serving(server)
        return len(found) == count

    procs.until(complete, seconds, what=f"{count} workers")
    return found


def replaced(server: Server, dead: list[int], count: int) -> list[int]:
    """Wait until the server has so many workers again, none of them one of the *dead*."""
    procs.until(lambda: not set(dead) & set(server.workers), what=f"the end of {dead}")
    return full(server, count)


def serving(server: Server) -> list[int]:
    """Return the pids that have been reported as started, and live."""
    text = server.log.text()
    return [pid for pid in server.workers if f"started (#{pid})" in text]


def template(server: Server) -> int:
    """Return the pid of the template, when there is one and nothing else is still called so."""
    found: list[int] = []

    def only() -> bool:
        family = procs.children(server.process.pid)
        found[:] = [pid for pid in family if "template" in procs.title(pid)]
        return len(found) == 1

    procs.until(only, what="one template")
    return found[0]


def status(server: Server) -> str:
    """Have the parent tell the state of everything; it has handled before what came before."""
    start = server.log.size()
    os.kill(server.process.pid, signal.SIGUSR2)
    count = int(server.log.search(r"status: (\d+) children\]", start)[1])
    lines = re.compile(r"status: .*\]\n")
    procs.until(lambda: len(lines.findall(server.log.text(start))) > count, what="the status")
    return server.log.text(start)


def until_status(server: Server, pattern: str) -> None:
    """Wait until what the parent tells matches."""
    procs.until(lambda: re.search(pattern, status(server)), what=f"{pattern!r} in the status")


def until_children(server: Server, count: int) -> None:
    """Wait until the parent has so many children, the others buried and their ends logged."""
    until_status(server, rf"status: {count} children\]")


def rewrite(path: Path, text: str) -> None:
    """Replace a file at once: whoever reads it meanwhile gets the old text or the new."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(text)
    fresh.replace(path)


def alive(pid: int) -> bool:
    """Whether a process runs."""
    fields = procs.stat(pid)
    return bool(fields) and fields[0] != "Z"


def port_is_free(port: int) -> bool:
    """Whether nobody listens there."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return not any(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in rows)


def end(server: Server, number: int, seconds: float = 30) -> int:
    """Send a signal to the parent, wait for its end, and return its status."""
    os.kill(server.process.pid, number)
    return finished(server, seconds)


def finished(server: Server, seconds: float = 30) -> int:
    """Wait for the end of the whole server, and return its status."""
    status = server.process.wait(seconds)
    procs.until(lambda: not procs.session(server.process.pid), what="all processes gone")
    # It has ended as the test wanted; the fixture has nothing left to stop.
    RUNNING.remove(server)
    return status


def took(since: float) -> float:
    """Return the seconds since then."""
    return time.monotonic() - since
