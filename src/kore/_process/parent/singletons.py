"""Singletons: processes that run once for the server, beside all generations.

Such as the one that holds keys. Each is spawned when a generation needs it first, restarted with a
back-off of its own, whatever is loaded meanwhile, and stopped after the last worker has exited.
"""

from collections.abc import Iterable
from typing import Final

from kore._process.log.handlers import log
from kore._process.parent.generation import Backoff, Child
from kore._process.parent.launcher import Launcher
from kore._process.roles import Role

# Seconds until a singleton has to be ready.
START_TIMEOUT: Final = 60
# Seconds to finish after `Stop`.
STOP_TIMEOUT: Final = 5.0


class Singleton:
    """The owner of a singleton process: which role it has, and when it may be restarted."""

    def __init__(self, role: Role) -> None:
        self.role = role
        self.child: Child | None = None
        # It is to end, and is not restarted.
        self.retiring = False
        self.backoff = Backoff()

    def describe_child(self, child: Child) -> str:
        """Return the state of its process, for a status report."""
        return "ready" if child.ready else "starting"

    def describe_start(self, child: Child) -> str:
        """Return what its process has been doing since its start, as the start of a sentence."""
        return f"{child} has been starting"


class Singletons:
    """Starts, restarts and stops the singletons."""

    def __init__(self, launcher: Launcher, roles: Iterable[Role]) -> None:
        self.launcher = launcher
        self.loop = launcher.loop
        self.all = [Singleton(role) for role in roles]

    def start_all(self) -> None:
        """Start one process of each role."""
        for singleton in self.all:
            self._start(singleton)

    def start(self, role: Role) -> None:
        """Start a process of *role*, unless there is one or will be."""
        if not any(singleton.role is role for singleton in self.all):
            self.all.append(Singleton(role))
            self._start(self.all[-1])

    def _start(self, singleton: Singleton) -> None:
        """Start a process, unless it is no longer wanted; try again later if that fails."""
        if singleton.retiring:
            return
        singleton.backoff.start()
        role = singleton.role
        try:
            singleton.child = self.launcher.start_spawned(role, singleton, [], START_TIMEOUT)
        except OSError as error:
            log.error("cannot start %s: %s", role.name, error.strerror)
            self._restart(singleton)

    def _restart(self, singleton: Singleton) -> None:
        self.loop.after(singleton.backoff.wait(), lambda: self._start(singleton))

    def handle_exit(self, child: Child, how: str) -> None:
        """Log the exit of a singleton's process, and restart it unless it was stopped."""
        singleton = child.owner
        assert isinstance(singleton, Singleton)  # noqa: S101 - by its role
        singleton.child = None
        if singleton.retiring:
            log.info("%s %s", child, how)
            return
        reason = f": {child.exit_reason}" if child.exit_reason else ""
        log.error("%s %s%s", child, how, reason)
        log.info("restarting %s", singleton.role.name)
        self._restart(singleton)

    def stop_all(self, *, immediate: bool = False) -> None:
        """Stop all processes, and start no others."""
        for singleton in self.all:
            if not singleton.retiring:
                singleton.retiring = True
                if singleton.child is not None:
                    timeout = 0.0 if immediate else STOP_TIMEOUT
                    self.launcher.children.stop(singleton.child, timeout)
