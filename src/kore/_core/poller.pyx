# cython: language_level=3, boundscheck=False, wraparound=False
"""Watch descriptors with one epoll instance, driven from outside.

The poller knows no event loop: its own descriptor is registered with one
(`loop.add_reader(poller.fileno(), poller.dispatch)`), and `dispatch` does the rest.

Closing has two steps. A handler may close another connection whose event waits in the same batch,
so a closed source stays allocated, and its descriptor number taken, until the batch is over.
"""

from cpython.pythread cimport PyThread_get_thread_ident
from cpython.ref cimport PyObject
from libc.errno cimport errno

from kore._core.buffer cimport drain_pool
from kore._core.libc cimport (
    EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, close, epoll_create1, epoll_ctl,
    epoll_event, epoll_wait)

import logging
import os

log = logging.getLogger("kore")

cdef enum:
    BATCH = 256     # events of one dispatch; the rest is ready again at once


def complain(text, *arguments):
    """Log the exception at hand. A log that fails itself must not cost anybody a connection."""
    try:
        log.exception(text, *arguments)
    except BaseException:
        pass


cdef class Poller:
    """An epoll instance and the sources it watches."""

    def __cinit__(self):
        self.epfd = epoll_create1(EPOLL_CLOEXEC)
        if self.epfd < 0:
            raise OSError(errno, os.strerror(errno))
        self.sources = {}
        self.closing = []
        self.thread = PyThread_get_thread_ident()

    def __dealloc__(self):
        drain_pool(&self.pool)
        if self.epfd >= 0:
            close(self.epfd)

    def fileno(self):
        """Return the descriptor that is readable when `dispatch` has work."""
        return self.epfd

    def __len__(self):
        return len(self.sources)

    def dispatch(self):
        """Run everything that is ready. Never blocks, never raises."""
        if not self.in_batch:       # else called by what it calls
            self.work()

    cdef int work(self) except? -1:
        """Run a batch of what is ready; return how many events that were."""
        cdef epoll_event ready[BATCH]
        cdef Source source
        cdef int i
        cdef int count
        count = epoll_wait(self.epfd, ready, BATCH, 0)
        self.begin()
        for i in range(count):
            source = <Source><PyObject *>ready[i].data.ptr  # self.sources owns it until reap()
            if not source.closed:                           # by an earlier event of this batch
                self.run(source, ready[i].events)
        self.end()
        return count

    def sweep(self):
        """Give their due to all sources whose deadline has passed. Call it twice a second.

        What has come is looked at before: who blocks this process makes nobody else late.
        """
        cdef Source source
        cdef int64_t due
        cdef Py_ssize_t left = len(self.sources)
        if self.in_batch:
            return
        due = self.now()
        while left > 0 and self.work() == BATCH:    # not for ever: more may come all the time
            left -= BATCH
        self.begin()
        for source in list(self.sources.values()):
            if source.deadline and source.deadline <= due and not source.closed:
                self.run(source, 0)
        self.end()

    def leap(self, int milliseconds):
        """Be so much later from now on: nobody has to wait for a deadline to see what it does."""
        self.ahead += milliseconds

    def drain(self, *, bint patient=False, bint accept=True):
        """Tell all sources to end: the idle at once, unless *patient*, the others when done.

        *accept*: let in who waits at the door first; otherwise somebody else will.
        """
        cdef Source source
        cdef set known = set()
        if self.in_batch:
            return
        self.begin()
        while len(known) < len(self.sources):   # a listener lets in who waits at its door
            for source in set(self.sources.values()) - known:
                known.add(source)
                self.finish(source, patient, accept)
        self.end()

    def close(self):
        """Close every source and the poller itself."""
        cdef Source source
        for source in list(self.sources.values()):
            source.shut()
        if self.epfd >= 0:
            close(self.epfd)
            self.epfd = -1

    def abandon(self):
        """Let go of everything, in a child that somebody forked from this process.

        The child shares the epoll instance and all descriptors. It must neither change what is
        watched nor keep clients and ports open that are not its own; from here on nothing of
        this poller works in it.
        """
        cdef Source source
        if self.epfd >= 0:
            close(self.epfd)
            self.epfd = -1
        for source in list(self.sources.values()):
            source.closed = True
            close(source.handle)
            source.handle = -1
        # Not freed yet: a batch that is under way points to them.
        self.closing = list(self.sources.values())
        self.sources.clear()

    cdef int mine(self, str what) except -1:
        """Raise RuntimeError in another thread than the worker's."""
        if self.thread != PyThread_get_thread_ident():
            raise RuntimeError(f"{what} belongs to the worker's thread: "
                               "use loop.call_soon_threadsafe()")
        return 0

    cdef run(self, Source source, uint32_t events):
        # events 0: its deadline has passed
        try:
            if events:
                source.on_event(events)
            else:
                source.on_deadline()
        except BaseException:   # SystemExit too: nothing an application raises ends a worker
            self.give_up(source)

    cdef int begin(self) except -1:
        self.in_batch = True
        return 0

    cdef int end(self) except -1:
        self.in_batch = False
        return self.reap()

    cdef finish(self, Source source, bint patient, bint accept):
        try:
            if not source.closed:
                source.on_drain(patient, accept)
        except BaseException:
            self.give_up(source)

    cdef give_up(self, Source source):
        complain("fd %d: closed after an unexpected error", source.handle)
        try:
            source.shut()
        except BaseException:
            complain("fd %d: and closing it failed too", source.handle)

    cdef int reap(self) except -1:
        cdef Source source
        if self.in_batch:
            return 0
        while self.closing:
            source = self.closing.pop()
            if source.handle >= 0:
                del self.sources[source.handle]
                close(source.handle)
                source.handle = -1
        return 0


cdef class Source:
    """A descriptor that a poller watches."""

    def __cinit__(self):
        self.handle = -1
        self.closed = True      # until it has something to close

    def __dealloc__(self):
        if self.handle >= 0:
            close(self.handle)

    cdef int attach(self, Poller poller, int handle) except -1:
        """Begin: *handle* belongs to this source from here on."""
        cdef Source before = poller.sources.pop(handle, None)
        if before is not None:      # its descriptor was closed behind its back, and is another now
            before.registered = False
            before.handle = -1
            before.shut()
        self.poller = poller
        self.handle = handle
        self.closed = False
        poller.sources[handle] = self
        return 0

    cdef int watch(self, uint32_t events) except -1:
        """Say which events are wanted; errors and hang-ups are always reported."""
        cdef epoll_event event
        cdef int op = EPOLL_CTL_MOD if self.registered else EPOLL_CTL_ADD
        if self.closed or (events == self.watched and self.registered):
            return 0
        event.events = events
        event.data.ptr = <void *><PyObject *>self
        if epoll_ctl(self.poller.epfd, op, self.handle, &event) < 0:
            raise OSError(errno, os.strerror(errno))
        self.watched = events
        self.registered = True
        return 0

    cdef int shut(self) except -1:
        """End: no event comes here any more. The descriptor goes when the batch is over."""
        if self.closed:
            return 0
        # Not left to close(): a forked child may hold the same open file, and epoll would go on
        # to report events for an object that is gone.
        if self.registered:
            epoll_ctl(self.poller.epfd, EPOLL_CTL_DEL, self.handle, NULL)
        self.closed = True
        self.deadline = 0
        self.poller.closing.append(self)
        return self.poller.reap()

    cdef int on_event(self, uint32_t events) except -1:
        return 0

    cdef int on_deadline(self) except -1:
        return 0

    cdef int on_drain(self, bint patient, bint accept) except -1:
        return self.shut()
