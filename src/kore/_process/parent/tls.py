"""TLS in the parent: domains of generations, their ticket keys, the start of the key process.

Files go to the key process (`tls_loader.py`), what it makes of them to the workers
(`tls_rollout.py`).
"""

import resource
import time
from collections.abc import Callable, Iterable
from functools import partial
from socket import socket
from typing import Any, Final, Protocol

from kore._process.ipc.messages import Message
from kore._process.ipc.tls_messages import (
    DomainLoaded,
    DomainRefused,
    DomainUnchanged,
    KeysReplaced,
    TicketKeys,
    TlsServed,
)
from kore._process.log.handlers import log
from kore._process.parent.children import Children
from kore._process.parent.generation import Child, Generation
from kore._process.parent.key_process_link import KeyProcessLink
from kore._process.parent.tls_domains import DomainState, TlsDomains
from kore._process.parent.tls_loader import TlsLoader
from kore._process.parent.tls_rollout import TlsRollout

# Seconds between two looks at the files; they are loaded when they did not change in between.
WATCH_INTERVAL: Final = 1.0
# Exits of the key process after which a generation that waits for it is given up.
EXITS_MAX: Final = 3
# Seconds until files are tested again after a test that has failed.
TEST_RETRY_INTERVAL: Final = 30.0
# Seconds until a worker is given a channel, when that was not possible.
CHANNEL_RETRY_INTERVAL: Final = 1.0
# Descriptors of a domain: its current load and another one. Of everything else.
DOMAIN_DESCRIPTORS: Final = 4
OTHER_DESCRIPTORS: Final = 200


class Generations(Protocol):
    """The generations of the server, for which TLS is set up."""

    pending: Generation | None

    def list_generations(self) -> Iterable[Generation]:
        """Return the generations of which something is left."""

    def start_workers(self) -> None:
        """Start the workers of the pending generation: all of its domains can be served."""

    def fail_pending(self, reason: str) -> None:
        """Give up the pending generation."""


class ParentTls:
    """Everything about TLS that the parent does."""

    def __init__(
        self, children: Children, generations: Generations, watch_interval: float = WATCH_INTERVAL
    ) -> None:
        self.children = children
        self.generations = generations
        self.domains = TlsDomains()
        self.keys = KeyProcessLink(children)
        self.loader = TlsLoader(children.loop, self.domains, self.keys, watch_interval)
        self.rollout = TlsRollout(
            children, self.domains, self.keys, self._on_served, self._on_test_failed
        )
        self.loader.on_look = self.forget_unused
        self.loader.on_loaded = self.rollout.offer
        self.loader.on_problems = self._check_pending
        # The generation that was waited with, for each exit of the key process.
        self._exits: list[Generation] = []
        self.handlers: dict[type[Message], Callable[[Child, Any], None]] = {
            DomainLoaded: self.loader.handle_loaded,
            DomainUnchanged: self.loader.handle_unchanged,
            DomainRefused: self.loader.handle_refused,
            TicketKeys: self.handle_tickets,
            TlsServed: self.rollout.handle_served,
        }

    # ---- generations

    def prepare(self, generation: Generation) -> str:
        """Have the domains of a generation loaded. Returns what is wrong with files, or nothing."""
        if reason := self._find_shortage(generation):
            return reason
        problems = [
            state.config.locate(problem)
            for state in map(self.domains.add, generation.tls)
            if state.current is None
            for problem in state.files.find_problems()
        ]
        if not problems:
            for state in self.domains.select(generation.tls):
                state.is_waiting |= state.current is None
            self.loader.load_waiting()
        self.loader.watch()
        self._serve_tickets()
        return "\n".join(problems)

    def _find_shortage(self, generation: Generation) -> str:
        """Return why this process cannot have the descriptors that all domains need, or nothing."""
        count = len({*(state.config for state in self.domains.all), *generation.tls})
        wanted = DOMAIN_DESCRIPTORS * count + OTHER_DESCRIPTORS
        allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if allowed == resource.RLIM_INFINITY or wanted <= allowed:
            return ""
        return (
            f"{count} domains with TLS need {wanted} descriptors, the system allows {allowed} "
            "(ulimit -n)"
        )

    def is_complete(self, generation: Generation) -> bool:
        """Return whether all domains of a generation can be served."""
        states = self.domains.select(generation.tls)
        servers = {config.server for config in generation.tls}
        has_all = all(state.current for state in states) and servers <= self.keys.tickets.keys()
        return has_all and len(states) == len(set(generation.tls))

    def _check_pending(self) -> None:
        """Start the pending generation, or give it up, if that can be decided now."""
        pending = self.generations.pending
        if pending is None or not pending.loaded:
            return
        states = self.domains.select(pending.tls)
        if self.is_complete(pending):
            self.generations.start_workers()
        elif not any(state.is_waiting or state.loading for state in states):
            failed = [state for state in states if state.current is None]
            problems = [state.config.locate(text) for state in failed for text in state.problems]
            if problems:
                self.generations.fail_pending("fatal: " + "\n".join(problems))

    def forget_unused(self) -> None:
        """Forget the domains of generations that are gone."""
        used = {config for one in self.generations.list_generations() for config in one.tls}
        for state in self.domains.remove_all_except(used):
            for load in state.take_all():
                self.rollout.drop(load)
        self._serve_tickets()

    def _serve_tickets(self) -> None:
        generations = self.generations.list_generations()
        self.keys.serve_tickets(config.server for one in generations for config in one.tls)

    # ---- loads

    def _on_served(self, _: DomainState) -> None:
        self.loader.load_waiting()
        self._check_pending()

    def _on_test_failed(self, state: DomainState, problem: str) -> None:
        self.loader.report_problems(state, (problem,))
        # The files are perhaps good: a key process that is busy fails a test, too.
        state.retry_at = time.monotonic() + TEST_RETRY_INTERVAL
        self.loader.load_waiting()

    def handle_tickets(self, _: Child, message: TicketKeys) -> None:
        """Pass new ticket keys on to the workers."""
        self.keys.tickets[message.server] = message
        for worker in self._list_workers():
            if any(config.server == message.server for config in worker.generation.tls):
                self.children.send(worker, message)
        self._check_pending()

    def list_status(self) -> list[str]:
        """Return a line for each domain, for a status report."""
        now = time.time()
        return [state.describe_status(now) for state in self.domains.all]

    # ---- workers

    def _list_workers(self) -> list[Child]:
        """Return the workers that serve TLS."""
        workers = [child for child in self.children.all if child.is_worker and not child.ended]
        return [worker for worker in workers if worker.generation.tls]

    def open_key_channel(self, generation: Generation) -> socket:
        """Return a worker's end of a channel to the key process."""
        return self.keys.open_channel(self.domains.select(generation.tls))

    def hand_over(self, worker: Child) -> None:
        """Send a new worker what it needs before it may serve."""
        self.rollout.hand_over(worker)
        for server in {config.server for config in worker.generation.tls}:
            if server in self.keys.tickets:
                self.children.send(worker, self.keys.tickets[server])

    # ---- start and end of the key process

    def handle_key_process_ready(self, child: Child) -> None:
        """Give a new key process what the previous one had, and the workers new channels."""
        self.keys.attach(child, self.domains.all)
        for worker in self._list_workers():
            self._replace_channel(worker, child)
        self.rollout.test_again()
        self.loader.load_waiting()

    def _replace_channel(self, worker: Child, key_process: Child) -> None:
        """Give a worker a channel to a new key process; try again if the system has none."""
        if worker.ended or key_process is not self.keys.child:
            return
        try:
            with self.keys.open_channel(self.domains.select(worker.generation.tls)) as end:
                self.children.send(worker, KeysReplaced((end.fileno(),)))
        except OSError as error:
            log.error("%s gets no channel to the key process: %s", worker, error.strerror)
            again = partial(self._replace_channel, worker, key_process)
            self.children.loop.after(CHANNEL_RETRY_INTERVAL, again)

    def handle_key_process_exit(self, child: Child, how: str) -> None:
        """Wait for the next key process, but not for ever with a generation that is started."""
        self.keys.detach()
        self.loader.stop_loading()
        pending = self.generations.pending
        if pending is None or self.is_complete(pending):
            return
        self._exits.append(pending)
        if not child.ready or self._exits.count(pending) == EXITS_MAX:
            self._exits.clear()
            reason = f": {child.exit_reason}" if child.exit_reason else ""
            self.generations.fail_pending(f"fatal: {child} {how}{reason}")

    def close(self) -> None:
        """Close all descriptors."""
        for state in self.domains.remove_all_except(()):
            for load in state.take_all():
                load.close()
