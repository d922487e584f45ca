import os
import random
import signal

import pytest

from tests.helpers import procs
from tests.helpers.fix_serve import Launcher
from tests.process.process_helpers import end, full, get, replaced, serving, status, try_get

# A worker that has been taken over: it has its channel, and the scoreboard.
TAKEN_OVER = """
import os, random, socket, struct, array
from kore import _context
from kore._process.ipc import messages as m
from kore._process.ipc.datagrams import encode

HEADER = m.HEADER

class Blocking:
    # The worker's channel, waiting for room instead of failing.

    def __init__(self):
        self.sock = _context.current.worker.channel.socket

    def send(self, data, rights=()):
        self.sock.setblocking(True)
        self.sock.sendmsg([data], rights)
        self.sock.setblocking(False)

channel = Blocking

def packed(code, payload, version=1, flags=0, to=0, length=None):
    size = len(payload) if length is None else length
    return HEADER.pack(version, code, flags, to, size) + payload

def fuzz(req, seed):
    rng = random.Random(int(seed))
    sock = channel()
    for _ in range(2000):
        size = rng.choice([1, 5, 16, 17, 100, 4000, 140000])
        data = rng.randbytes(size)
        if rng.random() < 0.8:
            # Neither shutdown nor last words: those a worker is entitled to.
            code = rng.choice([0, 1, 2, 3, 4, 5, 6, 8, 10, 11, 13, 14, 255])
            to = rng.choice([0, 0, 1, 2, 9])
            data = packed(code, data[16:], to=to, length=rng.choice([None, 7]))
        sock.send(data)

def forge(req):
    sock = channel()
    for victim in (1, os.getppid(), os.getpid()):
        sock.send(encode(m.Forked(1, victim)))
        sock.send(encode(m.NotForked(1, "because")))
    sock.send(encode(m.Stop(drain=False)))
    sock.send(encode(m.ConfigLoaded({"settings": {}})))
    req.response(200, b"still here")

def descriptors(req):
    sock = channel()
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0] * 200))]
    # Far below 1024: a user without privileges may not have more than that on the way.
    for _ in range(3):
        sock.send(encode(m.LogLine(6, "with descriptors")), rights)
    req.response(200, b"sent")

def flood(req):
    sock = channel()
    for number in range(20000):
        sock.send(encode(m.LogLine(6, f"flood {number}")))
    req.response(200, b"done")

def empty(req):
    channel().send(b"")

def lie(req):
    slot = _context.current.worker.slot
    slot[:] = random.Random(1).randbytes(256)
    slot.obj[:] = random.Random(2).randbytes(len(slot.obj))
    for fd in range(3, 100):
        try:
            os.ftruncate(fd, 0)
        except OSError:
            pass
    req.response(200, b"lied")

def log(req):
    kore.log(6, "one\\n2026-01-01 00:00:00.000 UTC proc=[parent] log=[forged]\\r\\x1b[2J")
    req.response(200, b"logged")

domain = kore.domain("*", attach="http")
domain.route("/pid", lambda req: req.response(200, str(os.getpid()).encode()), methods=["get"])
domain.route("^/fuzz/([0-9]+)$", fuzz, methods=["get"])
for handler in (forge, flood, empty, lie, descriptors, log):
    domain.route("/" + handler.__name__, handler, methods=["get"])
"""


@pytest.mark.parametrize("seed", range(3))
def test_malformed_messages_kill_only_their_sender(serve: Launcher, seed: int) -> None:
    server = serve(TAKEN_OVER, settings={"workers": 2})
    before = full(server, 2)
    assert try_get(server, f"/fuzz/{random.Random(seed).getrandbits(20)}") == b""
    said = server.log.search(r"worker \d \(pid (\d+)\) goes on breaking the protocol, killed")
    after = replaced(server, [int(said[1])], 2)

    assert set(before) - set(after) == {int(said[1])}
    assert server.log.text().count("broke the protocol") == 1
    assert get(server)
    assert end(server, signal.SIGTERM) == 0


def test_a_worker_cannot_speak_for_the_template(serve: Launcher) -> None:
    server = serve(TAKEN_OVER, settings={"workers": 2})
    before = full(server, 2)
    try_get(server, "/forge")
    server.log.wait("broke the protocol: a worker may not send Forked")
    server.log.wait("goes on breaking the protocol, killed")
    procs.until(lambda: set(serving(server)) != set(before))

    assert len(set(full(server, 2)) & set(before)) == 1
    assert server.process.poll() is None


def test_log_flood_does_not_delay_other_workers(serve: Launcher) -> None:
    server = serve(TAKEN_OVER, settings={"workers": 2})
    before = full(server, 2)
    assert get(server, "/flood", timeout=60) == b"done"
    assert get(server)

    server.log.wait("flood 19999")
    assert full(server, 2) == before
    assert server.log.text().count("log=[flood ") == 20000


def test_an_empty_datagram_is_the_end(serve: Launcher) -> None:
    server = serve(TAKEN_OVER, settings={"workers": 1})
    before = full(server, 1)
    try_get(server, "/empty")
    server.log.wait("has closed its channel, killed")

    replaced(server, before, 1)


def test_descriptors_are_not_forced_on_the_parent(serve: Launcher) -> None:
    server = serve(TAKEN_OVER, settings={"workers": 1})
    full(server, 1)
    count = len(procs.descriptors(server.process.pid))
    try_get(server, "/descriptors")
    server.log.wait("broke the protocol: datagram too large, or with unexpected descriptors")
    assert get(server)
    status(server)

    assert len(procs.descriptors(server.process.pid)) == count


def test_scoreboard_may_hold_any_bytes(serve: Launcher) -> None:
    server = serve(TAKEN_OVER, settings={"workers": 2})
    full(server, 2)
    assert get(server, "/lie") == b"lied"
    os.kill(server.process.pid, signal.SIGUSR2)
    server.log.search(r"status: worker 1 .*\n(.*\n)*.*status: worker 2")
    before = full(server, 2)
    os.kill(before[0], signal.SIGKILL)
    os.kill(before[1], signal.SIGKILL)

    assert len(replaced(server, before, 2)) == 2


def test_a_line_cannot_pass_for_another_process(serve: Launcher) -> None:
    server = serve(TAKEN_OVER, settings={"workers": 1})
    assert get(server, "/log") == b"logged"
    server.log.wait(r"[forged]\r\x1b[2J]")

    (line,) = [line for line in server.log.text().split("\n") if "forged" in line]
    assert r"proc=[wrk 1] log=[one\n2026-01-01" in line
    assert r"[forged]\r\x1b[2J]" in line
