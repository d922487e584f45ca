# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""One client: bytes in, requests out, one at a time, and the answers back.

A connection is a small machine with a stage and three verbs: `read` takes what the socket has,
`advance` runs whatever the inbox holds, `settle` sends what waits and decides what to wait for.
Pipelined requests are a loop in `advance`, and their answers leave in one write of `settle`.
"""

cimport cython
from libc.stdint cimport uint32_t

from kore._core.buffer cimport BLOCK_SIZE, borrow_wide_block, buffered_size, shrink_block
from kore._core.libc cimport (
    AF_INET, AF_INET6, EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP, sockaddr)
from kore._core.probes cimport probe_often
from kore._core.receiver cimport (
    FINISHING, HEADING, IDLE, LINGERING, RECEIVING, RUNNING, SKIPPING, STREAMING, UPGRADED)
from kore._core.refusals cimport REFUSE_BODY_TIMEOUT, REFUSE_HEAD_TIMEOUT
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
        shrink_block(&self.inbox, &self.poller.pool)      # who sends half a head, or does not read
        return False

    # ---- events

    cdef int on_event(self, uint32_t events) except -1:
        # What a client sent before it hung up, or before an error, can still be read (recv(2)
        # returns it first). Closing while lingering would be a reset, and destroy the answer.
        if self.stage == LINGERING:
            return self.shut() if events & EPOLLERR else self.read()
        if events & (EPOLLERR | EPOLLHUP):
            self.lose_output()
            if self.wants_input():
                self.read()
        elif events & (EPOLLIN | EPOLLRDHUP):
            if events & EPOLLIN and self.watched & EPOLLIN:
                self.read()
            else:
                self.leaving = True
        if not self.closed:
            self.advance()
        return 0

    cdef int on_deadline(self) except -1:
        cdef Request request = self.current     # an answer ends it: it has to outlive that
        cdef int64_t now = self.poller.now()
        if self.stuck and self.stuck <= now:
            return self.still_reads()
        if self.asked and self.gone_at and self.gone_at <= now:
            return self.check_presence()
        if self.stage == UPGRADED:
            return self.socket.on_deadline()
        if self.stage == HEADING:
            self.reject(REFUSE_HEAD_TIMEOUT)
        elif self.receives():
            self.limit = self.due()
            if self.limit > self.poller.now():
                return self.wait_for(1)
            self.refuse_body(request, REFUSE_BODY_TIMEOUT)
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
        if self.stage == IDLE and not self.blocked and not self.yields:
            self.read()             # a request may have arrived that nobody has read yet
            self.advance()
        if self.stage == IDLE and not self.blocked and not self.yields and not self.waiting():
            self.await_last()
        elif (self.stage == IDLE and not self.blocked and not self.yields) or (
                self.stage == SKIPPING):
            self.linger = True      # the client did not know: its next request may be on its way
            self.hang_up()
            self.settle()
        return 0

    cdef int await_last(self) except -1:
        """Give an idle client a moment: a request of it may be on its way, its first perhaps."""
        cdef int64_t until = self.poller.now() + LAST_MS
        if not self.received:
            until = max(until, self.limit - self.service.header_ms + NEW_MS)
        self.limit = min(self.limit, until)
        return self.settle()

    cdef int read(self) except -1:
        cdef Py_ssize_t count
        if self.stage == LINGERING or self.stage == FINISHING:
            return self.discard()
        if self.receives() and self.reader.length >= 0 and not buffered_size(&self.inbox):
            return self.read_direct()
        if self.stage == UPGRADED:
            borrow_wide_block(&self.inbox, &self.poller.pool)
        count = self.fill()
        if count == LATER:
            return self.verify()
        return self.all_is_read() if count == GONE else 0

    cdef int read_direct(self) except -1:
        # a body of known length, into the object that the application gets
        cdef size_t room = 0
        cdef char *tail = self.reader.reserve_tail(&room)
        cdef Py_ssize_t count = self.receive(tail, room)
        if count > 0:
            return self.reader.add_received(count)
        if count == 0:
            self.ended = True
        if count == LATER:
            return self.verify()
        return self.all_is_read() if count == GONE else 0

    cdef int all_is_read(self) except -1:
        """Take note of an error of the socket: everything that was received before it is read."""
        self.ended = True
        return self.lose_output()

    cdef int discard(self) except -1:
        cdef char scrap[BLOCK_SIZE]
        cdef Py_ssize_t count = self.receive(scrap, BLOCK_SIZE)
        if count == 0 and self.stage == FINISHING:
            self.ended = True
            return 0
        if count == LATER:
            return self.verify()
        return self.shut() if count == 0 or count == GONE else 0

    # ---- the three verbs: read (above), advance, settle

    @cython.nonecheck(False)
    cdef int advance(self) except -1:
        """Run what the inbox holds, one request at a time, and send the answers.

        A loop that response() re-enters without effect, never a recursion: a client may
        pipeline thousands. After `http_request_ms` it is the turn of the other connections.
        """
        cdef int sent = 1
        cdef int64_t turn_over
        if self.advancing or self.closed or self.yields:
            return 0
        self.moment = self.poller.now()
        turn_over = self.moment + self.service.turn_ms
        while True:
            self.advancing = True
            try:
                while self.step():
                    if buffered_size(&self.inbox):
                        self.moment = self.poller.now()
                        self.yields = self.moment >= turn_over
                        if self.yields:
                            break
            finally:
                self.advancing = False
            if self.closed:
                return 0
            sent = self.pump()
            if self.yields and not self.closed:
                self.service.defer(self.resume)
            if self.yields or self.closed or not self.blocked or (sent != 1 and not self.broken):
                return self.rest(sent)

    def resume(self):
        """Go on after an answer that was given outside of the loop, or when others had a turn."""
        self.yields = False
        self.resuming = False
        self.advance()

    cdef int settle(self) except -1:
        """Send what waits, then wait for what comes next; `advance` does it for its own answers."""
        cdef int sent
        if self.advancing or self.closed:
            return 0
        sent = self.pump()
        if self.blocked and (sent == 1 or self.broken) and not self.resuming:
            self.resuming = True
            self.service.defer(self.resume)     # not from here: an application may be on the stack
        return self.rest(sent)

    @cython.nonecheck(False)
    cdef int rest(self, int sent) except -1:
        if self.closed:
            return 0
        if self.broken:
            return self.finish_reading()
        if self.ended and self.stage <= SKIPPING and not self.more():
            if self.stage == STREAMING:
                return self.shut()
            self.hang_up()      # no request can become complete any more
        if self.ended and self.stage == UPGRADED and self.socket.idle() and not self.yields:
            self.hang_up()
        if self.stage == FINISHING and sent == 1:
            return self.finished()
        if (self.leaving or self.ended) and not self.asked and (
                self.stage == RUNNING or (self.stage == STREAMING and self.paused)
                or self.stage == UPGRADED):
            self.ask()
        return self.wait_for(0 if self.waiting() else sent)

    @cython.nonecheck(False)
    cdef bint more(self) noexcept:
        # requests that nobody has looked at yet, or a body that somebody is busy with
        return self.blocked or self.paused or self.yields or (
            buffered_size(&self.inbox) > 0 and (self.stage == IDLE or self.stage == SKIPPING))

    cdef int part(self) except -1:
        """Close when all that waits has been sent, and say nothing else."""
        self.parting = True
        if self.broken or (self.current is not None and not self.waiting()):
            return self.shut()
        if self.waiting() or self.stage == SKIPPING or (
                self.is_inet() and self.acknowledged() < self.transferred):
            self.linger = True      # a reset could destroy what is on its way
        if self.current is None:
            self.hang_up()
        else:
            self.blocked = False
            self.stage = FINISHING
            self.limit = 0
        return self.settle()

    cdef int finished(self) except -1:
        if not self.linger or self.ended or self.current is not None:
            return self.shut()
        self.half_close()
        self.stage = LINGERING
        self.limit = self.poller.now() + LINGER_MS
        return self.wait_for(1)

    # ---- a client that ended its sending side, or is gone

    cdef int finish_reading(self) except -1:
        """Go on with what was received from a client that can be told nothing any more."""
        if self.stage == FINISHING or (self.ended and not self.more() and self.stage != RUNNING):
            return self.shut()
        if self.stage == RUNNING and not self.abandoned:
            self.abandoned = True
            self.service.defer(self.abandon)    # not before the handler has taken its first step
        return self.wait_for(1)

    def abandon(self):
        """Close, and cancel the handler of, a connection that can send nothing any more."""
        self.abandoned = False
        if self.broken and self.stage == RUNNING and not self.closed:
            self.shut()

    cdef int ask(self) except -1:
        """Find out whether a client that stopped sending is still there to be answered.

        A half-closed connection and one that was left look the same. An interim 100 response,
        which every HTTP/1.1 client must skip (RFC 9110 15.2), tells them apart: the system of a
        client that left answers it with a reset, and the handler is cancelled. Where nothing can
        be sent, over HTTP/1.0 and in the middle of an answer, `check_presence` decides. A Unix
        socket reports a client that left as a hang-up.
        """
        self.asked = True
        self.asked_at = self.poller.now()
        self.asked_behind = self.transferred
        self.gone_at = 0
        if self.stage == UPGRADED:
            self.socket.ask()
        else:
            if self.current.head.minor and not self.current.opened:
                self.put(b"HTTP/1.1 100 Continue\r\n\r\n", 25)
            if self.is_inet():
                self.gone_at = self.asked_at + self.service.half_closed_ms
        self.flush()
        return self.finish_reading() if self.broken else 0

    cdef bint is_inet(self) noexcept:
        cdef int family = (<sockaddr *>&self.address).sa_family
        return family == AF_INET or family == AF_INET6

    cdef int check_presence(self) except -1:
        """Close a half-closed connection, unless its client is known to wait.

        It is when its system acknowledged something that was sent after the client stopped
        sending: that of a client that left would have sent a reset.
        """
        cdef int64_t reached = self.acknowledged()
        cdef int64_t now = self.poller.now()
        self.gone_at = 0
        if reached > self.asked_behind:
            probe_often(self.handle)    # it may leave later, which looks like nothing at all
        elif reached < self.transferred and now < self.asked_at + self.service.write_ms:
            self.gone_at = now + self.service.half_closed_ms    # something is on its way
        elif self.current is not None and self.current.opened:
            return self.break_off()     # or it were taken for the whole, should the client read it
        else:
            return self.shut()
        return self.settle()

    # ---- what to wait for

    @cython.nonecheck(False)
    cdef bint wants_input(self) noexcept:
        return not (self.ended or self.blocked or self.paused or self.yields or (
            self.stage == RUNNING and buffered_size(&self.inbox) >= BLOCK_SIZE))

    @cython.nonecheck(False)
    cdef int wait_for(self, int sent) except -1:
        """Choose what epoll shall report: the one place where both buffers are looked at."""
        cdef uint32_t events = EPOLLIN if self.wants_input() else 0
        if self.stage == IDLE and not self.limit:       # an answer has ended since
            self.limit = self.poller.now() + self.service.idle_ms
        if self.broken:
            return self.wait_for_rest(events)
        if not self.ended and not self.leaving:
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
        if self.asked and self.gone_at:
            self.deadline = min(self.deadline or self.gone_at, self.gone_at)
        return self.watch(events)

    cdef int wait_for_rest(self, uint32_t events) except -1:
        """Wait for more input of a broken connection, or for whoever is busy with the last one."""
        self.stuck = 0
        self.asked = True       # no question makes sense any more
        if events:
            self.gone_at = 0
            self.deadline = self.limit
            try:
                return self.watch(events)
            except OSError:     # its descriptor was closed behind its back
                return self.shut()
        if self.gone_at == 0:
            self.asked_behind = self.transferred
            self.gone_at = self.poller.now() + self.service.half_closed_ms
        self.deadline = self.gone_at
        return self.unwatch()   # the hang-up would be reported for ever

    cdef int shut(self) except -1:
        if self.closed:
            return 0
        if self.socket is not None:
            self.socket.cut()
        return Intake.shut(self)

    cdef int on_closed(self) except -1:
        self.record_loss()
        Intake.on_closed(self)
        self.service.left()
        if self.network is not None:
            self.service.left_network(self.network)
        self.release()
        return 0 if self.socket is None else self.socket.gone()
