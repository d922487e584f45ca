"""TLS of a worker: contexts made of the materials that the parent sends, swapped after a test."""

from asyncio import Event
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from kore._conf.schema import Config
from kore._conf.server_schema import DomainTls
from kore._core.poller import Poller
from kore._process.ipc.channel import close_descriptors
from kore._process.ipc.messages import Message, ProtocolError
from kore._process.ipc.sealed_file import read_sealed_file
from kore._process.ipc.tls_material import SIZE_MAX, DomainMaterial, decode_material
from kore._process.ipc.tls_messages import KeysReplaced, TicketKeys, TlsMaterial, TlsServed
from kore._process.log.handlers import log
from kore.errors import ConfigError

if TYPE_CHECKING:
    from kore._core.tls_context import TlsContext, TlsServer
    from kore._process.worker.tls_contexts import TlsContexts


def load_core_modules(config: Config) -> None:
    """Load the modules of the core for TLS, if a server has it, and try the settings with OpenSSL.

    In the template, so that workers share their memory. Raises ConfigError if the modules lack, or
    if OpenSSL cannot use the settings.
    """
    if not config.tls:
        return
    try:
        from kore._process.worker.tls_contexts import create_server
    except ImportError as error:
        raise ConfigError(
            f"server '{config.tls[0].server}' has TLS, and this kore was built without OpenSSL "
            f"({error}): install libssl-dev, then reinstall kore"
        ) from None
    try:
        create_server(config.settings, [config.tls[0].domain])
    except ValueError as error:
        raise ConfigError(str(error)) from None


@dataclass(eq=False, slots=True)
class WorkerDomain:
    """A domain of this worker."""

    config: DomainTls
    # Number of the load that came last, and of the one that is served.
    newest: int = 0
    served: int = 0


class WorkerTls:
    """The TLS servers of a worker, by name.

    *send* sends a message to the parent, *exit_process* ends a worker that cannot serve.
    """

    def __init__(
        self,
        config: Config,
        poller: Poller,
        keys_fd: int,
        send: Callable[[Message], object],
        exit_process: Callable[[], object],
    ) -> None:
        self.send = send
        self.exit_process = exit_process
        self.domains = {(one.server, one.domain): WorkerDomain(one) for one in config.tls}
        self.servers: dict[str, TlsServer] = {}
        self.contexts: TlsContexts | None = None
        # Servers whose ticket keys have not come yet.
        self.without_tickets = {one.server for one in config.tls}
        # All domains can be served.
        self.is_complete = Event()
        if config.tls:
            self._create_servers(config, poller, keys_fd)
        else:
            self.is_complete.set()

    def _create_servers(self, config: Config, poller: Poller, keys_fd: int) -> None:
        from kore._process.worker.tls_contexts import TlsContexts, create_server

        self.contexts = TlsContexts(poller, keys_fd)
        for name in self.without_tickets:
            domains = [one.domain for one in config.tls if one.server == name]
            self.servers[name] = create_server(config.settings, domains)

    def receive_material(self, message: TlsMaterial) -> None:
        """Serve a domain with a new material, after a test if it is served already."""
        domain = self.domains.get((message.server, message.domain))
        if domain is None or self.contexts is None:
            close_descriptors(message.descriptors)
            return
        domain.newest = message.load
        try:
            material = _read_material(message.descriptors)
            context = self.contexts.create(self.servers[message.server], material)
        except (ValueError, ProtocolError) as error:
            self._report(domain, message.load, str(error))
            return
        if domain.served:
            test_done = partial(self._swap, domain, message.load, context)
            self.contexts.test(context, test_done)
        else:
            self._swap(domain, message.load, context, "")

    def _swap(self, domain: WorkerDomain, load: int, context: "TlsContext", problem: str) -> None:
        """Serve a domain with a context whose test has ended, unless a newer one came meanwhile."""
        if not problem and load == domain.newest:
            self.servers[domain.config.server].set_domain(domain.config.domain, context)
            domain.served = load
            self._close_revoked(domain.config)
        self._report(domain, load, problem)

    def _close_revoked(self, domain: DomainTls) -> None:
        """Close connections whose client certificates the new revocation list has."""
        if not domain.crl or self.contexts is None:
            return
        if count := self.contexts.close_revoked(self.servers[domain.server]):
            text = "domain %s: connections removed, their certificates are revoked: %d"
            log.info(text, domain.domain, count)

    def _report(self, domain: WorkerDomain, load: int, problem: str) -> None:
        """Tell the parent what is served. A worker that cannot serve the domain at all ends."""
        self.send(TlsServed(load, problem))
        if problem and not domain.served:
            name = domain.config.domain
            log.error("domain %s: its certificate cannot be used: %s", name, problem)
            self.exit_process()
        self._check_complete()

    def receive_tickets(self, message: TicketKeys) -> None:
        """Use other ticket keys."""
        if (server := self.servers.get(message.server)) is not None:
            server.set_ticket_keys([bytes.fromhex(key) for key in message.keys])
            self.without_tickets.discard(message.server)
            self._check_complete()

    def replace_keys(self, message: KeysReplaced) -> None:
        """Ask another key process for signatures."""
        if self.contexts is None:
            close_descriptors(message.descriptors)
        else:
            self.contexts.keys.replace(message.descriptors[0])

    def _check_complete(self) -> None:
        if not self.without_tickets and all(one.served for one in self.domains.values()):
            self.is_complete.set()


def _read_material(descriptors: tuple[int, ...]) -> DomainMaterial:
    """Return the material in a descriptor, and close it. Raises ProtocolError if it is none."""
    try:
        return decode_material(read_sealed_file(descriptors[0], SIZE_MAX))
    finally:
        close_descriptors(descriptors)
