"""Has the key process load the files of domains: at the start, when they change, on request.

If files are not good, what was loaded before stays; each cause is logged once.
"""

import time
from collections.abc import Callable
from typing import Final

from kore._process.eventloop import CallbackLoop
from kore._process.ipc.channel import close_descriptors
from kore._process.ipc.tls_messages import (
    DomainLoaded,
    DomainRefused,
    DomainUnchanged,
    DropKeys,
    LoadDomain,
)
from kore._process.log.handlers import log
from kore._process.parent.generation import Child
from kore._process.parent.key_process_link import KeyProcessLink
from kore._process.parent.tls_domains import DomainLoad, DomainState, TlsDomains

# Seconds until refused files are tried again though they have not changed: a certificate may have
# become valid.
RETRY_INTERVAL: Final = 3600.0
# Ends of the key process while it loads the same files, after which they are refused, and seconds
# until they are tried again.
ENDS_MAX: Final = 2
END_RETRY_INTERVAL: Final = 60.0
# Loads that the key process has at a time: their files are open meanwhile.
LOADS_MAX: Final = 16
# Earlier loads of a domain, which a worker that is stuck has not replaced, until it waits.
OLD_MAX: Final = 8


class TlsLoader:
    """Hands files to the key process, and handles what it replies.

    *watch_interval* is the time between two looks at the files, in seconds. *on_look* is called
    before each look, *on_loaded* with a new load of a domain, *on_problems* when files were not
    good.
    """

    def __init__(
        self,
        loop: CallbackLoop,
        domains: TlsDomains,
        keys: KeyProcessLink,
        watch_interval: float,
    ) -> None:
        self.loop = loop
        self.domains = domains
        self.keys = keys
        self.watch_interval = watch_interval
        self.on_look: Callable[[], object] = lambda: None
        self.on_loaded: Callable[[DomainState, DomainLoad], object] = lambda _state, _load: None
        self.on_problems: Callable[[], object] = lambda: None
        self._loads = iter(range(1, 2**28))
        self._is_watching = False

    # ---- files

    def watch(self) -> None:
        """Look at the files from time to time, as long as there are any."""
        if not self._is_watching and self.domains.all:
            self._is_watching = True
            self.loop.after(self.watch_interval, self._look)

    def _look(self) -> None:
        self._is_watching = False
        self.on_look()
        now = time.monotonic()
        for state in self.domains.all:
            is_retry = state.problems and now >= state.retry_at
            if state.files.is_changed() or is_retry:
                state.is_waiting = True
        self.load_waiting()
        self.watch()

    def load_all(self) -> None:
        """Load all files now, on request."""
        for state in self.domains.all:
            state.is_waiting = state.is_requested = True
        self.load_waiting()

    def load_waiting(self) -> None:
        """Have the key process load the domains that wait for it, some at a time."""
        busy = sum(bool(state.loading or state.candidate) for state in self.domains.all)
        # One after the other if one of them may have ended the key process: which it was.
        limit = 1 if any(state.ends for state in self.domains.all) else LOADS_MAX
        for state in self.domains.all if self.keys.is_ready else ():
            # A domain has one load at a time: numbers of later loads are higher.
            is_free = not state.loading and state.candidate is None and len(state.old) < OLD_MAX
            if state.is_waiting and is_free and busy < limit:
                busy += self._load(state)

    def _load(self, state: DomainState) -> bool:
        """Hand the files of a domain to the key process. Returns False if that is not possible."""
        state.is_waiting = False
        descriptors, problems = state.files.open_all()
        if problems:
            self.report_problems(state, problems)
            return False
        state.loading = next(self._loads)
        config = state.config
        self.keys.send(
            LoadDomain(
                load=state.loading,
                domain_id=state.number,
                server=config.server,
                domain=config.domain,
                verify_depth=config.verify_depth,
                kinds=state.files.kinds,
                paths=state.files.paths,
                replaces=state.current is not None,
                descriptors=descriptors,
            )
        )
        close_descriptors(descriptors)
        return True

    def report_problems(self, state: DomainState, problems: tuple[str, ...]) -> None:
        """Log what is wrong with the files of a domain that is served, once for each cause."""
        state.retry_at = time.monotonic() + RETRY_INTERVAL
        is_news = state.is_requested or problems != state.problems
        state.is_requested = False
        if state.current is not None and is_news:
            for problem in problems:
                log.error("%s; %s is served further", state.config.locate(problem), state.current)
        state.problems = problems
        self.on_problems()

    def stop_loading(self) -> None:
        """Load again what the key process was loading, when there is another one.

        Unless it ends again: then the files are what makes it end.
        """
        for state in [state for state in self.domains.all if state.loading]:
            state.loading = 0
            state.ends += 1
            if state.ends < ENDS_MAX:
                state.is_waiting = True
            else:
                state.ends = 0
                self.report_problems(state, ("the key process has ended while it read the files",))
                state.retry_at = time.monotonic() + END_RETRY_INTERVAL

    # ---- replies

    def handle_loaded(self, _: Child, message: DomainLoaded) -> None:
        """Pass on what the key process has loaded."""
        state = self._take_loading(message.load)
        if state is None:
            # Its generation is gone.
            close_descriptors(message.descriptors)
            self.keys.send(DropKeys(message.load))
            return
        state.problems = ()
        for warning in message.warnings:
            log.warning("%s", state.config.locate(warning))
        material, secret = message.descriptors
        load = DomainLoad(message.load, message.serial, message.not_after, material, secret)
        self.on_loaded(state, load)
        self.load_waiting()

    def handle_unchanged(self, _: Child, message: DomainUnchanged) -> None:
        """Go on with what is served."""
        state = self._take_loading(message.load)
        if state is not None and state.problems:
            state.problems = ()
            log.info("%s: the files are those of %s again", state, state.current)
        self.load_waiting()

    def handle_refused(self, _: Child, message: DomainRefused) -> None:
        """Go on with what is served; without that, the domain cannot be served."""
        state = self._take_loading(message.load)
        if state is not None:
            self.report_problems(state, message.problems)
        self.load_waiting()

    def _take_loading(self, load: int) -> DomainState | None:
        """Return the domain of a load, which is finished; None if it is not wanted any more."""
        state = self.domains.find_loading(load)
        if state is not None:
            state.loading = state.ends = 0
        return state
