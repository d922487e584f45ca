"""What the parent holds on behalf of all: listening sockets, the log, the pid file."""

import contextlib
from collections.abc import Sequence

from kore._http.folder import sweep
from kore._process import logs
from kore._process.channel import DESCRIPTORS_MAX
from kore._process.children import Child
from kore._process.generation import Generation
from kore._process.logs import log
from kore._process.plan import Pidfile, Plan
from kore._process.sockets import Listeners, shown
from kore.errors import ConfigError


class Holdings:
    """Opened for a generation, kept from one to the next, given back at the end."""

    def __init__(self) -> None:
        self.listeners = Listeners()
        self.destination = logs.Destination()
        self.pidfile = Pidfile()
        # Where workers keep bodies in files.
        self.bodies = ""

    def equip(self, generation: Generation, plan: Plan, *, same_user: bool) -> None:
        """Open what a generation needs before its workers. ConfigError: it cannot be had."""
        plan.refuse_what_is_missing(same_user=same_user)
        if len(plan.servers) > DESCRIPTORS_MAX - 2:
            raise ConfigError(f"{len(plan.servers)} servers are more than a worker can be handed")
        sockets = self.listeners.take(
            plan.servers,
            plan.accepting,
            plan.settings.socket_backlog,
            shared=plan.settings.accept_mode == "shared",
        )
        generation.equip(plan, sockets)

    def adopt(self, plan: Plan) -> None:
        """Write log and pid file where *plan* wants them. ConfigError: the log cannot be had."""
        try:
            self.destination.open(plan.settings.logfile)
        except OSError as error:
            raise ConfigError(f"logfile {plan.settings.logfile}: {error.strerror}") from None
        if plan.settings.http_body_disk_offload:
            self.bodies = plan.settings.http_body_disk_path
        if warning := self.pidfile.write(plan.pidfile):
            log.warning("%s", warning)

    def keep(self, generation: Generation | None) -> None:
        """Close the listening sockets that this generation does not use."""
        used = self.listeners.places(generation.sockets) if generation else set()
        self.listeners.keep(used)

    def announce(self, generation: Generation) -> None:
        """Say where a generation serves."""
        for named in generation.sockets.values():
            for server, sock in named:
                log.info("%s serving http on %s", server, shown(sock))
            # The others listen on the same addresses.
            break

    def report(self, children: Sequence[Child]) -> None:
        """Write the state of everything to the log."""
        self.destination.write("[parent]", f"status: {len(children)} children")
        for child in children:
            state = child.generation.report(child)
            self.destination.write("[parent]", f"status: {child} {state}")

    def reopen_log(self) -> None:
        """Open the log file anew, after it has been moved away."""
        try:
            self.destination.reopen()
        except OSError as error:
            log.error("logfile %s: %s, going on with the old one", self.destination.path, error)

    def release(self, seconds: float) -> None:
        """Give all of it back; the last lines get so much time."""
        self.listeners.keep(())
        self.pidfile.remove()
        if self.bodies:
            with contextlib.suppress(OSError):
                sweep(self.bodies)
        self.destination.drain(seconds)
