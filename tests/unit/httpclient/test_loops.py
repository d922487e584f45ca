"""Event loops and processes: who owns a connection, and what is left when a loop is over."""

import asyncio
import gc
import subprocess
import sys
from pathlib import Path

import pytest

import kore
from kore._httpclient import transfers
from tests.helpers.authority import Authority
from tests.helpers.conf import config
from tests.helpers.http_peer import Peer, ReceivedRequest
from tests.helpers.loops import LOOPS, descriptors, on_both, until
from tests.unit.httpclient.test_failing import fails

ROOT = Path(__file__).parents[3]
FORKED = """
import asyncio, os, sys
import kore
from tests.helpers.authority import Authority
from tests.helpers.http_peer import Peer

authority = Authority(__import__("pathlib").Path(sys.argv[1]))
peer = Peer(context=authority.context())
client = kore.httpclient("https://some.host/", cabundle=authority.bundle, tlsverify=False)

async def ask():
    options = {kore.CURLOPT_CONNECT_TO: [f"some.host:443:127.0.0.1:{peer.port}"]}
    assert await client.get(curlopt=options) == (200, b"hello")

loop = asyncio.new_event_loop()
loop.run_until_complete(peer.__aenter__())
loop.run_until_complete(ask())
pid = os.fork()
if pid == 0:
    loop.run_until_complete(loop.shutdown_asyncgens())
    sys.exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
loop.run_until_complete(asyncio.sleep(0.05))
loop.run_until_complete(ask())
assert (peer.connections, peer.gone) == (1, 0), (peer.connections, peer.gone)
loop.run_until_complete(peer.__aexit__())
print("both asked over one connection")
"""


def test_forked_process_does_not_close_inherited_connections(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORKED, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.stdout == "both asked over one connection\n", done.stderr


@pytest.mark.parametrize("kind", LOOPS)
def test_client_works_on_several_loops(kind: str, authority: Authority) -> None:
    client = []

    async def ask() -> None:
        async with Peer() as peer:
            client[:] = client or [kore.httpclient("http://some.host/")]
            options = {kore.CURLOPT_CONNECT_TO: [f"some.host:80:127.0.0.1:{peer.port}"]}
            assert await client[0].get(curlopt=options) == (200, b"hello")

    for _ in range(3):
        with asyncio.Runner(loop_factory=LOOPS[kind]) as runner:
            runner.run(ask())


def test_transfers_of_a_closed_loop_are_released_later() -> None:
    async def ask() -> None:
        async with Peer() as peer:
            await kore.httpclient(peer.url).get()

    def once() -> None:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(ask())
        loop.close()

    once()
    before = len(descriptors())
    for _ in range(5):
        once()
    gc.collect()
    assert len(descriptors()) <= before
    assert len([loop for loop in transfers.BY_LOOP if loop.is_closed()]) <= 1
    with asyncio.Runner() as runner:
        runner.run(ask())


@on_both
async def test_running_requests_are_cancelled_at_the_end() -> None:
    async def silent(asked: ReceivedRequest) -> None:
        await asked.reader.read()

    async with Peer(silent) as peer:
        task = asyncio.create_task(kore.httpclient(peer.url).get())
        await until(lambda: peer.asked)
        transfers.BY_LOOP[asyncio.get_running_loop()].close()
        with pytest.raises(asyncio.CancelledError):
            await task
        peer.reply = lambda asked: asyncio.sleep(0, asked.answer(b"again"))
        assert await kore.httpclient(peer.url).get() == (200, b"again")


@on_both
async def test_requests_wait_for_a_free_connection() -> None:
    async with Peer() as peer:
        loop = asyncio.get_running_loop()
        transfers.BY_LOOP[loop] = transfers.Transfers(loop, transfers.TransferLimits(60, 1000, 3))
        results = await asyncio.gather(*[kore.httpclient(peer.url).get() for _ in range(50)])
        assert results == [(200, b"hello")] * 50
        assert peer.connections <= 3


@on_both
async def test_waiting_for_a_connection_counts_for_the_timeout() -> None:
    async def silent(asked: ReceivedRequest) -> None:
        await asked.reader.read()

    async with Peer(silent) as peer:
        loop = asyncio.get_running_loop()
        transfers.BY_LOOP[loop] = transfers.Transfers(loop, transfers.TransferLimits(60, 1000, 1))
        client = kore.httpclient(peer.url)
        first = asyncio.create_task(client.get())
        await until(lambda: peer.asked)
        assert (await fails(client.get(timeout=100))).code == 28
        first.cancel()


def test_limits_may_be_set_in_a_file() -> None:
    made = config("curl_timeout 5s\ncurl_recv_max 4k\n")

    assert (made.settings.curl_timeout, made.settings.curl_recv_max) == (5, 4096)
    assert made.notices == ()
