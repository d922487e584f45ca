"""One server under measurement: start it on its core, wait for it, stop it."""

import http.client
import os
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import measure
from install import Unusable
from peers import Peer, argv
from workloads import STATIC, Workload

PATIENCE = 15.0


class Server:
    """A running server: its port, its process, its log."""

    def __init__(self, peer: Peer, bin_directory: Path, core: int | None, extra: dict[str, str]):
        self.peer = peer
        self.core = core
        self.port = find_free_port()
        self.log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the server
        words = argv(peer, self.port, bin_directory)
        # Bytecode is there, as pip leaves it: without it each start would compile everything.
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        pinned = [] if core is None else ["taskset", "-c", str(core)]
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            [*pinned, *words],
            cwd=peer.directory,
            env={**environment, "PORT": str(self.port), "STATIC": str(STATIC), **extra},
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """The root of the server's processes."""
        return self.process.pid

    def wait(self) -> float:
        """Wait for the first answer; return the seconds it took since the start."""
        while time.perf_counter() - self.began < PATIENCE:
            if self.process.poll() is not None:
                raise Unusable(f"it ended with status {self.process.returncode}: {self.tail()}")
            if _answers(self.port, self.peer):
                took = time.perf_counter() - self.began
                if self.core is not None:
                    measure.pin(self.pid, self.core)
                return took
            time.sleep(0.002)
        raise Unusable(f"no answer within {PATIENCE:.0f} s: {self.tail()}")

    def check(self, workload: Workload) -> None:
        """Ask once, and see that the answer is the right one."""
        client = _http_client(self.peer, self.port)
        try:
            headers = {"content-type": workload.content_type} if workload.body else {}
            client.request(workload.method, workload.path, workload.body, headers)
            answer = client.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Unusable(f"{workload.name}: {error!r}") from error
        finally:
            client.close()
        if answer.status != 200 or not workload.right(body):
            raise Unusable(f"{workload.name}: answered {answer.status} {body[:60]!r}")

    def stop(self) -> None:
        """End every process of the tree, kindly first."""
        born = {pid: measure.birth(pid) for pid in measure.tree(self.pid)}
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        _kill(born)
        self.log.close()

    def tail(self) -> str:
        """Return the last words of its log."""
        self.log.seek(0)
        lines = self.log.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


@contextmanager
def running(
    peer: Peer, bin_directory: Path, core: int | None = None, **extra: str
) -> Iterator[Server]:
    """Start a server for the length of a block; *extra* goes into its environment."""
    server = Server(peer, bin_directory, core, extra)
    try:
        server.wait()
        yield server
    finally:
        server.stop()


def _answers(port: int, peer: Peer) -> bool:
    try:
        with _connected(peer, port) as client:
            client.sendall(peer.probe)
            return client.recv(4096).startswith(peer.welcome)
    except OSError:
        return False


def _connected(peer: Peer, port: int) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=2)
    if peer.scheme == "http":
        return client
    try:
        return unverified().wrap_socket(client)
    except OSError:
        client.close()
        raise


def _http_client(peer: Peer, port: int) -> http.client.HTTPConnection:
    if peer.scheme == "http":
        return http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    return http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=unverified())


def unverified() -> ssl.SSLContext:
    """Return a client's context that accepts any certificate: those of a run are self-signed."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def find_free_port() -> int:
    """Return a port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _kill(born: dict[int, str]) -> None:
    for pid, birth in born.items():
        # A number may be another's by now: the time of birth tells.
        if measure.birth(pid) == birth:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
