"""Workers that are due: the first ones, and those in the place of dead ones."""

from typing import Protocol

from kore._process.generation import Generation, Seat
from kore._process.logs import log
from kore._process.loop import Loop
from kore._process.nursery import Nursery
from kore._process.roles import Role, Verdict, verdict


class Head(Protocol):
    """Who decides what becomes of the server when there are none."""

    coming: Generation | None

    def fail(self, reason: str) -> None:
        """Do without the coming generation."""

    def stop(self, status: int = 0) -> None:
        """End it."""


class Successors:
    """Starts workers, now or when they can be had."""

    def __init__(self, head: Head, nursery: Nursery, loop: Loop, role: Role) -> None:
        self.head = head
        self.nursery = nursery
        self.loop = loop
        self.role = role

    def replace(self, generation: Generation, seat: Seat) -> None:
        """Start the successor of a worker, or stop when that is the policy."""
        policy = generation.settings.worker_death_policy
        if verdict(self.role, policy) is Verdict.SHUT_DOWN:
            log.error("worker policy is '%s', stopping", policy)
            self.head.stop(status=1)
            return
        log.info("restarting worker %d", seat.number)
        if wait := seat.backoff.wait():
            self.loop.after(wait, lambda: self.start(generation, seat))
        else:
            self.start(generation, seat)

    def start(self, generation: Generation, seat: Seat) -> None:
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
