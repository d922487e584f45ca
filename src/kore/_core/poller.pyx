# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""Watch descriptors with one epoll instance, and call their sources when they are ready.

The poller needs little of an event loop: `attach_loop` registers the descriptor of the epoll
instance with one, and `dispatch` does the rest.

Closing has two steps. `close` only marks a source: it gets no more events, and loops that look at
its `closed` stop. Memory, tasks and descriptor are released by `on_closed` when the batch is over,
or soon where there is none. `close` may be called from anywhere, also from a finalizer that the
garbage collector runs inside of an allocation of the core, and the frames below go on with what
they hold.

epoll is given a number and a generation for each source, never a pointer. The kernel watches open
files, not descriptors: when an application duplicates a descriptor and closes it, events go on to
come for a source that is gone. They are dropped, and the epoll instance is replaced by a new one,
because nothing else takes such a file off its list.
"""

from cpython.pythread cimport PyThread_get_thread_ident
from cpython.ref cimport PyObject
from libc.errno cimport errno

from kore._core.buffer cimport drain_pool
from kore._core.libc cimport close as close_fd
from kore._core.libc cimport (
    EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, epoll_create1, epoll_ctl,
    epoll_event, epoll_wait)
from kore._core.table cimport add_entry, clear_table, find_entry, remove_entry

import logging
import os

log = logging.getLogger("kore")

cdef enum:
    BATCH = 256     # events of one dispatch; others are reported by the next one


def log_exception(text, *arguments):
    """Log the current exception; an error of the log itself must not close connections."""
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
        clear_table(&self.table)
        if self.epfd >= 0:
            close_fd(self.epfd)

    def fileno(self):
        """Return the descriptor that is readable when `dispatch` has something to do."""
        return self.epfd

    def __len__(self):
        return len(self.sources)

    def attach_loop(self, loop not None):
        """Have *loop* call `dispatch` when something is ready."""
        loop.add_reader(self.epfd, self.dispatch)
        self.loop = loop

    def take_events(self):
        """Return the number of events since the last call."""
        events, self.events = self.events, 0
        return events

    def free_spares(self):
        """Free the memory blocks that are kept for reuse."""
        drain_pool(&self.pool)

    def detach_loop(self):
        """Stop the loop from calling `dispatch`."""
        loop, self.loop = self.loop, None
        if loop is not None and self.epfd >= 0:
            loop.remove_reader(self.epfd)

    def dispatch(self):
        """Call all sources that are ready. Never blocks, never raises."""
        if not self.in_batch:       # else a source it calls has called it
            self.run_batch()

    cdef int run_batch(self) except? -1:
        """Call the sources that are ready, at most BATCH; return the number of events."""
        cdef epoll_event ready[BATCH]
        cdef PyObject *found
        cdef PollSource source
        cdef int i
        cdef int count
        count = epoll_wait(self.epfd, ready, BATCH, 0)
        self.events += max(count, 0)
        self.begin_batch()
        for i in range(count):
            found = find_entry(&self.table, ready[i].data.u64)
            if found == NULL:
                self.stale = True
                continue
            source = <PollSource>found          # self.sources owns it until it is released
            if not source.closed:           # by an earlier event of this batch
                self.handle_event(source, ready[i].events)
        self.end_batch()
        if self.stale:
            self.replace_epoll()
        return count

    def sweep(self):
        """Call `on_deadline` of all sources whose deadline has passed. Call it twice a second.

        Events are handled first: if this process was blocked, no client is late because of that.
        """
        cdef PollSource source
        cdef int64_t due
        cdef Py_ssize_t left = len(self.sources)
        if self.in_batch:
            return
        due = self.now()
        while left > 0 and self.run_batch() == BATCH:    # bounded: more may arrive all the time
            left -= BATCH
        self.begin_batch()
        for source in list(self.sources.values()):
            if source.deadline and source.deadline <= due and not source.closed:
                self.handle_event(source, 0)
        self.end_batch()

    def advance_clock(self, int milliseconds):
        """Set the clock forward, so that tests need not wait for deadlines."""
        self.ahead += milliseconds

    def drain(self, *, bint patient=False, bint accept=True):
        """Have all sources end: idle ones at once, unless *patient*, others when they are done.

        *accept*: accept the clients in the kernel's queues first; else another process does.
        """
        cdef PollSource source
        cdef set known = set()
        if self.in_batch:
            return
        self.begin_batch()
        # Listeners first, and closed at once: what the kernel queues after their last accept is
        # lost, and the others may take their time.
        for source in list(self.sources.values()):
            if source.is_listener:
                self.drain_source(source, patient, accept)
                if source.closed and source in self.closing:
                    self.closing.remove(source)
                    self.release(source)
        while len(known) < len(self.sources):
            for source in set(self.sources.values()) - known:
                known.add(source)
                self.drain_source(source, patient, accept)
        self.end_batch()

    def close(self):
        """Close every source and the poller itself."""
        cdef PollSource source
        self.detach_loop()
        for source in list(self.sources.values()):
            source.close()
        self.release_closed()
        if self.epfd >= 0:
            close_fd(self.epfd)
            self.epfd = -1

    def release_scheduled(self):
        """Release the sources that were closed outside of a batch."""
        self.release_planned = False
        self.release_closed()

    def abandon(self):
        """Close everything, in a child process that was forked from this one.

        The child shares the epoll instance and all descriptors. It must neither change what is
        watched nor keep connections and ports of its parent open. The poller does not work in it
        from here on.
        """
        cdef PollSource source
        if self.epfd >= 0:
            close_fd(self.epfd)
            self.epfd = -1
        for source in list(self.sources.values()):
            source.closed = True
            close_fd(source.fd)
            source.fd = -1
        # Not released: that would respond to clients which the other process goes on to serve.
        self.inherited = list(self.sources.values())
        self.closing = []
        self.sources.clear()
        clear_table(&self.table)

    cdef int check_thread(self, str what) except -1:
        """Raise RuntimeError in another thread than the worker's."""
        if self.thread != PyThread_get_thread_ident():
            raise RuntimeError(f"{what} belongs to the worker's thread: "
                               "use loop.call_soon_threadsafe()")
        return 0

    cdef handle_event(self, PollSource source, uint32_t events):
        # events 0: its deadline has passed
        try:
            if events:
                source.on_event(events)
            else:
                source.on_deadline()
        except BaseException:   # SystemExit too: nothing an application raises ends a worker
            self.close_after_error(source)

    cdef int begin_batch(self) except -1:
        self.in_batch = True
        return 0

    cdef int end_batch(self) except -1:
        self.in_batch = False
        return self.release_closed()

    cdef drain_source(self, PollSource source, bint patient, bint accept):
        try:
            if not source.closed:
                source.on_drain(patient, accept)
        except BaseException:
            self.close_after_error(source)

    cdef close_after_error(self, PollSource source):
        log_exception("fd %d: closed after an unexpected error", source.fd)
        try:
            source.close()
        except BaseException:
            log_exception("fd %d: close failed as well", source.fd)

    cdef int replace_epoll(self) except -1:
        """Replace the epoll instance by one that watches the open sources and nothing else."""
        cdef PollSource source
        cdef int fresh = -1
        self.stale = False
        if self.epfd >= 0:
            fresh = epoll_create1(EPOLL_CLOEXEC)
        if fresh < 0:       # closed meanwhile, or no descriptor is left: the next event tries again
            return 0
        loop = self.loop
        self.detach_loop()
        close_fd(self.epfd)
        self.epfd = fresh
        for source in list(self.sources.values()):
            if source.registered and not source.closed:
                source.register_again()
        if loop is not None:
            self.attach_loop(loop)
        return 0

    # ---- closing

    cdef int schedule_release(self) except -1:
        """Have `release_closed` called; never fails: at the latest the next sweep does it."""
        if self.in_batch or self.release_planned or self.loop is None:
            return 0
        try:
            self.loop.call_soon(self.release_scheduled)
            self.release_planned = True
        except BaseException:   # a loop that is closed, a stack that is used up
            pass
        return 0

    cdef int release_closed(self) except -1:
        """Release closed sources, unless in a batch, and those which that closes."""
        cdef list closed
        if self.in_batch:
            return 0
        while self.closing:
            self.in_batch = True
            closed, self.closing = self.closing, []
            try:
                for source in closed:
                    self.release(source)
            finally:
                self.in_batch = False
        return 0

    cdef release(self, PollSource source):
        cdef int fd = source.fd
        try:
            source.on_closed()
        except BaseException:
            log_exception("fd %d: releasing what it held failed", fd)
        if source.fd < 0:
            return
        source.fd = -1
        self.sources.pop(fd, None)
        remove_entry(&self.table, source.key)
        if not source.fd_lost:
            close_fd(fd)


cdef class PollSource:
    """A descriptor that a poller watches. Owned: it is closed with this object."""

    def __cinit__(self):
        self.fd = -1
        self.closed = True      # until it has something to close

    def __dealloc__(self):
        if self.fd >= 0:
            close_fd(self.fd)

    cdef int attach(self, Poller poller, int fd) except -1:
        """Take over *fd*, and be called for its events."""
        cdef PollSource before = poller.sources.pop(fd, None)
        self.poller = poller
        self.fd = fd
        self.key = add_entry(&poller.table, fd, <PyObject *>self)
        poller.sources[fd] = self
        self.closed = False
        if before is not None:      # its descriptor was closed behind its back, and is another now
            before.registered = False
            before.fd = -1
            before.close()
        return 0

    cdef int watch(self, uint32_t events) except -1:
        """Set the events to be reported; errors and hang-ups always are."""
        cdef epoll_event event
        cdef int op = EPOLL_CTL_MOD if self.registered else EPOLL_CTL_ADD
        if self.closed or (events == self.watched and self.registered):
            return 0
        event.events = events
        event.data.u64 = self.key
        if epoll_ctl(self.poller.epfd, op, self.fd, &event) < 0:
            raise OSError(errno, os.strerror(errno))
        self.watched = events
        self.registered = True
        return 0

    cdef int unwatch(self) except -1:
        """Stop all reports, even of hang-ups, until `watch` is called again."""
        if self.registered and not self.closed:
            epoll_ctl(self.poller.epfd, EPOLL_CTL_DEL, self.fd, NULL)
            self.registered = False
        return 0

    cdef int verify(self) except -1:
        """After an event without data: close if the descriptor is another file by now."""
        cdef epoll_event event
        event.events = self.watched
        event.data.u64 = self.key
        if self.registered and not self.closed and epoll_ctl(
                self.poller.epfd, EPOLL_CTL_MOD, self.fd, &event) < 0:
            return self.close()
        return 0

    cdef int register_again(self) except -1:
        """Register with a new epoll instance as with the old one."""
        if not self.registered:
            return 0
        self.registered = False
        try:
            self.watch(self.watched)
        except OSError:         # its descriptor was closed behind its back
            self.fd_lost = True
            self.close()
        return 0

    cdef int close(self) except -1:
        """Stop all events; `on_closed` releases what it holds later."""
        if self.closed:
            return 0
        self.closed = True
        self.deadline = 0
        # Not left to close(): a forked child may hold the same open file, and epoll would go on
        # to report events for it. If it is not this descriptor's any more, neither is the number.
        if self.registered and self.poller.epfd >= 0 and epoll_ctl(
                self.poller.epfd, EPOLL_CTL_DEL, self.fd, NULL) < 0:
            self.fd_lost = True
        self.poller.closing.append(self)
        return self.poller.schedule_release()

    cdef int on_closed(self) except -1:
        """Release what the source holds; no code of the core is using it."""
        return 0

    cdef int on_event(self, uint32_t events) except -1:
        return 0

    cdef int on_deadline(self) except -1:
        return 0

    cdef int on_drain(self, bint patient, bint accept) except -1:
        return self.close()
