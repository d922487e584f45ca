"""Graceful shutdown of generations: which processes are told to stop, and how much time they have.

A generation ends after a reload, or with the server. Its workers drain first; when the last one has
exited, its template runs the application's cleanup hook and exits.
"""

from typing import Final

from kore._process.ipc.messages import Stop
from kore._process.log.handlers import NOTICE, log
from kore._process.parent.children import Children
from kore._process.parent.generation import Child, Generation
from kore._process.roles import RoleKind

# Seconds for the application's cleanup hook, after its workers have exited.
CLEANUP_TIMEOUT: Final = 5.0
# After so many seconds it is logged what a shutdown waits for.
REPORT_AFTER: Final = 1.0


class GracefulShutdown:
    """Ends generations for the parent: one after a reload, or all of them."""

    def __init__(self, children: Children) -> None:
        self.children = children
        # The server is shutting down.
        self.stopping = False
        # Requests in progress are not finished, after a second request to stop, or QUIT.
        self.immediate = False

    def retire(self, generation: Generation, active: Generation | None) -> None:
        """End a generation: its workers, then its template. *active*: the one that serves."""
        generation.retiring = True
        for worker in generation.workers:
            self._stop_worker(worker, active)
        self.end_if_last_worker_exited(generation)

    def stop_waiting_for_idle(self) -> None:
        """Have workers that drain close idle connections: no other worker will serve them."""
        for child in self.children.all:
            if child.is_worker and child.owner.retiring:
                self._stop_worker(child, child.generation)

    def log_progress(self) -> None:
        """Log that workers drain; and after a while, what they wait for."""
        log.info("waiting for workers to drain and shutdown")
        self.children.loop.after(REPORT_AFTER, self._log_remaining)

    def _log_remaining(self) -> None:
        workers = [child for child in self.children.all if child.is_worker and not child.ended]
        if self.immediate or not workers:
            return
        seconds = max(child.generation.get_drain_timeout(patient=False) for child in workers)
        states = "\n".join(f"{child}: {child.owner.describe_child(child)}" for child in workers)
        log.info(
            "still waiting, for %d s at most: another TERM or ctrl-C ends it at once", seconds,
            extra={"priority": NOTICE, "detail": states},
        )  # fmt: skip

    def _stop_worker(self, worker: Child, active: Generation | None) -> None:
        if self.immediate:
            self.children.terminate(worker)
            return
        generation = worker.generation
        # While other workers serve, idle connections are not closed, but told to close.
        patient = not self.stopping
        inherited = (
            patient and active is not None and _has_all_sockets(active, worker.number, generation)
        )
        message = Stop(drain=True, patient=patient, accept=not inherited)
        self.children.stop(worker, generation.get_drain_timeout(patient=patient), message)

    def end_if_last_worker_exited(self, generation: Generation) -> None:
        """End the template of a retiring generation, unless it has workers left."""
        if generation.workers:
            return
        if generation.template is None:
            generation.close()
        elif self.immediate:
            self.children.terminate(generation.template, orderly=generation.was_active)
        elif generation.was_active:
            self.children.stop(generation.template, CLEANUP_TIMEOUT)
        else:
            self.children.terminate(generation.template)

    def terminate_all(self) -> None:
        """Terminate every worker, and every template without workers."""
        for child in self.children.all:
            is_template = child.role.kind is RoleKind.TEMPLATE
            if child.is_worker or (is_template and not child.generation.workers):
                self.children.terminate(child)


def _has_all_sockets(active: Generation, number: int, generation: Generation) -> bool:
    """Return whether worker *number* of *active* has all sockets of that of *generation*."""
    later = active.sockets.get(number, [])
    return set(generation.sockets.get(number, [])) <= set(later)
