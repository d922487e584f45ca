"""How generations end: who is asked, how gently, and for how long."""

from typing import Final

from kore._process.ipc.messages import Stop
from kore._process.log.handlers import NOTICE, log
from kore._process.parent.children import Child, Children
from kore._process.parent.generation import Generation

# For the application's last hook, after its workers have ended.
CLEANUP_SECONDS: Final = 5.0
# A drain that takes longer is explained.
WAITING_SECONDS: Final = 1.0


class Shutdowns:
    """Ends generations for the parent, one after a reload or all of them."""

    def __init__(self, children: Children) -> None:
        self.children = children
        self.stopping = False
        # Somebody has asked twice, or not to wait at all.
        self.hurry = False

    def retire(self, generation: Generation, current: Generation | None) -> None:
        """End a generation: its workers, then its template. *current*: the one that serves."""
        generation.retired = True
        for worker in generation.workers:
            self._stop(worker, current)
        self.after_last_worker(generation)

    def lose_patience(self) -> None:
        """Have workers that are ending wait for idle clients no longer: nobody serves any more."""
        for child in self.children.all:
            if child.number and child.generation.retired:
                self._stop(child, child.generation)

    def announce(self) -> None:
        """Say that workers drain; and, if it takes a while, what is waited for."""
        log.info("waiting for workers to drain and shutdown")
        self.children.loop.after(WAITING_SECONDS, self._say_what_is_waited_for)

    def _say_what_is_waited_for(self) -> None:
        workers = [child for child in self.children.all if child.number and not child.ended]
        if self.hurry or not workers:
            return
        seconds = max(child.generation.patience(patient=False) for child in workers)
        found = "\n".join(f"{child}: {child.generation.report(child)}" for child in workers)
        log.info(
            "still waiting, for %d s at most: another TERM or ctrl-C ends it at once", seconds,
            extra={"priority": NOTICE, "detail": found},
        )  # fmt: skip

    def _stop(self, worker: Child, current: Generation | None) -> None:
        if self.hurry:
            self.children.end(worker)
            return
        generation = worker.generation
        # As long as others serve, clients are asked to leave rather than hung up on.
        patient = not self.stopping
        inherited = (
            patient and current is not None and has_successor(generation, worker.number, current)
        )
        order = Stop(drain=True, patient=patient, accept=not inherited)
        self.children.stop(worker, generation.patience(patient=patient), order)

    def after_last_worker(self, generation: Generation) -> None:
        """End the template of a retired generation, when its workers are gone."""
        if generation.workers:
            return
        if generation.template is None:
            generation.close()
        elif self.hurry:
            self.children.end(generation.template, orderly=generation.served)
        elif generation.served:
            self.children.stop(generation.template, CLEANUP_SECONDS)
        else:
            self.children.end(generation.template)

    def at_once(self) -> None:
        """End every worker, and every template that has no worker any more."""
        for child in self.children.all:
            if child.number or not child.generation.workers:
                self.children.end(child)


def has_successor(generation: Generation, number: int, current: Generation) -> bool:
    """Whether somebody else has all the sockets of a worker."""
    later = current.sockets.get(number, [])
    return set(generation.sockets.get(number, [])) <= set(later)
