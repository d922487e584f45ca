"""Handlers that ask others, themselves among them."""

import os
import sys
from pathlib import Path

import kore
import kore.errors

domain = kore.domain("*", attach="http")

# Made before any worker is forked.
PEER = os.environ.get("PEER", "http://127.0.0.1:1/")
early = kore.httpclient(PEER)
handle = kore.curl(PEER)
loaded_early = "pycurl" in sys.modules


def loaded(req):
    req.response(200, f"{loaded_early} {'pycurl' in sys.modules} {os.getppid()}")


async def ask(req):
    try:
        status, body = await early.get()
    except kore.errors.ClientError as error:
        req.response(502, f"{error.code} {error}")
    else:
        req.response(200, f"{status} {len(body)}")


async def run(req):
    req.response(200, await handle.run())


async def forward(req):
    """Send a body on as it comes."""
    status, body = await early.post(body=req.chunks())
    req.response(status, body)


async def relay(req):
    """Answer with what somebody else answers, as it comes."""
    req.response(200, early.stream())


async def fork(req):
    """Have a child end in good order beside a connection that is open."""
    await early.get()
    child = os.fork()
    if child == 0:
        sys.exit(0)
    while os.waitpid(child, os.WNOHANG) == (0, 0):  # noqa: ASYNC222 - it does not wait
        await kore.suspend(5)
    status, body = await early.get()
    req.response(200, f"{status} {len(body)}")


def descriptors(req):
    req.response(200, str(len(list(Path("/proc/self/fd").iterdir()))))


def limits(req):
    from kore._api.clients import get_limits

    req.response(200, " ".join(map(str, get_limits())))


async def slow_name(req):
    """Ask for a name that takes long, and be asked other things meanwhile."""
    try:
        await kore.httpclient("http://slow.test/").get(timeout=200)
    except kore.errors.ClientError as error:
        req.response(504, str(error))


for path, handler in {
    "/loaded": loaded, "/ask": ask, "/run": run, "/relay": relay, "/fork": fork,
    "/descriptors": descriptors, "/limits": limits, "/slow": slow_name,
}.items():
    domain.route(path, handler, methods=["get"])
domain.route("/forward", forward, methods=["post"], stream=True)
