# cython: language_level=3, boundscheck=False, wraparound=False
"""One client: bytes in, requests out, one at a time, and the answers back.

A connection is a small machine with a stage and three verbs: `read` takes what the socket has,
`advance` runs whatever the inbox holds, `settle` sends what waits and decides what to wait for.
Pipelined requests are a loop in `advance`, and their answers leave in one write of `settle`.
"""

from libc.stdint cimport uint32_t

from kore._core.buffer cimport BLOCK, borrow_wide, held, narrow
from kore._core.libc cimport EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP
from kore._core.receiver cimport (
    FINISHING, HEADING, IDLE, LINGERING, RECEIVING, RUNNING, SKIPPING, STREAMING, UPGRADED)
from kore._core.request cimport Request
from kore._core.stream cimport GONE, LATER

cdef enum:
    SERVICE_RESTART = 1012      # the WebSocket registry's

    LINGER_MS = 2000    # RFC 9112 9.6 asks to read on for a while; nginx waits 5 s, Apache 2


cdef class Lifecycle(Intake):
    """Drives one connection by events and deadlines; `Connection` adds what applications see."""

    cdef int open(self, Poller poller, Service service, object resolve, int handle) except -1:
        """Take over a connected socket. From here on it belongs to this object."""
        self.attach(poller, handle)
        self.service = service
        self.resolve = resolve
        self.limit = poller.now() + service.header_ms
        service.entered()
        return self.wait_for(1)

    cdef bint talk(self) except -1:
        if self.socket.step():
            return True
        narrow(&self.inbox, &self.poller.pool)      # who sends half a head, or does not read
        return False

    # ---- events

    cdef int on_event(self, uint32_t events) except -1:
        # Lingering, a hang-up only says that both sides have ended: what the client sent before is
        # read first, or closing would be a reset, and destroy the answer on its way.
        if events & EPOLLERR or (events & EPOLLHUP and self.stage != LINGERING):
            return self.shut()
        if events & (EPOLLIN | EPOLLRDHUP):
            if events & EPOLLIN and self.watched & EPOLLIN:
                self.read()
            else:
                self.leaving = True
        if not self.closed:
            self.advance()
        return 0

    cdef int on_deadline(self) except -1:
        cdef Request request = self.current     # an answer ends it: it has to outlive that
        if self.stuck and self.stuck <= self.poller.now():
            return self.still_reads()
        if self.stage == UPGRADED:
            return self.socket.on_deadline()
        if self.stage == HEADING:
            self.reject(408)
        elif self.receives():
            self.limit = self.due()
            if self.limit > self.poller.now():
                return self.wait_for(1)
            self.spoil(request, 408)
        else:
            return self.shut()
        return self.settle()

    cdef int still_reads(self) except -1:
        # Sending may stop for longer than the client does: the kernel asks for more only when
        # much of what it holds is gone. What counts is what the client has acknowledged.
        cdef int64_t reached = self.acknowledged()
        if reached <= self.reached:
            return self.shut()
        self.reached = reached
        self.stuck = self.poller.now() + self.service.write_ms
        return self.wait_for(0)

    cdef bint receives(self) noexcept:
        return self.stage == RECEIVING or self.stage == STREAMING

    cdef int on_drain(self, bint patient, bint accept) except -1:
        if self.stage == UPGRADED:
            self.socket.leave(SERVICE_RESTART, "service restart", 0)
            return 0
        if patient:
            return 0
        if self.stage == IDLE and not self.blocked:
            self.read()             # a request may have arrived that nobody has read yet
            self.advance()
        if (self.stage == IDLE and not self.blocked) or self.stage == SKIPPING:
            self.linger = self.linger or self.stage == SKIPPING
            self.hang_up()
            self.settle()
        return 0

    cdef int read(self) except -1:
        cdef Py_ssize_t count
        if self.stage == LINGERING or self.stage == FINISHING:
            return self.discard()
        if self.receives() and self.reader.length >= 0 and not held(&self.inbox):
            return self.read_direct()
        if self.stage == UPGRADED:
            borrow_wide(&self.inbox, &self.poller.pool)
        count = self.fill()
        if count == GONE:
            return self.shut()
        return self.verify() if count == LATER else 0

    cdef int read_direct(self) except -1:
        # a body of known length, into the object that the application gets
        cdef size_t room = 0
        cdef char *tail = self.reader.tail(&room)
        cdef Py_ssize_t count = self.receive(tail, room)
        if count > 0:
            return self.reader.received(count)
        if count == 0:
            self.ended = True
        if count == LATER:
            return self.verify()
        return self.shut() if count == GONE else 0

    cdef int discard(self) except -1:
        cdef char scrap[BLOCK]
        cdef Py_ssize_t count = self.receive(scrap, BLOCK)
        if count == 0 and self.stage == FINISHING:
            self.ended = True
            return 0
        if count == LATER:
            return self.verify()
        return self.shut() if count == 0 or count == GONE else 0

    # ---- the three verbs: read (above), advance, settle

    cdef int advance(self) except -1:
        """Run what the inbox holds, one request at a time, and send the answers.

        A loop that response() re-enters without effect, never a recursion: a client may
        pipeline thousands.
        """
        cdef int sent = 1
        if self.advancing or self.closed:
            return 0
        while True:
            self.advancing = True
            try:
                while self.step():
                    pass
            finally:
                self.advancing = False
            if self.closed:
                return 0
            sent = self.pump()
            if self.closed or sent != 1 or not self.blocked:
                return self.rest(sent)

    def resume(self):
        """Go on after an answer that was given outside of the loop."""
        self.advance()

    cdef int settle(self) except -1:
        """Send what waits, then wait for what comes next; `advance` does it for its own answers."""
        cdef int sent
        if self.advancing or self.closed:
            return 0
        sent = self.pump()
        if sent == 1 and self.blocked:
            return self.advance()
        return self.rest(sent)

    cdef int rest(self, int sent) except -1:
        if self.closed:
            return 0
        if sent == 2:
            return self.shut()
        if self.ended and self.stage <= SKIPPING and not self.more():
            if self.stage == STREAMING:
                return self.shut()
            self.hang_up()      # no request can become complete any more
        if self.ended and self.stage == UPGRADED and self.socket.idle():
            self.hang_up()
        if self.stage == FINISHING and sent == 1:
            return self.finished()
        if (self.leaving or self.ended) and not self.asked and (
                self.stage == RUNNING or (self.stage == STREAMING and self.paused)
                or self.stage == UPGRADED):
            self.ask()
        return self.wait_for(0 if self.waiting() else sent)

    cdef bint more(self) noexcept:
        # requests that nobody has looked at yet, or a body that somebody is busy with
        return self.blocked or self.paused or (self.stage == IDLE and held(&self.inbox) > 0)

    cdef int finished(self) except -1:
        if not self.linger or self.ended:
            return self.shut()
        self.half_close()
        self.stage = LINGERING
        self.limit = self.poller.now() + LINGER_MS
        return self.wait_for(1)

    cdef int ask(self) except -1:
        """Find out whether a client that stopped sending is still there to be answered.

        A half-closed connection and one that was left look the same. An interim 100 response,
        which every HTTP/1.1 client must skip (RFC 9110 15.2), tells them apart: the system of a
        client that left answers it with a reset, and the handler is cancelled.
        """
        self.asked = True
        if self.stage == UPGRADED:
            self.socket.ask()
        elif self.current.head.minor and not self.current.opened:
            self.put(b"HTTP/1.1 100 Continue\r\n\r\n", 25)
        if self.flush() == 2:
            return self.shut()
        return 0

    cdef int wait_for(self, int sent) except -1:
        """Choose what epoll shall report: the one place where both buffers are looked at."""
        cdef uint32_t events = 0
        if not self.ended:
            if self.stage != RUNNING or held(&self.inbox) < BLOCK:
                events |= 0 if self.blocked or self.paused else EPOLLIN
            if not self.leaving:
                events |= EPOLLRDHUP
        if sent == 0:
            events |= EPOLLOUT
            if self.stuck == 0:
                self.reached = self.acknowledged()
                self.stuck = self.poller.now() + self.service.write_ms
        else:
            self.stuck = 0
        self.deadline = self.stuck or self.limit
        if self.stage == UPGRADED and self.limit:
            self.deadline = min(self.deadline, self.limit)
        return self.watch(events)

    cdef int shut(self) except -1:
        if self.closed:
            return 0
        if self.socket is not None:
            self.socket.cut()
        return Intake.shut(self)

    cdef int on_closed(self) except -1:
        if self.says_rest:
            self.flush()
        self.record_loss()
        Intake.on_closed(self)
        self.service.left()
        self.release()
        return 0 if self.socket is None else self.socket.gone()
