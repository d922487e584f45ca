"""The key process: loads what the parent sends, signs for workers, makes ticket keys."""

import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from kore._core.signing_service import WorkerRequests
from kore._process.eventloop import CallbackLoop
from kore._process.ipc.channel import Channel, close_descriptors
from kore._process.ipc.messages import Message, ProtocolError, Ready, Stop
from kore._process.ipc.sealed_file import create_sealed_file, read_sealed_file
from kore._process.ipc.tls_material import SIZE_MAX
from kore._process.ipc.tls_messages import (
    DomainLoaded,
    DomainRefused,
    DomainUnchanged,
    DropKeys,
    LoadDomain,
    RestoreDomain,
    ServeTickets,
    SignFor,
    TicketKeys,
)
from kore._process.keymgr.certificates import check_domain
from kore._process.keymgr.domain_reader import read_domain_files
from kore._process.keymgr.expiry import list_expiry_warnings
from kore._process.keymgr.loaded_domain import LoadedDomain, restore_domain
from kore._process.keymgr.signer import Signer
from kore._process.keymgr.ticket_keys import TicketKeyring
from kore._process.log.handlers import log

# Seconds between two looks at the clock. It may be set, and the machine may sleep.
CLOCK_INTERVAL: Final = 60.0
# Seconds between two warnings about the same certificate.
WARNING_INTERVAL: Final = 3600.0
# Seconds between two log lines about what a worker must not have signed.
REPORT_INTERVAL: Final = 60.0


@dataclass(slots=True)
class ServedWorker:
    """A worker that this process signs for."""

    requests: WorkerRequests
    domain_ids: frozenset[int]
    # When a refusal may be logged again.
    next_report: float = 0.0


class KeyProcess:
    """Everything that the key process holds. *clock* returns seconds since the epoch."""

    def __init__(self, channel: Channel, clock: Callable[[], float] = time.time) -> None:
        self.channel = channel
        self.clock = clock
        self.loop = CallbackLoop()
        self.signer = Signer()
        # The latest load of each domain, by the domain's number.
        self.domains: dict[int, LoadedDomain] = {}
        # All loads whose keys are in use: that of a domain, and earlier ones of it.
        self.loads: dict[int, LoadedDomain] = {}
        self.workers: dict[int, ServedWorker] = {}
        # By server.
        self.tickets: dict[str, TicketKeyring] = {}
        self.next_warnings = 0.0
        self.stopping = False
        self.message_handlers: Mapping[type[Message], Callable[[Any], None]] = {
            LoadDomain: self.load_domain,
            RestoreDomain: self.restore_domain,
            DropKeys: self.drop_keys,
            SignFor: self.sign_for,
            ServeTickets: self.serve_tickets,
            TicketKeys: self.restore_tickets,
            Stop: self.stop,
        }

    def run(self) -> int:
        """Serve parent and workers until told to stop. Returns the exit status."""
        self.watch_channel()
        self.channel.send(Ready())
        self.watch_clock()
        while not self.stopping and not self.channel.eof:
            self.loop.turn()
        return 0

    # ---- the parent

    def watch_channel(self) -> None:
        """Receive from the parent, and send what it did not take at once."""
        self.loop.watch(self.channel, self.handle_channel, write=self.channel.wants_write)

    def handle_channel(self) -> None:
        """Handle messages of the parent."""
        self.channel.flush()
        for message in self.channel.receive():
            handle = self.message_handlers.get(type(message))
            if handle is not None:
                handle(message)
        if self.channel.errors:
            log.error("message of the parent: %s", self.channel.errors[0])
        self.watch_channel()

    def send(self, message: Message) -> None:
        """Send a message to the parent, now or when the channel is writable."""
        self.channel.send(message)
        self.watch_channel()

    def stop(self, _: Stop) -> None:
        """End; the workers have ended before."""
        self.stopping = True

    # ---- domains

    def load_domain(self, order: LoadDomain) -> None:
        """Read and check the files of a domain; use them, or report what is wrong."""
        try:
            self._load_files(order)
        except Exception as error:  # noqa: BLE001 - whatever a library raises for such files
            # Without the text of the error, which may quote a file.
            problem = f"the files cannot be used: {type(error).__name__}"
            self.send(DomainRefused(order.load, (problem,)))
        finally:
            close_descriptors(order.descriptors)

    def _load_files(self, order: LoadDomain) -> None:
        files = read_domain_files(order.kinds, order.paths, order.descriptors)
        current = self.domains.get(order.domain_id)
        if current is not None and current.has_content(files):
            self.send(DomainUnchanged(order.load))
            return
        checked = check_domain(order.domain, files, self.now(), replaces=order.replaces)
        if checked.problems:
            self.send(DomainRefused(order.load, tuple(checked.problems)))
            return
        names = order.server, order.domain, order.verify_depth
        loaded = LoadedDomain(order.domain_id, order.load, *names, files, checked)
        self.use_domain(loaded)
        self.publish(loaded)

    def use_domain(self, loaded: LoadedDomain) -> None:
        """Sign with the keys of a domain from now on."""
        self.domains[loaded.domain_id] = loaded
        self.loads[loaded.load] = loaded
        for key_id, key in loaded.list_keys():
            self.signer.set_key(key_id, key)
        self.allow_keys()

    def publish(self, loaded: LoadedDomain) -> None:
        """Send a domain's material to the parent, and what a later key process needs."""
        material = create_sealed_file("kore TLS material", loaded.make_material().encode())
        secret = create_sealed_file("kore domain", loaded.encode())
        warnings = [*loaded.checked.warnings, *list_expiry_warnings(loaded.checked, self.now())]
        not_after = loaded.not_after.timestamp()
        self.send(
            DomainLoaded(loaded.load, loaded.serial, not_after, tuple(warnings), (material, secret))
        )
        close_descriptors((material, secret))

    def restore_domain(self, message: RestoreDomain) -> None:
        """Use a domain as the previous key process did."""
        try:
            content = read_sealed_file(message.descriptors[0], SIZE_MAX)
            self.use_domain(restore_domain(content, self.now()))
        except ProtocolError as error:
            log.error("%s", error)
        finally:
            close_descriptors(message.descriptors)

    def drop_keys(self, message: DropKeys) -> None:
        """Forget the keys of a load."""
        loaded = self.loads.pop(message.load, None)
        if loaded is None:
            return
        for key_id, _ in loaded.list_keys():
            self.signer.remove_key(key_id)
        if self.domains.get(loaded.domain_id) is loaded:
            del self.domains[loaded.domain_id]
        self.allow_keys()

    # ---- workers

    def sign_for(self, message: SignFor) -> None:
        """Sign for one more worker."""
        requests = WorkerRequests(
            socket.socket(fileno=message.descriptors[0]), self.signer, frozenset()
        )
        self.workers[message.number] = ServedWorker(requests, frozenset(message.domain_ids))
        self.allow_keys()
        self.watch_worker(message.number)

    def allow_keys(self) -> None:
        """Let each worker use the keys of its domains, and no others."""
        keys: dict[int, list[int]] = {}
        for loaded in self.loads.values():
            keys.setdefault(loaded.domain_id, []).extend(number for number, _ in loaded.list_keys())
        for worker in self.workers.values():
            worker.requests.key_ids = frozenset(
                number for domain_id in worker.domain_ids for number in keys.get(domain_id, ())
            )

    def watch_worker(self, number: int) -> None:
        """Receive requests of a worker."""
        if (worker := self.workers.get(number)) is not None:
            self.loop.watch(worker.requests, lambda: self.serve_worker(number))

    def serve_worker(self, number: int) -> None:
        """Sign what a worker asks for, as far as it is its turn."""
        requests = self.workers[number].requests
        pause = requests.serve()
        if pause is None:
            self.loop.forget(requests)
            requests.close()
            del self.workers[number]
        elif pause:
            self.loop.forget(requests)
            self.loop.after(pause, lambda: self.watch_worker(number))
        if requests.refusal:
            self.report_refusal(number)

    def report_refusal(self, number: int) -> None:
        """Log that a worker asks for what it must not have, at most once in an interval.

        It does so when it runs code of an attacker, or was using a key that has been dropped.
        """
        worker = self.workers.get(number)
        now = time.monotonic()
        if worker is None or now < worker.next_report:
            return
        worker.next_report = now + REPORT_INTERVAL
        log.warning(
            "worker %d was refused a signature: %s (refused so far: %d)",
            number, worker.requests.refusal, worker.requests.refused_count,
        )  # fmt: skip
        worker.requests.refusal = ""

    # ---- ticket keys, and the clock

    def serve_tickets(self, message: ServeTickets) -> None:
        """Have ticket keys for these servers, and no others."""
        known = self.tickets
        self.tickets = {name: known.get(name) or TicketKeyring() for name in message.servers}
        self.rotate_tickets()

    def restore_tickets(self, message: TicketKeys) -> None:
        """Use the ticket keys of the previous key process."""
        keys = tuple(map(bytes.fromhex, message.keys))
        self.tickets[message.server] = TicketKeyring(keys, message.made)

    def rotate_tickets(self) -> None:
        """Make the ticket keys that are due, and send them to the workers, through the parent."""
        for server, ring in self.tickets.items():
            if ring.rotate(self.clock()):
                self.send(TicketKeys(server, ring.made, tuple(key.hex() for key in ring.keys)))

    def watch_clock(self) -> None:
        """Do what is due: by the clock of the wall, not after so many seconds."""
        self.rotate_tickets()
        if not self.next_warnings - WARNING_INTERVAL <= self.clock() < self.next_warnings:
            self.next_warnings = self.clock() + WARNING_INTERVAL
            for loaded in self.domains.values():
                for warning in list_expiry_warnings(loaded.checked, self.now()):
                    log.warning("domain %s: %s", loaded.domain, warning)
        self.loop.after(CLOCK_INTERVAL, self.watch_clock)

    def now(self) -> datetime:
        """Return the time."""
        return datetime.fromtimestamp(self.clock(), UTC)
