"""Workers that are due: the first ones, and those in the place of dead ones."""

from typing import Final, Protocol

from kore._process.ipc.messages import Draining, Stop
from kore._process.log import handlers
from kore._process.log.handlers import log
from kore._process.parent.children import Child
from kore._process.parent.generation import Generation, WorkerSlot
from kore._process.parent.launcher import Launcher
from kore._process.parent.resources import ParentResources
from kore._process.parent.shutdown import Shutdowns
from kore._process.roles import Role
from kore.errors import ConfigError

# A signal to all processes may reach a worker before the parent, which then stops: no successor.
GROUP_SIGNAL_SECONDS: Final = 0.2


class Supervisor(Protocol):
    """What decides about the server, when there are no workers to be had."""

    coming: Generation | None
    holdings: ParentResources
    endings: Shutdowns

    def fail(self, reason: str) -> None:
        """Do without the coming generation."""

    def stop(self, status: int = 0) -> None:
        """End it."""

    def start_template(self, generation: Generation) -> None:
        """Give a generation another template."""


class Respawner:
    """Starts workers, now or when they can be had."""

    def __init__(self, head: Supervisor, nursery: Launcher, role: Role) -> None:
        self.head = head
        self.nursery = nursery
        self.loop = nursery.children.loop
        self.role = role

    def replace(self, generation: Generation, seat: WorkerSlot) -> None:
        """Start the successor of a worker, or stop when that is the policy."""
        policy = generation.settings.worker_death_policy
        if policy == "terminate":
            log.error("worker policy is '%s', stopping", policy)
            self.head.stop(status=1)
            return
        log.info("restarting worker %d", seat.number)
        if wait := seat.backoff.wait():
            self.loop.after(wait, lambda: self.start(generation, seat))
        else:
            self.start(generation, seat)

    def draining(self, worker: Child, _: Draining) -> None:
        """Replace a worker that was sent a signal to end while it finishes what it has."""
        self.loop.after(GROUP_SIGNAL_SECONDS, lambda: self._succeed(worker))

    def _succeed(self, worker: Child) -> None:
        generation = worker.generation
        unwanted = self.head.endings.stopping or generation.retired
        if unwanted or worker.ended or not worker.ready or generation is self.head.coming:
            return
        if (seat := generation.begin_leaving(worker)) is None:
            return
        log.info("%s drains", worker)
        # It does by itself; this is for one that does not come to its end.
        order = Stop(drain=True, accept=False)
        self.nursery.children.stop(worker, generation.patience(patient=False), order)
        self.replace(generation, seat)

    def start(self, generation: Generation, seat: WorkerSlot) -> None:
        """Have a worker started; again later when it cannot be done now."""
        try:
            self.nursery.worker(generation, seat)
        except OSError as error:
            reason = f"cannot start worker {seat.number}: {error.strerror}"
            if generation is self.head.coming:
                self.head.fail(reason)
            elif not generation.retired:
                log.error("%s", reason)
                again = seat.backoff.wait()
                self.loop.after(again, lambda: self.start(generation, seat))

    def await_template(self, generation: Generation, reason: str) -> None:
        """Try again later to load the application of the generation that serves.

        Without a worker nothing is accepted any more: clients are refused, not left waiting. But a
        template that has died after loading is replaced first.
        """
        again = generation.backoff.wait()
        if generation.workers or (generation.recoverable and not again):
            handlers.log_multiline_error("%s; the workers go on", reason)
        else:
            self.head.holdings.unlisten(generation, self.head.coming)
            form = f"%s; no worker is left: not listening any more, trying again in {again:.1f} s"
            handlers.log_multiline_error(form, reason, handlers.CRITICAL)
        self.loop.after(again, lambda: self.head.start_template(generation))

    def listening(self, generation: Generation, template: Child) -> bool:
        """Open the sockets again that were closed for want of workers. False: not possible."""
        try:
            self.head.holdings.listen_again(generation)
        except ConfigError as error:
            template.last_words = str(error)
            self.nursery.children.kill(template)
            return False
        return True
