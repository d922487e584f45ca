"""State of the domains with TLS: what of each is loaded, and which worker serves what of it.

Generations with equal configurations of a domain share its state: its files are watched once, and
its certificate stays through a reload. This module holds state only, `tls.py` acts on it.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from kore._conf.server_schema import DomainTls
from kore._process.parent.domain_files import DomainFiles
from kore._process.parent.generation import Child

DAY_SECONDS: Final = 86400.0


@dataclass(eq=False, slots=True)
class DomainLoad:
    """The content of a domain's files at one time, loaded by the key process."""

    number: int
    serial: str
    # When its first certificate expires, in seconds since the epoch.
    not_after: float
    # Descriptors of sealed files: for the workers, and for the next key process.
    material: int
    secret: int

    def __str__(self) -> str:
        end = datetime.fromtimestamp(self.not_after, UTC)
        return f"certificate {self.serial} (expires on {end:%Y-%m-%d %H:%M} UTC)"

    def close(self) -> None:
        """Close its descriptors."""
        os.close(self.material)
        os.close(self.secret)


@dataclass(eq=False, slots=True)
class DomainState:
    """A domain with TLS: its files, and what is loaded of them."""

    config: DomainTls
    # For the key process.
    number: int
    files: DomainFiles
    # What workers serve.
    current: DomainLoad | None = None
    # What one worker tests, before all serve it; and the workers that were asked to.
    candidate: DomainLoad | None = None
    testers: list[Child] = field(default_factory=list)
    # Number of the load that the key process is working on; 0: none.
    loading: int = 0
    # How often in a row the key process has ended while it was working on it.
    ends: int = 0
    # The files are to be loaded, when the key process can.
    is_waiting: bool = False
    # What was wrong with the files the last time; logged already.
    problems: tuple[str, ...] = ()
    # They are logged again, since the files are loaded on request.
    is_requested: bool = False
    # When files with problems are loaded again even if they have not changed.
    retry_at: float = 0.0
    # Earlier loads that workers may still use.
    old: list[DomainLoad] = field(default_factory=list)
    # By worker: the number of the load that it has confirmed to serve; 0: none yet.
    served: dict[Child, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"domain {self.config.domain} of server {self.config.server}"

    def describe_status(self, now: float) -> str:
        """Return what is served and for how long, for a status report."""
        if self.current is None:
            return f"{self}: nothing loaded"
        days = (self.current.not_after - now) / DAY_SECONDS
        left = f"{days:.0f} days left" if days >= 0 else "EXPIRED"
        return f"{self}: {self.current}, {left}"

    def list_loads(self) -> list[DomainLoad]:
        """Return all loads whose keys may be used, oldest first."""
        return [*self.old, *filter(None, (self.current, self.candidate))]

    def take_unused(self) -> Iterator[DomainLoad]:
        """Remove and yield the earlier loads that no worker uses any more."""
        for worker in [worker for worker in self.served if worker.ended]:
            del self.served[worker]
        oldest = min(self.served.values(), default=None)
        unused = [load for load in self.old if oldest is None or load.number < oldest]
        self.old = [load for load in self.old if load not in unused]
        yield from unused

    def take_all(self) -> Iterator[DomainLoad]:
        """Remove and yield all loads: the domain is not served any more."""
        loads = self.list_loads()
        self.old, self.candidate, self.current = [], None, None
        yield from loads


class TlsDomains:
    """The states of all domains, by their configuration."""

    def __init__(self) -> None:
        self.states: dict[DomainTls, DomainState] = {}
        self._numbers = iter(range(1, 2**31))

    def add(self, config: DomainTls) -> DomainState:
        """Return the state of a domain, a new one if there is none."""
        if config not in self.states:
            self.states[config] = DomainState(config, next(self._numbers), DomainFiles(config))
        return self.states[config]

    def select(self, configs: Iterable[DomainTls]) -> list[DomainState]:
        """Return the states of these domains, as far as there are."""
        return [self.states[config] for config in configs if config in self.states]

    def find_loading(self, load: int) -> DomainState | None:
        """Return the domain that the key process has loaded with this number."""
        return next((state for state in self.all if state.loading == load), None)

    @property
    def all(self) -> list[DomainState]:
        """All states."""
        return list(self.states.values())

    def remove_all_except(self, configs: Iterable[DomainTls]) -> list[DomainState]:
        """Remove and return the states of all other domains."""
        unused = self.states.keys() - set(configs)
        return [self.states.pop(config) for config in unused]
