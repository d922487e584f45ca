"""The key process in a thread of the test's process: the real one, with a test as its parent."""

import os
import socket
import threading

from kore._conf.schema import Config
from kore._process.ipc.channel import Channel, open_pair
from kore._process.ipc.messages import Message, Stop
from kore._process.ipc.tls_messages import (
    DomainLoaded,
    DomainRefused,
    LoadDomain,
    ServeTickets,
    SignFor,
    TicketKeys,
    TlsMaterial,
)
from kore._process.keymgr.key_process import KeyProcess
from kore._process.parent.domain_files import DomainFiles
from tests.helpers import procs


class KeyThread:
    """Loads the domains of a configuration and signs for one worker."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.channel, theirs = (Channel(end, takes_descriptors=True) for end in open_pair())
        self.process = KeyProcess(theirs)
        self.thread = threading.Thread(target=self.process.run, name="keymgr", daemon=True)
        self.thread.start()

    def serve_worker(self) -> tuple[socket.socket, list[Message]]:
        """Return a worker's channel for signatures, and the messages it is sent at its start."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (ours, theirs):
            end.setblocking(False)
        for number, domain in enumerate(self.config.tls, 1):
            files = DomainFiles(domain)
            descriptors, problems = files.open_all()
            assert not problems, problems
            kinds, paths = files.kinds, files.paths
            depth = domain.verify_depth
            self._send(
                LoadDomain(
                    number, number, domain.server, domain.domain, depth, kinds, paths,
                    replaces=False, descriptors=descriptors,
                ),
            )  # fmt: skip
            for fd in descriptors:
                os.close(fd)
        numbers = tuple(range(1, len(self.config.tls) + 1))
        servers = tuple({domain.server for domain in self.config.tls})
        self._send(ServeTickets(servers))
        with theirs:
            self._send(SignFor(1, numbers, (theirs.fileno(),)))
        return ours, self._receive(len(numbers) + len(servers))

    def _send(self, message: Message) -> None:
        self.channel.send(message)
        procs.until(lambda: not self.channel.wants_write or self.channel.flush(), what="a channel")

    def _receive(self, count: int) -> list[Message]:
        """Return what is for the worker: the material of each domain, keys for tickets."""
        found: list[Message] = []

        def is_complete() -> bool:
            for message in self.channel.receive():
                assert not isinstance(message, DomainRefused), message
                if isinstance(message, DomainLoaded):
                    found.append(self._make_material(message))
                elif isinstance(message, TicketKeys):
                    found.append(message)
            return len(found) == count

        procs.until(is_complete, what="the material of all domains")
        return found

    def _make_material(self, loaded: DomainLoaded) -> TlsMaterial:
        domain = self.config.tls[loaded.load - 1]
        material, secret = loaded.descriptors
        os.close(secret)
        return TlsMaterial(loaded.load, domain.server, domain.domain, (material,))

    def stop(self) -> None:
        """End it."""
        self.channel.send(Stop(drain=True))
        self.thread.join(procs.PATIENCE)
        assert not self.thread.is_alive(), "the key process does not end"
        self.channel.close()
        self.process.channel.close()
