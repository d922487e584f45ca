"""The parent's side of the key process: its channel, and the channels between it and the workers.

A worker asks for signatures over a channel of its own, so that the parent need not pass anything
on. When the key process was restarted, there are new channels, and it gets back what it had.
"""

import socket
from collections.abc import Iterable

from kore._process.ipc.messages import Message
from kore._process.ipc.tls_messages import RestoreDomain, ServeTickets, SignFor, TicketKeys
from kore._process.parent.children import Children
from kore._process.parent.generation import Child
from kore._process.parent.tls_domains import DomainState


class KeyProcessLink:
    """Sends to the key process, if there is one that is ready."""

    def __init__(self, children: Children) -> None:
        self.children = children
        self.child: Child | None = None
        # The newest ticket keys of each server.
        self.tickets: dict[str, TicketKeys] = {}
        self._servers: tuple[str, ...] = ()
        self._numbers = iter(range(1, 2**31))

    @property
    def is_ready(self) -> bool:
        """Whether there is a key process that receives messages."""
        return self.child is not None and not self.child.ended

    def send(self, message: Message) -> None:
        """Send a message, unless there is no key process."""
        if self.child is not None and self.is_ready:
            self.children.send(self.child, message)

    def attach(self, child: Child, states: Iterable[DomainState]) -> None:
        """Use a new process, which is ready, and give it what the previous one had."""
        self.child = child
        for tickets in self.tickets.values():
            self.send(tickets)
        self.send(ServeTickets(self._servers))
        for state in states:
            for load in state.list_loads():
                self.send(RestoreDomain((load.secret,)))

    def detach(self) -> None:
        """Note that the process has ended."""
        self.child = None

    def serve_tickets(self, servers: Iterable[str]) -> None:
        """Have ticket keys made for these servers, and for no others."""
        wanted = tuple(sorted(set(servers)))
        if wanted != self._servers:
            self._servers = wanted
            self.tickets = {name: self.tickets[name] for name in wanted if name in self.tickets}
            self.send(ServeTickets(wanted))

    def open_channel(self, states: Iterable[DomainState]) -> socket.socket:
        """Return a worker's end of a new channel, for keys of these domains.

        Without a key process the other end is closed: signatures fail immediately.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        theirs.setblocking(False)
        with theirs:
            numbers = tuple(state.number for state in states)
            self.send(SignFor(next(self._numbers), numbers, (theirs.fileno(),)))
        return ours
