"""What the key process has loaded goes to the workers: one tests it, then all serve it.

A test is a handshake in the worker's memory, with a signature of the key process. If it fails, all
workers go on with what they have.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

from kore._process.ipc.messages import ProtocolError
from kore._process.ipc.tls_messages import DropKeys, TlsMaterial, TlsServed
from kore._process.log.handlers import log
from kore._process.parent.children import Children
from kore._process.parent.generation import Child
from kore._process.parent.key_process_link import KeyProcessLink
from kore._process.parent.tls_domains import DomainLoad, DomainState, TlsDomains

# Seconds for a worker to test a load, before another worker is asked.
TEST_TIMEOUT: Final = 3.0
# Seconds for handshakes that have begun with an earlier load.
OLD_KEY_SECONDS: Final = 10.0


class TlsRollout:
    """Brings loads to the workers, and drops them when no worker uses them any more.

    *on_served* is called with a domain when its load has become the current one, *on_refused* also
    with the reason when a test has failed.
    """

    def __init__(
        self,
        children: Children,
        domains: TlsDomains,
        keys: KeyProcessLink,
        on_served: Callable[[DomainState], object],
        on_refused: Callable[[DomainState, str], object],
    ) -> None:
        self.children = children
        self.loop = children.loop
        self.domains = domains
        self.keys = keys
        self.on_served = on_served
        self.on_refused = on_refused

    def offer(self, state: DomainState, load: DomainLoad) -> None:
        """Have a load tested, and served if it is good."""
        state.candidate = load
        self._test(state, load)

    def test_again(self) -> None:
        """Have all loads tested that are not tested yet: there is another key process."""
        for state in self.domains.all:
            if state.candidate is not None:
                self._test(state, state.candidate)

    def _test(self, state: DomainState, load: DomainLoad) -> None:
        """Have a worker test a load, unless that has been decided meanwhile."""
        if state.candidate is not load:
            return
        ready = [worker for worker in state.served if worker.ready and not worker.owner.retiring]
        if not ready:
            # The workers that are started with it cannot serve without it.
            self._serve(state, load)
            return
        # First a worker that was not asked yet.
        tester = min(ready, key=lambda worker: worker in state.testers)
        state.testers.append(tester)
        self._send_material(tester, state, load)
        self.loop.after(TEST_TIMEOUT, partial(self._test, state, load))

    def _serve(self, state: DomainState, load: DomainLoad) -> None:
        """Have all workers serve a load."""
        testers, state.candidate, state.testers = state.testers, None, []
        if state.current is None:
            log.info("%s: %s", state, load)
        else:
            state.old.append(state.current)
            log.info("%s: %s is served from now on", state, load)
        state.current = load
        for worker in state.served:
            if worker not in testers:
                self._send_material(worker, state, load)
        self._drop_unused(state)
        self.on_served(state)

    def _send_material(self, worker: Child, state: DomainState, load: DomainLoad) -> None:
        config = state.config
        message = TlsMaterial(load.number, config.server, config.domain, (load.material,))
        self.children.send(worker, message)

    def handle_served(self, worker: Child, message: TlsServed) -> None:
        """Note that a worker serves a load, or why it does not."""
        for state in self.domains.select(worker.generation.tls):
            for load in state.list_loads():
                if load.number == message.load:
                    self._handle_served(worker, state, load, message.problem)

    def _handle_served(
        self, worker: Child, state: DomainState, load: DomainLoad, problem: str
    ) -> None:
        is_candidate = load is state.candidate
        if is_candidate and worker not in state.testers:
            raise ProtocolError("a load that it was not sent")
        if not problem:
            state.served[worker] = load.number
        if is_candidate and problem:
            state.candidate, state.testers = None, []
            self.drop(load)
            self.on_refused(state, f"a test handshake failed: {problem}")
        elif is_candidate:
            self._serve(state, load)
        elif problem:
            log.error("%s goes on with what it has: %s", worker, state.config.locate(problem))
        else:
            self._drop_unused(state)

    # ---- workers that start and end

    def hand_over(self, worker: Child) -> None:
        """Send a new worker what it needs before it may serve."""
        for state in self.domains.select(worker.generation.tls):
            if state.current is not None:
                state.served[worker] = 0
                self._send_material(worker, state, state.current)

    def forget_worker(self, worker: Child) -> None:
        """Note that a worker has ended, perhaps while it tested a load."""
        for state in self.domains.all:
            if state.served.pop(worker, None) is None:
                continue
            if worker in state.testers and state.candidate is not None:
                self._test(state, state.candidate)
            self._drop_unused(state)

    def _drop_unused(self, state: DomainState) -> None:
        """Drop the loads that no worker uses any more; keys after handshakes that have begun."""
        for load in state.take_unused():
            load.close()
            self.loop.after(OLD_KEY_SECONDS, partial(self.keys.send, DropKeys(load.number)))

    def drop(self, load: DomainLoad) -> None:
        """Have the key process forget the keys of a load."""
        self.keys.send(DropKeys(load.number))
        load.close()
