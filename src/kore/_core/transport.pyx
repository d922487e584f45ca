# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""A client's socket from accept to close, driven by events and deadlines.

A transport knows nothing of HTTP. It has three verbs: `read` takes what the socket has, `advance`
lets the protocol work on what the inbox holds, `flush_and_rearm` sends what waits and decides what
to wait for. Pipelined requests are a loop in `advance`, and their responses leave in one write.
"""

cimport cython
from libc.stdint cimport uint32_t

from kore._core.buffer cimport BLOCK_SIZE, borrow_wide_block, buffered_size
from kore._core.libc cimport (
    AF_INET, AF_INET6, EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP, sockaddr)
from kore._core.probes cimport enable_keepalive_probes
from kore._core.protocol cimport DETACHED
from kore._core.socket_io cimport IO_AGAIN, IO_LOST
from kore._core.socket_stream cimport FLUSHED, LOST, PENDING

cdef enum:
    TURN_RECORDS = 16   # TLS records that are read before others have their turn
    TURN_PIECES = 64    # times a protocol may queue more before others have their turn
    TOGETHER_MAX = 4096     # bytes up to which copying is cheaper than a system call of its own

    LINGER_MS = 2000    # RFC 9112 9.6 asks to read on for a while; nginx waits 5 s, Apache 2


@cython.final
cdef class Transport(SocketStream):
    """Drives one connection; a `Protocol` says what its bytes mean."""

    def __cinit__(self):
        self.protocol = DETACHED

    cdef int open(self, Poller poller, ServerContext context, int fd,
                  Protocol protocol) except -1:
        """Take over a connected socket. From here on it belongs to this object."""
        self.attach(poller, fd)
        self.context = context
        context.add_connection()
        self.set_protocol(protocol)
        return self.update_interest(FLUSHED)

    cdef int set_protocol(self, Protocol protocol) except -1:
        """Let *protocol* work on the input from now on, in place of the one before."""
        cdef Protocol _before = self.protocol       # it may be on the stack
        self.protocol = protocol
        return protocol.on_attached(self)

    # ---- events

    cdef int on_event(self, uint32_t events) except -1:
        # What the peer sent before it hung up, or before an error, can still be read (recv(2)
        # returns it first). Closing with unread data while lingering would send a reset, which can
        # discard a response in flight.
        if self.phase == LINGERING:
            return self.close() if events & EPOLLERR else self.read()
        if events & (EPOLLERR | EPOLLHUP):
            self.lose_output()
            if self.wants_input():
                self.read()
        elif events & (EPOLLIN | EPOLLRDHUP):
            if events & EPOLLIN and self.watched & EPOLLIN:
                self.read()
            else:
                self.peer_leaving = True
        return 0 if self.closed else self.advance()

    cdef int on_deadline(self) except -1:
        cdef Protocol protocol = self.protocol
        cdef int64_t now = self.poller.now()
        if self.phase == LINGERING:
            return self.close()
        if self.write_deadline and self.write_deadline <= now:
            return self.check_reader()
        if self.probed and self.gone_at and self.gone_at <= now:
            return self.check_presence()
        return self.close() if self.phase == FLUSHING else protocol.on_deadline()

    cdef int on_drain(self, bint patient, bint accept) except -1:
        cdef Protocol protocol = self.protocol
        return protocol.on_drain(patient) if self.phase == OPEN else 0

    # ---- input

    cdef int read(self) except -1:
        """Read once; of the records that are inside of TLS a few, if the protocol has their place.
        """
        cdef bint is_placed = self.read_once()
        cdef int _record
        if is_placed and self.tls is not None:
            for _record in range(TURN_RECORDS):
                if self.closed or not self.has_hidden_input() or not self.read_once():
                    break
        return 0

    cdef bint read_once(self) except -1:
        """Read into the protocol's own buffer, or the inbox; return whether into the former."""
        cdef size_t room = 0
        cdef char *direct = NULL
        cdef Py_ssize_t count
        if self.phase != OPEN:
            self.discard_input()
            return False
        if not buffered_size(&self.inbox):
            direct = self.protocol.get_input_buffer(&room)
        if direct != NULL:
            if room == 0:       # it is full: the protocol has to work on it first
                return False
            count = self.receive(direct, room)
            if count > 0:
                self.protocol.on_buffer_filled(count)
                return True
            self.ended = self.ended or count == 0
        else:
            if self.protocol.reads_widely:
                borrow_wide_block(&self.inbox, &self.poller.pool)
            count = self.read_into_inbox()
        if count == IO_AGAIN:
            self.verify()
        elif count == IO_LOST:
            self.end_input()
        return False

    cdef int read_and_advance(self) except -1:
        """Work on what has come since the last event, before something is decided."""
        self.read()
        return self.advance()

    cdef int end_input(self) except -1:
        """Note an error of the socket: everything that was received before it is read."""
        self.ended = True
        return self.lose_output()

    cdef int discard_input(self) except -1:
        cdef char scratch[BLOCK_SIZE]
        cdef Py_ssize_t count = self.receive_raw(scratch, BLOCK_SIZE)
        if count == 0 and self.phase == FLUSHING:
            self.ended = True
            return 0
        if count == IO_AGAIN:
            return self.verify()
        return self.close() if count == 0 or count == IO_LOST else 0

    # ---- turns

    @cython.nonecheck(False)
    cdef int advance(self) except -1:
        """Let the protocol work on the inbox, one unit at a time, and send the output.

        A loop that a response re-enters without effect, never a recursion: a client may pipeline
        thousands. After `http_request_ms` it is the turn of the other connections.
        """
        cdef FlushResult sent
        cdef Protocol protocol
        cdef int64_t turn_over
        if self.advancing or self.closed or self.yielded:
            return 0
        self.moment = self.poller.now()
        turn_over = self.moment + self.context.limits.turn_ms
        while True:
            self.advancing = True
            try:
                while self.phase == OPEN and not self.closed:
                    protocol = self.protocol    # on_input() may put another one in its place
                    if not protocol.on_input():
                        break
                    if buffered_size(&self.inbox):
                        self.moment = self.poller.now()
                        self.yielded = self.moment >= turn_over
                        if self.yielded:
                            break
            finally:
                self.advancing = False
            if self.closed:
                return 0
            sent = self.pump()
            if self.closed:
                return 0
            if self.yielded:
                self.context.call_soon(self.resume)
                return self.after_flush(sent)
            if not self.protocol.blocked or (sent != FLUSHED and not self.broken):
                return self.after_flush(sent)

    def resume(self):
        """Go on after output was queued outside of the loop, or when others had a turn."""
        self.yielded = False
        self.resume_planned = False
        if not self.closed and self.has_hidden_input():
            self.read()
        self.advance()

    cdef int plan_resume(self) except -1:
        """Have `resume` called: not from here, where an application may be on the stack."""
        self.context.call_soon(self.resume)
        return 0

    cdef int flush_and_rearm(self) except -1:
        """Send what waits, then wait for what comes next; `advance` does it for its own output."""
        cdef FlushResult sent
        if self.advancing or self.closed:
            return 0
        sent = self.pump()
        if self.protocol.blocked and (sent == FLUSHED or self.broken) and not self.resume_planned:
            self.resume_planned = True
            self.plan_resume()
        return self.after_flush(sent)

    @cython.nonecheck(False)
    cdef bint is_settled(self) noexcept:
        """Return whether all output has left at once, so that only the deadline may have changed.

        Most messages of a WebSocket leave so: a broadcast need not look at each member's events.
        """
        return not (self.closed or self.phase != OPEN or self.broken or self.ended
                    or self.peer_leaving or self.yielded or self.protocol.blocked
                    or self.write_deadline or self.waiters is not None or self.pending_size())

    cdef FlushResult pump(self) except *:
        """Send what waits, and what the protocol adds to it."""
        cdef FlushResult sent = PENDING
        cdef Protocol protocol = self.protocol
        cdef int _turn
        for _turn in range(TURN_PIECES):
            sent = self.flush()
            if sent != FLUSHED or self.broken or not protocol.on_writable():
                break
            if self.closed:
                return LOST
        else:
            sent = PENDING
        protocol.on_flushed()
        if self.waiters is not None and (sent == FLUSHED or self.broken):
            self.resolve_waiters(not self.broken)
        return sent

    @cython.nonecheck(False)
    cdef int after_flush(self, FlushResult sent) except -1:
        cdef Protocol protocol = self.protocol
        if self.closed or self.phase == LINGERING:
            return 0
        if self.broken:
            if self.phase == FLUSHING or protocol.on_output_lost():
                return self.close()
            return self.update_interest(FLUSHED)
        if self.ended and self.phase == OPEN:
            protocol.on_eof()
            if self.closed:
                return 0
        if self.phase == FLUSHING and sent == FLUSHED:
            return self.finish()
        if (self.peer_leaving or self.ended) and not self.probed and (
                self.phase == OPEN and protocol.is_working()):
            self.probe_peer()
        return self.update_interest(PENDING if self.pending_size() else sent)

    # ---- output

    cdef int send(self, const char *head, size_t length, const char *data, size_t size,
                  bytes owner) except -1:
        """Send two pieces; what the socket does not take is queued. *owner* has the data, or None.

        Small pieces that are sent while input is worked on leave together.
        """
        cdef size_t gone = 0
        self.prepare_parts(size)
        if size > TOGETHER_MAX or not self.advancing:
            gone = self.send_now(head, length, data, size)
        if gone < length:
            self.queue_copy(head + gone, length - gone)
        gone -= min(gone, length)
        if owner is not None and size - gone > BLOCK_SIZE:
            return self.queue_rest(owner, gone)
        return self.queue_copy(data + gone, size - gone)

    cdef object when_sent(self):
        """Return a future: True when all that waits is sent, False when it never will be."""
        cdef object waiter = self.context.create_future()
        cdef list waiters = [waiter]
        if self.closed or self.broken or not self.pending_size():
            waiter.set_result(not (self.closed or self.broken))
        elif self.waiters is None:
            self.waiters = waiters
        else:
            self.waiters.append(waiter)
        return waiter

    cdef int resolve_waiters(self, bint sent) except -1:
        cdef list waiters = self.waiters
        self.waiters = None
        for waiter in waiters:
            try:
                if not waiter.done():
                    waiter.set_result(sent)
            except RuntimeError:    # its event loop is closed
                pass
        return 0

    cdef int check_reader(self) except -1:
        # Sending may stop for longer than the peer does: the kernel asks for more only when much of
        # what it holds is gone. What counts is what the peer has acknowledged.
        cdef int64_t acked = self.bytes_acknowledged()
        if acked <= self.acked_size:
            return self.close()
        self.acked_size = acked
        self.write_deadline = self.poller.now() + self.context.limits.write_timeout_ms
        return self.update_interest(PENDING)

    # ---- the end

    cdef bint is_closing(self) noexcept:
        """Return whether nothing more is to be queued: it will close when all is sent, or has."""
        return self.closed or self.phase != OPEN

    cdef int close_after_flush(self, bint linger) except -1:
        """Work on no more input, and close when all that waits has been sent.

        *linger*: read on for a while then. Closing with unread data would send a reset, and that
        can destroy what is on its way to the peer.
        """
        self.linger = linger
        self.phase = FLUSHING
        self.protocol.blocked = False
        return 0

    cdef int finish(self) except -1:
        if not self.send_close_notify():
            return self.update_interest(PENDING)
        if not self.linger or self.ended:
            return self.close()
        self.half_close()
        self.phase = LINGERING
        self.deadline = self.poller.now() + LINGER_MS
        return self.watch(EPOLLIN if self.peer_leaving else EPOLLIN | EPOLLRDHUP)

    cdef int close(self) except -1:
        if self.closed:
            return 0
        self.protocol.on_shut()
        return SocketStream.close(self)

    cdef int on_closed(self) except -1:
        cdef Protocol protocol = self.protocol
        self.protocol = DETACHED        # each holds the other: no cycle is left
        try:
            protocol.on_closed()
        finally:
            SocketStream.on_closed(self)
            self.context.remove_connection()
            if self.network is not None:
                self.context.remove_network(self.network)
            if self.waiters is not None:
                self.resolve_waiters(False)
        return 0

    # ---- a peer that ended its sending side, or is gone

    cdef int probe_peer(self) except -1:
        """Find out whether a peer that stopped sending is still there.

        A half-closed connection and one that was left look the same. The protocol sends something
        that a living peer ignores: the system of one that left responds with a reset. If it cannot
        send anything, `check_presence` decides. A Unix socket reports a hang-up by itself.
        """
        self.probed = True
        self.probed_at = self.poller.now()
        self.probed_behind = self.wire_size
        self.gone_at = 0
        if self.protocol.send_probe() and self.is_inet():
            self.gone_at = self.probed_at + self.context.limits.half_closed_timeout_ms
        self.flush()
        return self.after_flush(LOST) if self.broken else 0

    cdef void forget_probe(self) noexcept:
        """Probe the peer again when the next work for it begins."""
        self.probed = False

    cdef bint is_inet(self) noexcept:
        cdef int family = (<sockaddr *>&self.address).sa_family
        return family == AF_INET or family == AF_INET6

    cdef bint has_unacknowledged(self) noexcept:
        """Return whether the peer's system has yet to acknowledge something."""
        return self.is_inet() and self.bytes_acknowledged() < self.wire_size

    cdef int check_presence(self) except -1:
        """Close a half-closed connection, unless its peer is known to wait.

        It is when its system acknowledged something that was sent after the peer stopped sending:
        that of a peer that left would have sent a reset.
        """
        cdef int64_t acked = self.bytes_acknowledged()
        cdef int64_t now = self.poller.now()
        cdef ServerContext context = self.context
        self.gone_at = 0
        if acked > self.probed_behind:
            enable_keepalive_probes(self.fd)    # it may leave later, which looks like nothing
        elif acked < self.wire_size and now < self.probed_at + context.limits.write_timeout_ms:
            self.gone_at = now + context.limits.half_closed_timeout_ms  # something is on its way
        elif self.protocol.is_ended_by_close():
            return self.abort()
        else:
            return self.close()
        return self.flush_and_rearm()

    # ---- what to wait for

    @cython.nonecheck(False)
    cdef bint wants_input(self) noexcept:
        if self.ended or self.yielded:
            return False
        return self.phase != OPEN or (not self.protocol.blocked and self.protocol.wants_input())

    @cython.nonecheck(False)
    cdef bint has_hidden_input(self) noexcept:
        """Return whether the TLS layer holds input that is wanted now: epoll does not see it."""
        return self.tls is not None and self.tls.has_buffered_input and self.phase == OPEN and (
            self.wants_input())

    @cython.nonecheck(False)
    cdef bint has_unfinished_input(self) noexcept:
        """Return whether some of what was received is still to be worked on."""
        return self.yielded or self.protocol.blocked or self.protocol.has_input()

    @cython.nonecheck(False)
    cdef int update_interest(self, FlushResult sent) except -1:
        """Choose what epoll shall report: the one place where both buffers are looked at."""
        cdef uint32_t events = EPOLLIN if self.wants_input() else 0
        cdef int64_t due
        if self.has_hidden_input() and not self.resume_planned:
            self.resume_planned = True
            self.plan_resume()
        if self.broken:
            return self.await_last_input(events)
        if not self.ended and not self.peer_leaving:
            events |= EPOLLRDHUP
        if sent == PENDING:
            events |= EPOLLOUT
            if self.write_deadline == 0:
                self.acked_size = self.bytes_acknowledged()
                self.write_deadline = self.poller.now() + self.context.limits.write_timeout_ms
        else:
            self.write_deadline = 0
        due = self.write_deadline
        if self.phase == OPEN:
            self.deadline = self.protocol.next_deadline(sent == PENDING)
            if due == 0 or 0 < self.deadline < due:
                due = self.deadline
        if self.probed and self.gone_at and (due == 0 or self.gone_at < due):
            due = self.gone_at
        self.deadline = due
        return self.watch(events)

    cdef int await_last_input(self, uint32_t events) except -1:
        """Wait for more input of a broken connection, or for the work on its last input."""
        self.write_deadline = 0
        self.probed = True      # no probe makes sense any more
        if events:
            self.gone_at = 0
            self.deadline = self.protocol.next_deadline(False) if self.phase == OPEN else 0
            try:
                return self.watch(events)
            except OSError:     # its descriptor was closed behind its back
                return self.close()
        if self.gone_at == 0:
            self.probed_behind = self.wire_size
            self.gone_at = self.poller.now() + self.context.limits.half_closed_timeout_ms
        self.deadline = self.gone_at
        return self.unwatch()   # the hang-up would be reported for ever

    # ---- room for others

    cdef int64_t idle_since(self) noexcept:
        """Return since when nothing has come; 0 while something is in progress."""
        if self.closed or self.phase != OPEN or self.yielded or self.protocol.blocked or (
                self.pending_size()):
            return 0
        return self.protocol.idle_since()

    cdef int make_room(self, int64_t since) except -1:
        """Close for another client, unless a request has just come."""
        self.read_and_advance()
        return self.close() if self.idle_since() == since else 0
