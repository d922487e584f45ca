"""The configuration of an application that is imported without a server, by its tests say."""

from collections.abc import Coroutine
from typing import Any

from kore._conf.builder import Builder, DomainHandle
from kore._conf.schema import Tracer
from kore._conf.server_schema import Address


class UnservedBuilder(Builder):
    """Takes what modules configure, and checks each call; it is never built.

    Modules of several applications may be imported, and each again: the same names are no errors.
    """

    def server(self, name: str, address: Address, *, tls: bool) -> None:
        """Take a server in place of those there are."""
        self.servers.clear()
        self.more.clear()
        super().server(name, address, tls=tls)

    def domain(self, name: str, attach: str, **keywords: Any) -> DomainHandle:
        """Take a domain in place of those there are."""
        self.domains.clear()
        return super().domain(name, attach, **keywords)

    def database(self, name: str, connstring: str) -> None:
        """Take a database in place of one of that name."""
        self.databases.pop(name, None)
        super().database(name, connstring)

    def create_task(self, task: Coroutine[Any, Any, Any]) -> int:
        """Close a coroutine that nothing will run."""
        task.close()
        return 1

    @property
    def tracer(self) -> Tracer | None:
        """None: the next module may set one, too."""
        return None

    @tracer.setter
    def tracer(self, callback: Tracer) -> None:
        self._tracer = callback
