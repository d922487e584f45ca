"""TLS in the parent for servers that have it: loads `tls.py` for the first generation with TLS.

What that module needs takes half a megabyte of memory, which other servers save.
"""

from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from socket import socket
from typing import TYPE_CHECKING

from kore._process.ipc.messages import Message, ProtocolError
from kore._process.parent.children import Children
from kore._process.parent.generation import Child, Generation
from kore._process.privsep import hide_process
from kore._process.roles import KEYMGR

if TYPE_CHECKING:
    from kore._process.parent.tls import Generations, ParentTls


class OptionalTls:
    """The parent's part of TLS, or nothing as long as no generation has TLS."""

    def __init__(self, children: Children, generations: "Generations") -> None:
        self.children = children
        self.generations = generations
        self.tls: ParentTls | None = None

    def prepare(self, generation: Generation) -> str:
        """Have the domains of a generation loaded. Returns what is wrong with files, or nothing."""
        if not generation.tls:
            return ""
        if self.tls is None:
            # Descriptors of private keys will be here. Workers may be of the same user.
            hide_process()
            module = import_module("kore._process.parent.tls")
            self.tls = module.ParentTls(self.children, self.generations)
        return self.tls.prepare(generation)

    def is_complete(self, generation: Generation) -> bool:
        """Return whether all domains of a generation can be served."""
        return not generation.tls or bool(self.tls and self.tls.is_complete(generation))

    def handle_message(self, child: Child, message: Message) -> None:
        """Handle a message about TLS. Raises ProtocolError if there is no TLS."""
        if self.tls is None:
            raise ProtocolError("a message about TLS without TLS")
        self.tls.handlers[type(message)](child, message)

    def open_key_channel(self, generation: Generation) -> AbstractContextManager[socket | None]:
        """Return a worker's end of a channel to the key process; None if it needs none."""
        if not generation.tls or self.tls is None:
            return nullcontext()
        return self.tls.open_key_channel(generation)

    def hand_over(self, worker: Child) -> None:
        """Send a new worker what it needs before it may serve."""
        if self.tls is not None:
            self.tls.hand_over(worker)

    def handle_ready(self, child: Child) -> None:
        """Give a new key process what it needs."""
        if self.tls is not None and child.role is KEYMGR:
            self.tls.handle_key_process_ready(child)

    def handle_exit(self, child: Child, how: str) -> None:
        """Note the end of a worker or of the key process."""
        if self.tls is not None and child.is_worker:
            self.tls.rollout.forget_worker(child)
        elif self.tls is not None and child.role is KEYMGR:
            self.tls.handle_key_process_exit(child, how)

    def load_all(self) -> None:
        """Load all files now, on request."""
        if self.tls is not None:
            self.tls.loader.load_all()

    def list_status(self) -> list[str]:
        """Return a line for each domain, for a status report."""
        return self.tls.list_status() if self.tls is not None else []

    def close(self) -> None:
        """Close all descriptors."""
        if self.tls is not None:
            self.tls.close()
