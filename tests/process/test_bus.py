"""Messages on the bus between real workers, through a real parent."""

import pytest

from tests.helpers.fix_serve import Launcher, Server
from tests.process.process_helpers import full, get

APP = """
import asyncio
import kore.errors
from kore import _context
from kore._process.ipc.messages import MessageKind

KINDS = {"object": MessageKind.OBJECT, "broadcast": MessageKind.BROADCAST}

def get_bus():
    return _context.current.worker.bus

class App:
    def workerstart(self):
        for name, kind in KINDS.items():
            get_bus().set_receiver(kind, lambda sender, payload, name=name: kore.log(
                6, f"{name} of {sender}: {len(payload)} x {payload[:1].decode()}"))

async def send(req, kind, to, size):
    number = int(to) or None
    get_bus().send(KINDS[kind], to.encode() * int(size), number, echo=False)
    await get_bus().drain(KINDS[kind], number)
    req.response(200, str(kore.worker()).encode())

async def two(req, to):
    # The first is handled at once, and acknowledged only later, unless that is requested.
    get_bus().send(KINDS["object"], b"s", int(to), echo=False)
    refused = 0
    while True:
        try:
            get_bus().send(KINDS["object"], b"l" * 4_000_000, int(to), echo=False)
            break
        except kore.errors.BusyError as error:
            assert error.workers == (int(to),)
            refused += 1
            await asyncio.sleep(0.001)
    await get_bus().drain(KINDS["object"], None)
    req.response(200, str(refused).encode())

koreapp = App()
domain = kore.domain("*", attach="http")
domain.route("^/two/([0-9])$", two, methods=["get"])
domain.route("^/send/([a-z]+)/([0-9])/([0-9]+)$", send, methods=["get"])
"""


@pytest.fixture(scope="module")
def server(serve_module: Launcher) -> Server:
    return serve_module(APP, settings={"workers": 3})


@pytest.mark.parametrize("kind", ["object", "broadcast"])
@pytest.mark.parametrize("size", [1, 200_000, 4_194_304])
def test_a_payload_reaches_one_worker(server: Server, kind: str, size: int) -> None:
    full(server, 3)
    start = server.log.size()
    sender = get(server, f"/send/{kind}/2/{size}").decode()

    server.log.wait(f"proc=[wrk 2] log=[{kind} of {sender}: {size} x 2]", start)
    assert server.log.text(start).count(f"{size} x 2") == 1


@pytest.mark.parametrize("kind", ["object", "broadcast"])
def test_a_payload_for_all_reaches_every_other_worker_once(server: Server, kind: str) -> None:
    full(server, 3)
    start = server.log.size()
    sender = int(get(server, f"/send/{kind}/0/300000"))
    others = {1, 2, 3} - {sender}
    for number in others:
        server.log.wait(f"proc=[wrk {number}] log=[{kind} of {sender}: 300000 x 0]", start)

    assert server.log.text(start).count("300000 x 0") == 2


def test_large_message_follows_a_small_one_despite_late_acknowledgements(server: Server) -> None:
    full(server, 3)
    start = server.log.size()

    assert int(get(server, "/two/2")) > 0
    server.log.wait("4000000 x l", start)
