"""A builder for applications that are imported without a server: by their tests, for example."""

from collections.abc import Coroutine
from typing import Any

from kore._conf.builder import Builder
from kore._conf.domain_handle import DomainHandle
from kore._conf.schema import Tracer
from kore._conf.server_schema import Address


class UnservedBuilder(Builder):
    """Checks each call, and is never built.

    Several applications may be imported, and each several times, so repeated names are no errors.
    """

    def server(
        self, name: str, address: Address, *, tls: bool, redirect_https: bool = False
    ) -> None:
        """Replace the servers by this one."""
        self.servers.clear()
        self.extra_addresses.clear()
        super().server(name, address, tls=tls, redirect_https=redirect_https)

    def domain(self, name: str, attach: str, **keywords: Any) -> DomainHandle:
        """Replace the domains by this one."""
        self.domains.clear()
        return super().domain(name, attach, **keywords)

    def database(self, name: str, connstring: str) -> None:
        """Add a database, or replace the one of that name."""
        self.databases.pop(name, None)
        super().database(name, connstring)

    def create_task(self, task: Coroutine[Any, Any, Any]) -> int:
        """Close a coroutine, which will not run."""
        task.close()
        return 1

    @property
    def tracer(self) -> Tracer | None:
        """None, so that the next module may set one, too."""
        return None

    @tracer.setter
    def tracer(self, callback: Tracer) -> None:
        self._tracer = callback
