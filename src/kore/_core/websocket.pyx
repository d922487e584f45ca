# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""A WebSocket on a transport, after the upgrade: messages received, callbacks, closing. RFC 6455.

A callback that is a coroutine runs as a task. Messages that arrive meanwhile are kept, in order and
up to a limit; then the socket is not read any more. Until then pings are answered at once.
"""

cimport cython

from kore._core.buffer cimport buffered_size, shrink_block
from kore._core.frames cimport OP_CLOSE, OP_PING, OP_PONG
from kore._core.libc cimport PyContext_CopyCurrent, PyContext_Enter, PyContext_Exit
from kore._core.ws_assembler cimport CONTROL, MORE
from kore._core.ws_options cimport WebSocketOptions, check_close_code, build_close_payload
from kore._core.sender cimport CLOSING, OPEN, OVER
from kore._core.server_context cimport ServerContext
from kore._core.transport cimport Transport

from kore._core.poller import log_exception

from inspect import isawaitable
from types import CoroutineType

cdef object COROUTINE = CoroutineType

cdef enum:
    # Messages kept while a callback is awaited; beyond these limits the socket is not read.
    BACKLOG_COUNT_MAX = 16
    BACKLOG_SIZE_MAX = 65536

    SWEEP_DELAY_MS = 500    # a deadline may be noticed so much later

    GOING_AWAY = 1001
    NO_CODE = 1005      # reported to the application for a close frame without a code
    ABNORMAL = 1006     # reported if there was no close frame
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012      # IANA's registry of WebSocket close codes

# The reasons of our own close frames, which a browser's console shows.
cdef dict REASONS = {1002: "protocol error", 1007: "not what its type says", 1009: "too large"}


@cython.final
cdef class WebSocket(MessageSender):
    """The WebSocket of one connection."""

    cdef int prepare(self, Transport transport, object connection) except -1:
        """Allocate everything that messages need, before the upgrade is sent."""
        cdef WebSocketOptions options = self.options
        self.transport = transport
        self.connection = connection
        self.reason = ""
        self.reads_widely = True
        self.assembler = MessageAssembler.__new__(MessageAssembler)
        self.assembler.start(options.frame_max, options.message_max,
                             None if self.deflater is None else self.deflater.unpack,
                             &transport.poller.pool)
        return 0

    cdef int open(self, object onconnect) except -1:
        """Start after the upgrade is queued, and call the application's `onconnect`."""
        self.note_received()
        self.context().websockets.on_open(self.connection)
        if onconnect is not None:
            self.call(onconnect, (self.connection,))
        return 0

    cdef ServerContext context(self):
        return self.transport.context

    # ---- frames of the client

    cdef bint on_input(self) except -1:
        if self.parse_frame():
            return True
        # Incomplete frames, and those that wait for a slow callback, must not hold a wide block.
        shrink_block(&self.transport.inbox, &self.transport.poller.pool)
        return False

    cdef bint parse_frame(self) except -1:
        """Process one frame of the inbox; False: it is incomplete, or has to wait."""
        cdef Transport transport = self.transport
        cdef object payload
        cdef size_t used = 0
        cdef int event
        self.blocked = self.buffered() > self.options.buffer_max // 2
        if self.blocked or self.paused or not buffered_size(&transport.inbox) or (
                self.phase == OVER):
            return False
        self.note_received()
        event = self.assembler.feed(transport.inbox.data + transport.inbox.start,
                                    buffered_size(&transport.inbox), &used)
        transport.consume_input(min(used, buffered_size(&transport.inbox)))
        if event == MORE:
            return False
        # Drop our reference: a client that is idle must not pin its last message.
        payload, self.assembler.payload = self.assembler.payload, None
        if event < 0:
            self.fail(-event, REASONS.get(-event, ""))
        elif event == CONTROL:
            self.control(self.assembler.opcode, payload)
        else:
            self.message(self.assembler.opcode, payload)
        return not transport.closed

    cdef bint wants_input(self) noexcept:
        return not self.paused

    cdef bint has_input(self) noexcept:
        return self.paused

    cdef bint is_working(self) noexcept:
        return True

    cdef int on_eof(self) except -1:
        if self.idle() and not self.transport.yielded:
            self.hang_up(False)
        return 0

    cdef bint on_output_lost(self) except -1:
        return self.transport.ended and not self.transport.has_unfinished_input()

    cdef bint on_flushed(self) except -1:
        """Log what HTTP had queued before the upgrade."""
        if self.http is not None and not self.http.on_flushed():
            self.http = None
        return False

    cdef bint idle(self) noexcept:
        return not self.tasks and not self.backlog

    cdef bint send_probe(self) except -1:
        if self.phase == OPEN:
            self.put_control(OP_PING, b"")
        return False

    cdef int control(self, int op, bytes payload) except -1:
        if op == OP_PING and self.phase == OPEN:
            return self.put_control(OP_PONG, payload)
        if op != OP_CLOSE:
            return 0
        if self.phase == OPEN:
            self.code = int.from_bytes(payload[:2], "big") if payload else NO_CODE
            self.reason = payload[2:].decode()
            self.put_control(OP_CLOSE, payload[:2])
        self.hang_up(True)      # data after the close frame must not cause a reset
        return self.end()

    cdef int hang_up(self, bint linger) except -1:
        """Close when all that is queued has been sent."""
        cdef Transport transport = self.transport
        if not transport.is_closing():
            transport.close_after_flush(linger or buffered_size(&transport.inbox) > 0)
            transport.consume_input(buffered_size(&transport.inbox))
        return 0

    cdef int message(self, int op, object payload) except -1:
        if self.ignores_input:
            return 0
        if self.idle() and not self.delivering:
            return self.deliver(op, payload)
        # Allocations may run a finalizer, which may send or disconnect.
        cdef tuple entry = (op, payload)
        cdef list backlog = []
        if self.backlog is None:
            self.backlog = backlog
        self.backlog.append(entry)
        self.backlog_size += len(payload)
        self.paused = self.is_backlog_full()
        return 0

    cdef bint is_backlog_full(self) noexcept:
        """Return whether to stop reading; once stopped, until half the backlog is handled."""
        cdef int part = 2 if self.paused else 1
        return (len(self.backlog) >= BACKLOG_COUNT_MAX // part
                or self.backlog_size >= BACKLOG_SIZE_MAX // part)

    cdef int deliver(self, int op, object payload) except -1:
        if self.onmsg is not None:
            self.call(self.onmsg, (self.connection, op, payload))
        return 0

    cdef int call(self, object callback, tuple arguments) except -1:
        """Call the application, and report what it raises."""
        cdef object variables = PyContext_CopyCurrent()
        cdef ServerContext context = self.context()
        cdef bint outermost = context.slot.running[0] == 0
        cdef object pending
        if outermost:
            context.publish_running(self.options.label)
        PyContext_Enter(variables)
        try:
            pending = callback(*arguments)
            if pending is not None and (type(pending) is COROUTINE or isawaitable(pending)):
                context.websockets.await_callback(self, pending)
        except BaseException as error:      # SystemExit too, as in a handler
            self.report_callback_error(error)
        finally:
            PyContext_Exit(variables)
        if outermost:
            context.slot.running[0] = 0
        self.note_received()    # its input was not read while the callback ran
        return 0

    def report_callback_error(self, error):
        """Report what a callback raised, and close, since its state is unknown."""
        try:
            self.context().websockets.report_failure(self.options.label, error)
        except BaseException:   # as RecursionError, if the stack is exhausted
            log_exception("cannot report %r", error)
        self.ignores_input = True
        self.backlog = None
        self.fail(INTERNAL_ERROR, "")

    def add_task(self, task):
        """Register the task of a callback: the next message waits for it."""
        cdef list tasks = []    # may run a finalizer that calls this method
        if self.tasks is None:
            self.tasks = tasks
        self.tasks.append(task)     # a second one if a callback has disconnected its own client

    def resume_after(self, task):
        """Go on after the task of a callback has ended."""
        self.tasks.remove(task)
        if not self.tasks and not self.delivering:
            self.deliver_rest()
        self.drop_connection()

    cdef int deliver_rest(self) except -1:
        """Deliver the messages of the backlog, and read more."""
        self.delivering = True
        try:
            while self.backlog and not self.tasks and not self.ignores_input:
                op, payload = self.backlog.pop(0)
                self.backlog_size -= len(payload)
                self.deliver(op, payload)
        finally:
            self.delivering = False
        if self.backlog and self.tasks and not (self.paused and not self.is_backlog_full()):
            return 0
        self.paused = False
        self.note_received()        # it was not read meanwhile
        if not self.tasks and (self.transport.closed or self.phase == OVER):
            self.call_ondisconnect()
        return 0 if self.transport.closed else self.transport.advance()

    # ---- time

    cdef int64_t quiet_limit(self) noexcept:
        """Return for how long the client may be silent, in milliseconds; 0: without a limit."""
        cdef int64_t idle = self.options.idle_timeout_ms
        cdef int64_t ping = self.options.ping_interval_ms
        return min(idle, ping) if idle and ping else idle or ping

    cdef int note_received(self) except -1:
        """Note that the client is alive."""
        self.received_at = self.transport.poller.now()
        self.pinged_at = 0
        if self.phase == OPEN and self.quiet_limit():
            self.due = self.received_at + self.quiet_limit()
        return 0

    cdef int on_deadline(self) except -1:
        cdef int64_t now = self.transport.poller.now()
        cdef int64_t idle = self.options.idle_timeout_ms
        cdef int64_t ping = self.options.ping_interval_ms
        if self.phase != OPEN:
            return self.transport.close()
        self.due = now + self.quiet_limit()
        # A client that reads slowly has another limit; one whose input is not read is not idle.
        if self.buffered() or self.paused or (self.backlog and not ping):
            self.pinged_at = 0
            return self.transport.flush_and_rearm()
        if idle and (not 0 < ping < idle or (self.pinged_at and now >= self.reply_deadline())):
            return self.fail(GOING_AWAY, "idle for too long")
        self.put_control(OP_PING, b"")
        self.pinged_at = self.pinged_at or now
        if idle:
            self.due = min(self.due, self.reply_deadline())
        return self.transport.flush_and_rearm()

    cdef int64_t reply_deadline(self) noexcept:
        """Return the deadline for the response to a ping, which may have been sent late."""
        return self.options.idle_timeout_ms + max(
            self.received_at, self.pinged_at - self.options.ping_interval_ms - SWEEP_DELAY_MS)

    # ---- the end

    cdef bint leave(self, int code, str reason, int64_t wait_ms) except -1:
        """Send a close frame and wait for the client's, at most *wait_ms*; 0: without a limit."""
        if self.phase != OPEN:
            return False
        self.phase = CLOSING
        self.code = code
        self.reason = reason
        self.put_control(OP_CLOSE, build_close_payload(code, reason))
        self.due = self.transport.poller.now() + wait_ms if wait_ms else 0
        self.transport.flush_and_rearm()
        return True

    cdef bint disconnect(self, object code, object reason) except -1:
        """Close on behalf of the application, which gets no more messages of this client."""
        check_close_code(code, reason)
        if self.phase == OVER or self.disconnect_called:
            return False
        self.ignores_input = True
        self.backlog = None
        self.paused = False
        if self.phase == OPEN:
            self.code = code
            self.reason = reason
        try:
            self.call_ondisconnect()
        finally:        # else a WebSocket whose callback raises would never be closed
            self.leave(code, reason, self.options.close_timeout_ms)
        if self.phase == CLOSING:       # also if its close frame was sent before
            self.due = self.transport.poller.now() + self.options.close_timeout_ms
        return True

    cdef int fail(self, int code, str reason) except -1:
        """Fail the connection, RFC 6455 section 7.1.7: send a close frame, and close."""
        if self.phase == OPEN:
            self.put_control(OP_CLOSE, build_close_payload(code, reason))
            self.code = code
            self.reason = reason
        if self.phase != OVER:
            self.paused = False
            self.hang_up(True)
            self.end()
        return self.transport.flush_and_rearm()

    cdef int end(self) except -1:
        """Note that no more frames are sent or received, though the transport may linger.

        `ondisconnect` is called when all earlier messages have been handled, and not from here:
        another client's callback or a broadcast may be on the stack.
        """
        self.phase = OVER
        self.unregister()
        if self.idle() and not self.disconnect_called:
            self.context().call_soon(self.call_ondisconnect)
        return 0

    cdef int unregister(self) except -1:
        """Have the registry of the worker forget this client, once."""
        if not self.unregistered:
            self.unregistered = True
            self.context().websockets.on_close(self.connection)
        return 0

    cdef int64_t next_deadline(self, bint pending) noexcept:
        return self.due

    cdef int on_drain(self, bint patient) except -1:
        self.leave(SERVICE_RESTART, "service restart", 0)
        return 0

    cdef void on_shut(self) noexcept:
        self.phase = OVER
        self.code = self.code or ABNORMAL

    cdef int on_closed(self) except -1:
        """Have `ondisconnect` called soon: the application may be using the connection now."""
        if self.http is not None:
            self.http.on_closed()
        self.assembler.drop()
        self.deflater = self.assembler.inflate = None   # 300 KB; connections may be kept
        self.unregister()
        if self.disconnect_called:
            return self.drop_connection()
        if self.idle():
            self.context().call_soon(self.call_ondisconnect)
        else:
            self.context().call_later(self.options.close_timeout_ms / 1000, self.cancel_tasks)
        return 0

    cdef int drop_connection(self) except -1:
        """Break the reference cycle with the connection when nothing needs it any more."""
        if self.transport.closed and self.unregistered and self.disconnect_called and (
                not self.tasks):
            self.connection = None
        return 0

    def cancel_tasks(self):
        """Cancel the callbacks of a client that has left."""
        if self.backlog:
            self.context().websockets.report_lost(self.options.label, len(self.backlog))
        self.backlog = None
        for task in list(self.tasks or ()):
            task.cancel()

    def call_ondisconnect(self):
        """Call the application's `ondisconnect`, once."""
        cdef object ondisconnect = self.ondisconnect
        if self.disconnect_called:
            return
        self.disconnect_called = True
        self.ignores_input = True
        self.ondisconnect = self.onmsg = None
        if ondisconnect is not None:
            self.call(ondisconnect, (self.connection,))
        if self.tasks:
            self.context().call_later(self.options.close_timeout_ms / 1000, self.cancel_tasks)
        self.drop_connection()
