"""The parent's part of TLS with a real key process, and workers that the test plays."""

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from kore._conf.server_schema import CertificateFiles, DomainTls
from kore._conf.settings import Settings
from kore._process.eventloop import CallbackLoop
from kore._process.ipc.channel import Channel, close_descriptors, open_pair
from kore._process.ipc.messages import LogLine, Message, Ready, Stop
from kore._process.ipc.sealed_file import read_sealed_file
from kore._process.ipc.tls_material import SIZE_MAX, DomainMaterial, decode_material
from kore._process.ipc.tls_messages import TlsMaterial, TlsServed
from kore._process.parent.children import Children, describe_exit
from kore._process.parent.generation import Child, Generation
from kore._process.parent.launcher import Launcher, LaunchOptions
from kore._process.parent.optional_tls import OptionalTls
from kore._process.parent.singletons import Singleton, Singletons
from kore._process.parent.tls import ParentTls
from kore._process.parent.tls_domains import DomainState
from kore._process.parent_config import ParentConfig
from kore._process.roles import KEYMGR, WORKER
from tests.helpers.certificates import Certificate

M = TypeVar("M", bound=Message)
PATIENCE = 30.0
# Of workers, which have no process.
FIRST_PID = 2**30


class PlayedWorker:
    """A worker that the test plays."""

    def __init__(self, family: "TlsFamily", generation: Generation) -> None:
        self.family = family
        ours, theirs = open_pair()
        self.channel = Channel(theirs, takes_descriptors=True)
        self.child = Child(WORKER, 1, Channel(ours), generation, next(family.pids))
        self.keys = family.tls.open_key_channel(generation)
        family.children.add(self.child)
        family.tls.hand_over(self.child)
        self.messages: list[Message] = []

    def receive(self, kind: type[M]) -> list[M]:
        """Return the messages of one kind that have come so far."""
        self.messages += self.channel.receive()
        return [message for message in self.messages if isinstance(message, kind)]

    @property
    def materials(self) -> list[DomainMaterial]:
        """What it was told to serve."""
        sent = self.receive(TlsMaterial)
        return [decode_material(read_sealed_file(one.descriptors[0], SIZE_MAX)) for one in sent]

    @property
    def serials(self) -> list[str]:
        """The serial numbers of what it was told to serve."""
        return [material.serial for material in self.materials]

    def confirm(self, problem: str = "") -> None:
        """Tell the parent that the latest material is served, or why not."""
        self.channel.send(TlsServed(self.receive(TlsMaterial)[-1].load, problem))
        self.family.work()

    def end(self) -> None:
        """Let the parent find out that it has ended."""
        self.close()
        self.family.children._handle_exit(self.child, 0)

    def close(self) -> None:
        """Close all descriptors."""
        self.receive(Message)
        for message in self.messages:
            close_descriptors(getattr(message, "descriptors", ()))
        self.messages = []
        self.channel.close()
        self.keys.close()


class TlsFamily:
    """A loop, the key process, the parent's part of TLS, and a generation that is started."""

    def __init__(self) -> None:
        self.loop = CallbackLoop()
        self.children = Children(self.loop, self)
        self.tls = ParentTls(self.children, self, watch_interval=0.02)
        optional = OptionalTls(self.children, self)
        optional.tls = self.tls
        launcher = Launcher(LaunchOptions(), self.children, optional, self.report, self.report)
        self.singletons = Singletons(launcher, ())
        self.pids = iter(range(FIRST_PID, FIRST_PID + 1000))
        self.pending: Generation | None = None
        self.active: Generation | None = None
        self.failures: list[str] = []
        self.logged: list[str] = []
        self.workers: list[PlayedWorker] = []
        self.loop.trap_signals({signal.SIGCHLD: self.children.reap})

    # What `ParentTls` asks for.

    def list_generations(self) -> Iterable[Generation]:
        owners = {child.owner for child in self.children.all} | {self.pending, self.active}
        return [owner for owner in owners if isinstance(owner, Generation)]

    def start_workers(self) -> None:
        assert self.pending is not None
        self.active, self.pending = self.pending, None

    def fail_pending(self, reason: str) -> None:
        self.failures.append(reason)
        self.pending = None

    # What `Children` and `Launcher` ask for.

    def report(self, *what: object) -> None:
        raise AssertionError(what)

    def on_message(self, child: Child, message: Message) -> None:
        if isinstance(message, LogLine):
            self.logged.append(message.text)
        elif isinstance(message, Ready):
            child.ready = True
            self.tls.handle_key_process_ready(child)
        else:
            self.tls.handlers[type(message)](child, message)

    def on_exit(self, child: Child, status: int) -> None:
        if isinstance(child.owner, Singleton):
            self.tls.handle_key_process_exit(child, describe_exit(status))
            self.singletons.handle_exit(child, describe_exit(status))
        else:
            self.tls.rollout.forget_worker(child)

    # For tests.

    @property
    def key_process(self) -> Child:
        """The key process."""
        (singleton,) = self.singletons.all
        assert singleton.child is not None
        return singleton.child

    def load(self, *domains: DomainTls) -> str:
        """Prepare a generation with these domains; return what is wrong with files at once."""
        self.pending = Generation()
        self.pending.config = ParentConfig("test", Settings(), (), tls=domains)
        self.pending.loaded = True
        problems = self.tls.prepare(self.pending)
        self.singletons.start(KEYMGR)
        return problems

    def start(self, *domains: DomainTls) -> None:
        """Load a generation with these domains, and wait until its workers may be started."""
        assert self.load(*domains) == ""
        self.run_until(lambda: self.pending is None)
        assert self.failures == []

    def worker(self) -> PlayedWorker:
        """Return a worker of the active generation that has started."""
        assert self.active is not None
        worker = PlayedWorker(self, self.active)
        self.workers.append(worker)
        worker.confirm()
        worker.child.ready = True
        return worker

    def state(self, domain: DomainTls) -> DomainState:
        """Return what the parent knows of a domain."""
        return self.tls.domains.states[domain]

    def kill_key_process(self) -> None:
        """Kill the key process, and wait until there is another one."""
        pid = self.key_process.pid
        os.kill(pid, signal.SIGKILL)
        (singleton,) = self.singletons.all
        self.run_until(
            lambda: singleton.child and singleton.child.pid != pid and singleton.child.ready
        )

    def work(self) -> None:
        """Let the parent handle all that is there."""
        self.run_until(lambda: not self.loop._poll.poll(0))

    def run_until(self, condition: Callable[[], object]) -> None:
        """Run the loop until *condition* holds."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, self.logged
            self.loop.after(0.01, lambda: None)
            self.loop.turn()

    def end_generations(self) -> None:
        """End all workers, and wait until their domains are forgotten."""
        for worker in self.workers:
            if not worker.child.ended:
                worker.end()
        self.workers = []
        self.pending = self.active = None
        self.failures = []
        self.run_until(lambda: not self.tls.domains.states)

    def close(self) -> None:
        """End everything."""
        self.end_generations()
        self.singletons.stop_all()
        for child in list(self.children.all):
            self.children.send(child, Stop(drain=True))
        self.run_until(lambda: not self.children.all)
        self.tls.close()
        self.loop.close()


@contextmanager
def tls_family() -> Iterator[TlsFamily]:
    """Yield the parent's part of TLS; it is ended afterwards."""
    before = signal.getsignal(signal.SIGCHLD)
    family = TlsFamily()
    try:
        yield family
    finally:
        family.close()
        signal.signal(signal.SIGCHLD, before)


class DomainPlace:
    """A directory with the files of one domain."""

    def __init__(self, directory: Path, certificate: Certificate, domain: str = "a.test") -> None:
        self.directory = directory
        paths = certificate.write(directory, "served")
        self.certificate, self.key = map(Path, paths)
        self.domain = DomainTls(domain, "tls", (CertificateFiles(*paths),), where="app.py:3")

    def replace(self, certificate: Certificate) -> None:
        """Write other files in place of these, each at once."""
        paths = certificate.write(self.directory, "new")
        for new, old in zip(paths, (self.certificate, self.key), strict=True):
            Path(new).rename(old)
