"""A key process that does nothing but sign: a program, and a handle for tests to start it.

`python -m tests.helpers.signing_process FD` reads a private key from standard input and signs with
it, as key 1, what is asked for at the other end of the descriptor.
"""

import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.serialization import load_pem_private_key

from kore._core.signing_service import WorkerRequests
from kore._process.keymgr.signer import Signer
from tests.helpers.procs import PATIENCE

ROOT = Path(__file__).parents[2]


class SigningProcess:
    """The process; `fd` is the worker's end of its channel, for a `KeyChannel` to take over."""

    def __init__(self, key_pem: bytes) -> None:
        own, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.helpers.signing_process", str(other.fileno())],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=[other.fileno()],
            )
        self.fd = own.detach()
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(key_pem)
        self.process.stdin.close()
        assert self.process.stdout.readline() == b"ready\n"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        """Kill it, and wait until it is gone."""
        self.process.kill()
        self.process.wait(PATIENCE)
        if self.process.stdout:
            self.process.stdout.close()

    def suspend(self) -> None:
        """Stop it, and wait until it has stopped."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitpid(self.process.pid, os.WUNTRACED)

    def resume(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)


def main() -> None:
    """Sign until the other end is closed."""
    signer = Signer()
    key = load_pem_private_key(sys.stdin.buffer.read(), None)
    signer.set_key(1, key)  # type: ignore[arg-type]
    sock = socket.socket(fileno=int(sys.argv[1]))
    requests = WorkerRequests(sock, signer, [1])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while requests.serve() is not None:
        select.select([sock], [], [])


if __name__ == "__main__":
    main()
