"""The key process and one worker, without the parent: what a refusal leaves in the log."""

import socket
import struct
import sys
from collections.abc import Iterator

import pytest

from kore._process.ipc.channel import Channel
from kore._process.ipc.tls_messages import SignFor
from kore._process.keymgr.key_process import KeyProcess
from kore._process.log.handlers import log
from tests.helpers.fix_core import Logged


@pytest.fixture
def process() -> Iterator[KeyProcess]:
    parent, own = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    process = KeyProcess(Channel(own, takes_descriptors=True))
    with parent, own:
        yield process
    process.loop.close()


@pytest.fixture
def worker(process: KeyProcess) -> Iterator[socket.socket]:
    """Yield the socket of worker 3, which serves no domain."""
    worker, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    process.sign_for(SignFor(3, (), (other.detach(),)))
    with worker:
        yield worker
    while 3 in process.workers:
        process.serve_worker(3)


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """Yield the texts that are logged."""
    handler = Logged()
    log.addHandler(handler)
    yield handler.texts
    log.removeHandler(handler)


def test_refused_signatures_are_logged_once_in_a_while(
    process: KeyProcess, worker: socket.socket, logged: list[str]
) -> None:
    for number in range(3):
        worker.send(struct.pack("=IIBBBB", number, 8, 0, 0, 1, 0) + b"pay mallory 1000")
        process.serve_worker(3)
        assert worker.recv(4096) == number.to_bytes(4, sys.byteorder)

    assert logged == [
        "worker 3 was refused a signature: a key that is not for this worker (refused so far: 1)"
    ]
