# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""A connection after its upgrade: messages in, frames out, closing. RFC 6455.

A callback that has to wait is a task. What the client sends meanwhile is kept, in order and up to
a limit; then its socket is not read. Up to there pings are answered at once.
"""

from kore._core.buffer cimport buffered_size, consume_bytes
from kore._core.frames cimport OP_CLOSE, OP_PING, OP_PONG
from kore._core.libc cimport PyContext_CopyCurrent, PyContext_Enter, PyContext_Exit
from kore._core.intake cimport Intake
from kore._core.ws_assembler cimport CONTROL, MORE
from kore._core.ws_options cimport WebSocketOptions, check_close_code, build_close_payload
from kore._core.sender cimport CLOSING, OPEN, OVER

from kore._core.poller import complain

from inspect import isawaitable
from types import CoroutineType

cdef object COROUTINE = CoroutineType

cdef enum:
    # What may wait for a callback that is awaited, before the client has to.
    WAITING_MESSAGES = 16
    WAITING_BYTES = 65536

    LATE = 500          # milliseconds that a deadline may be noticed late

    GOING_AWAY = 1001
    NO_CODE = 1005      # what the application sees of a close frame without one
    ABNORMAL = 1006     # and of none
    INTERNAL_ERROR = 1011

# What a refusal of our own says, for whoever looks at a browser's console.
cdef dict REASONS = {1002: "protocol error", 1007: "not what its type says", 1009: "too large"}


cdef class WebSocket(MessageSender):
    """The WebSocket of one connection."""

    cdef int begin(self) except -1:
        """Make everything that messages need."""
        cdef WebSocketOptions options = self.options
        self.reason = ""
        self.reader = MessageAssembler.__new__(MessageAssembler)
        self.reader.start(options.frame_max, options.message_max,
                          None if self.deflater is None else self.deflater.unpack,
                          &self.peer.poller.pool)
        return 0

    cdef int open(self, object onconnect) except -1:
        """Begin, behind what was queued before; tell the application."""
        self.peer.limit = 0
        self.hears()
        self.peer.service.hub.opened(self.peer)
        if onconnect is not None:
            self.call(onconnect, (self.peer,))
        return 0

    # ---- what the client says

    cdef bint step(self) except -1:
        """Understand one frame of the inbox; False: there is none, or nobody who could hear it."""
        cdef Intake peer = self.peer
        cdef object payload
        cdef size_t used = 0
        cdef int event
        peer.blocked = self.buffered() > self.options.buffer_max // 2
        if peer.blocked or peer.paused or not buffered_size(&peer.inbox) or self.phase == OVER:
            return False
        self.hears()
        event = self.reader.feed(
            peer.inbox.data + peer.inbox.start, buffered_size(&peer.inbox), &used)
        consume_bytes(&peer.inbox, min(used, buffered_size(&peer.inbox)), &peer.poller.pool)
        if event == MORE:
            return False
        # Nobody keeps it longer than the application: this client may be silent for hours.
        payload, self.reader.payload = self.reader.payload, None
        if event < 0:
            self.fail(-event, REASONS.get(-event, ""))
        elif event == CONTROL:
            self.control(self.reader.opcode, payload)
        else:
            self.message(self.reader.opcode, payload)
        return not peer.closed

    cdef bint idle(self) noexcept:
        return not self.tasks and not self.backlog

    cdef int ask(self) except -1:
        """Find out whether a client that stopped sending is still there: its system will tell."""
        return self.put_control(OP_PING, b"") if self.phase == OPEN else 0

    cdef int control(self, int op, bytes payload) except -1:
        if op == OP_PING and self.phase == OPEN:
            return self.put_control(OP_PONG, payload)
        if op != OP_CLOSE:
            return 0
        if self.phase == OPEN:
            self.code = int.from_bytes(payload[:2], "big") if payload else NO_CODE
            self.reason = payload[2:].decode()
            self.put_control(OP_CLOSE, payload[:2])
        self.peer.linger = True     # or what comes behind it were a reset, and destroyed the answer
        self.peer.hang_up()
        return self.end()

    cdef int message(self, int op, object payload) except -1:
        if self.deaf:
            return 0
        if self.idle() and not self.delivering:
            return self.deliver(op, payload)
        # Making these may run a finalizer, which may send or disconnect.
        cdef tuple entry = (op, payload)
        cdef list backlog = []
        if self.backlog is None:
            self.backlog = backlog
        self.backlog.append(entry)
        self.held_back += len(payload)
        self.peer.paused = self.held_up()
        return 0

    cdef bint held_up(self) noexcept:
        """Return whether the client has to wait; once it does, until half of it is done."""
        cdef int part = 2 if self.peer.paused else 1
        return (len(self.backlog) >= WAITING_MESSAGES // part
                or self.held_back >= WAITING_BYTES // part)

    cdef int deliver(self, int op, object payload) except -1:
        if self.onmsg is not None:
            self.call(self.onmsg, (self.peer, op, payload))
        return 0

    cdef int call(self, object callback, tuple arguments) except -1:
        """Call the application. Nothing it raises goes further than this."""
        cdef object context = PyContext_CopyCurrent()
        cdef bint outermost = self.peer.service.slot.running[0] == 0
        cdef object pending
        if outermost:
            self.peer.service.begun(self.options.label)
        PyContext_Enter(context)
        try:
            pending = callback(*arguments)
            if pending is not None and (type(pending) is COROUTINE or isawaitable(pending)):
                self.peer.service.hub.converse(self, pending)
        except BaseException as error:      # SystemExit too, as in a handler
            self.spoiled(error)
        finally:
            PyContext_Exit(context)
        if outermost:
            self.peer.service.slot.running[0] = 0
        self.hears()            # while the callback ran, the client waited for us
        return 0

    def spoiled(self, error):
        """Report what a callback raised; this connection cannot be trusted to make sense now."""
        try:
            self.peer.service.hub.failed(self.options.label, error)
        except BaseException:   # where there is no stack left for that, for instance
            complain("cannot report %r", error)
        self.deaf = True
        self.backlog = None
        self.fail(INTERNAL_ERROR, "")

    def waits(self, task):
        """Say which task goes on with a callback: the next message has to wait for it."""
        cdef list tasks = []    # may run a finalizer, and that come here
        if self.tasks is None:
            self.tasks = tasks
        self.tasks.append(task)     # a second one: a callback has disconnected its own client

    def carry_on(self, task):
        """Go on after such a task."""
        self.tasks.remove(task)
        if not self.tasks and not self.delivering:
            self.deliver_rest()

    cdef int deliver_rest(self) except -1:
        """Deliver what has waited, and let more come."""
        self.delivering = True
        try:
            while self.backlog and not self.tasks and not self.deaf:
                op, payload = self.backlog.pop(0)
                self.held_back -= len(payload)
                self.deliver(op, payload)
        finally:
            self.delivering = False
        if self.backlog and self.tasks and not (self.peer.paused and not self.held_up()):
            return 0
        self.peer.paused = False
        self.hears()                # it has waited for us
        if not self.tasks and (self.peer.closed or self.phase == OVER):
            self.part()
        return 0 if self.peer.closed else self.peer.advance()

    # ---- time

    cdef int64_t patience(self) noexcept:
        """Return for how long nothing need happen; 0: for ever."""
        cdef int64_t idle = self.options.idle_timeout_ms
        cdef int64_t ping = self.options.ping_interval_ms
        return min(idle, ping) if idle and ping else idle or ping

    cdef void hears(self) noexcept:
        """Take note that the client is there."""
        self.heard = self.peer.poller.now()
        self.asked = 0
        if self.phase == OPEN and self.patience():
            self.peer.limit = self.heard + self.patience()

    cdef int on_deadline(self) except -1:
        cdef int64_t now = self.peer.poller.now()
        cdef int64_t idle = self.options.idle_timeout_ms
        cdef int64_t ping = self.options.ping_interval_ms
        if self.phase != OPEN:
            return self.peer.shut()
        self.peer.limit = now + self.patience()
        # It takes its time to read, and there is another limit for that; or it waits for us.
        if self.buffered() or self.peer.paused or (self.backlog and not ping):
            self.asked = 0
            return self.peer.settle()
        if idle and (not 0 < ping < idle or (self.asked and now >= self.given_up_at())):
            return self.fail(GOING_AWAY, "idle for too long")
        self.put_control(OP_PING, b"")
        self.asked = self.asked or now
        if idle:
            self.peer.limit = min(self.peer.limit, self.given_up_at())
        return self.peer.settle()

    cdef int64_t given_up_at(self) noexcept:
        """Return when a client that was pinged is silent for too long: we may have asked late."""
        return self.options.idle_timeout_ms + max(
            self.heard, self.asked - self.options.ping_interval_ms - LATE)

    # ---- the end

    cdef bint leave(self, int code, str reason, int64_t wait_ms) except -1:
        """Say goodbye, and wait for the client to do so; 0: for as long as it takes."""
        if self.phase != OPEN:
            return False
        self.phase = CLOSING
        self.code = code
        self.reason = reason
        self.put_control(OP_CLOSE, build_close_payload(code, reason))
        self.peer.limit = self.peer.poller.now() + wait_ms if wait_ms else 0
        self.peer.settle()
        return True

    cdef bint disconnect(self, object code, object reason) except -1:
        """Close because the application wants to: it hears no more of this client."""
        check_close_code(code, reason)
        if self.phase == OVER or self.parted:
            return False
        self.deaf = True
        self.backlog = None
        self.peer.paused = False
        if self.phase == OPEN:
            self.code = code
            self.reason = reason
        try:
            self.part()
        finally:        # or nobody would ever close it
            self.leave(code, reason, self.options.close_timeout_ms)
        if self.phase == CLOSING:       # it was leaving before
            self.peer.limit = self.peer.poller.now() + self.options.close_timeout_ms
        return True

    cdef int fail(self, int code, str reason) except -1:
        """Close because something is wrong: RFC 6455 section 7.1.7."""
        if self.phase == OPEN:
            self.put_control(OP_CLOSE, build_close_payload(code, reason))
            self.code = code
            self.reason = reason
        if self.phase != OVER:
            self.peer.linger = True
            self.peer.paused = False
            self.peer.hang_up()
            self.end()
        return self.peer.settle()

    cdef int end(self) except -1:
        """Take note that nothing will be said any more, though the connection may linger.

        The application is told when it has heard all that came before, and not from here: another
        client's callback or broadcast may be on the stack.
        """
        self.phase = OVER
        self.unlist()
        if self.idle() and not self.parted:
            self.peer.service.defer(self.part)
        return 0

    cdef int unlist(self) except -1:
        """Have the registry of the worker forget this client, once."""
        if not self.unlisted:
            self.unlisted = True
            self.peer.service.hub.closed(self.peer)
        return 0

    cdef void cut(self) noexcept:
        """Take note that the connection is closed; `gone` follows."""
        self.phase = OVER
        self.code = self.code or ABNORMAL

    cdef int gone(self) except -1:
        """The connection is closed: soon tell the application, which may be in the middle of it."""
        self.reader.drop()
        self.deflater = self.reader.inflate = None      # 300 KB, whoever keeps the connection
        self.unlist()
        if self.parted:
            return 0
        if self.idle():
            self.peer.service.defer(self.part)
        else:
            self.peer.service.later(self.options.close_timeout_ms / 1000, self.give_up)
        return 0

    def give_up(self):
        """End what still works for a client that is gone."""
        if self.backlog:
            self.peer.service.hub.lost(self.options.label, len(self.backlog))
        self.backlog = None
        for task in list(self.tasks or ()):
            task.cancel()

    def part(self):
        """Tell the application that it has lost this client. Once."""
        cdef object ondisconnect = self.ondisconnect
        if self.parted:
            return
        self.parted = True
        self.deaf = True
        self.ondisconnect = self.onmsg = None
        if ondisconnect is not None:
            self.call(ondisconnect, (self.peer,))
        if self.tasks:
            self.peer.service.later(self.options.close_timeout_ms / 1000, self.give_up)
