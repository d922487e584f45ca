# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""HTTP/1 on a transport: responses, one at a time, and what becomes of the connection. RFC 9112.

How requests are read is in http1_reader.pyx, the stages and what may follow each in state.pyx. What
lives as long as one request is in its exchange.
"""

cimport cython
from cpython.ref cimport Py_REFCNT
from libc.stdint cimport int64_t
from libc.stdio cimport snprintf

from kore._core.buffer cimport BLOCK_SIZE, buffered_size
from kore._core.dispatch cimport resume_request
from kore._core.exchange cimport IN_PIECES, UNKNOWN_LENGTH, Exchange
from kore._core.exchange_log cimport log_exchange, log_lost_exchanges, log_sent_exchanges
from kore._core.file cimport FileRange
from kore._core.http1_reader cimport set_stage
from kore._core.libc cimport time
from kore._core.refusals cimport REFUSE_BODY_TIMEOUT, REFUSE_HEAD_TIMEOUT
from kore._core.request cimport Request
from kore._core.state cimport CLOSING, DRAINING, IDLE, READING_HEAD, RUNNING, STREAMING, SWITCHED
from kore._core.tls_layer cimport may_send_hsts
from kore._core.transport cimport Transport
from kore._core.websocket cimport WebSocket
from kore._core.writer cimport ResponseHead


@cython.final
cdef class Http1(Http1Reader):
    """The HTTP/1 of one connection."""

    # ---- responses

    cdef bint can_send(self, Exchange exchange) noexcept:
        return not self.transport.broken and not self.transport.closed

    cdef size_t pending_size(self, Exchange exchange) noexcept:
        return self.transport.pending_size()

    cdef int prepare_output(self, Exchange exchange, int64_t size) except -1:
        return self.transport.prepare_parts(size)

    cdef int send_interim(self, Exchange exchange, int status) except -1:
        # RFC 9110 15.2: not to an HTTP/1.0 client
        if exchange.head.minor:
            self.context.writer.write_interim(
                &self.transport.outbox, &self.transport.poller.pool, status, exchange.fields)
        return 0

    @cython.nonecheck(False)
    cdef bint send_head(self, Exchange exchange, int status, int64_t length) except -1:
        cdef Transport transport = self.transport
        cdef ResponseHead head
        if exchange.opened or not self.serves(exchange):
            return False
        if length == IN_PIECES:
            exchange.chunked = exchange.head.minor == 1
            if not exchange.chunked:
                self.keep_alive = False     # only the end of the connection ends the body
                length = UNKNOWN_LENGTH
        if self.keep_alive and (exchange.wants_close or self.context.draining):
            self.keep_alive = False
            self.linger = True      # the client did not know: its next request may be on its way
        if not self.keep_alive and exchange.has_body():
            self.linger = True      # some clients send a line break after a body
        # A response in pieces may go on for as long as the body does: `end` will see.
        if (not exchange.received and exchange.has_body()
                and not (length == IN_PIECES and self.stage == STREAMING)):
            self.drain_or_close(exchange)
        head.status = status
        head.keep = self.keep_alive
        head.chunked = length == IN_PIECES
        head.length = length
        head.hsts = may_send_hsts(self.tls)
        exchange.response_start = transport.bytes_queued()
        exchange.answered = exchange.opened = True
        exchange.status = status
        self.context.writer.update_date(time(NULL))
        self.context.writer.write_head(
            &transport.outbox, &transport.poller.pool, &head, exchange.fields)
        exchange.body_start = transport.bytes_queued()
        return True

    cdef int send_data(self, Exchange exchange, object data) except -1:
        cdef char size[24]
        if not exchange.chunked:
            return self.transport.queue_buffer(data)
        self.transport.queue_copy(
            size, snprintf(size, sizeof(size), b"%zx\r\n", <size_t>len(data)))
        self.transport.queue_buffer(data)
        return self.transport.queue_copy(b"\r\n", 2)

    cdef int send_file(self, Exchange exchange, FileRange piece) except -1:
        return self.transport.queue_file(piece)

    cdef int flush(self, Exchange exchange) except -1:
        return self.transport.flush_and_rearm()

    cdef object when_sent(self, Exchange exchange):
        return self.transport.when_sent()

    cdef int close_after(self, Exchange exchange) except -1:
        self.keep_alive = False
        return 0

    cdef int abort(self, Exchange exchange) except -1:
        # With chunks it is enough to leave out the last one.
        return self.transport.close() if exchange.chunked else self.transport.abort()

    @cython.nonecheck(False)
    cdef int end(self, Exchange exchange) except -1:
        cdef Transport transport = self.transport
        cdef object _source = exchange.source   # its end may run code: not before the last line
        cdef object sink
        if self.current is not exchange:        # code that was called has done it
            return 0
        if exchange.chunked:
            transport.queue_copy(b"0\r\n\r\n", 5)
        if self.stage == STREAMING and not exchange.drains:
            self.drain_or_close(exchange)
        exchange.source = None
        sink = None if exchange.sink is None else exchange.take_sink()
        self.end_exchange(exchange)
        if exchange.drains and not self.disconnected:   # code that was called may have disconnected
            self.start_draining(exchange)
        elif self.keep_alive and not self.disconnected and not self.context.hurried:
            set_stage(self, IDLE, 0)     # its deadline is set when there is no request in the inbox
        else:
            self.linger = self.linger or self.keep_alive
            self.hang_up()
        exchange.reader = None
        if sink is not None or exchange.store is not None or exchange.extras is not None:
            exchange.release(sink)
        if transport.advancing or transport.closed:
            return 0
        if buffered_size(&transport.inbox):     # not from here: a handler is on the stack
            transport.plan_resume()
        return transport.flush_and_rearm()

    @cython.nonecheck(False)
    cdef int end_exchange(self, Exchange exchange) except -1:
        """Note that a response is queued; `release` is to follow, when the next stage is set."""
        exchange.finished = True
        self.current = None
        self.context.end_request()
        self.transport.forget_probe()
        if exchange.on_disconnect is not None:
            exchange.on_disconnect = None
        return 0 if exchange.access_log is None else self.record(exchange)

    cdef int expect_end(self, Exchange exchange) except -1:
        self.context.call_soon(self.check_end)
        return 0

    def check_end(self):
        """Abort a response that nothing can end: its handler is done, and nothing else has it."""
        cdef Request request = self.current
        if request is None or not request.lacks_end() or Request.get_running_tasks(request):
            return
        if Py_REFCNT(request) <= 2:     # this variable and `self.current`
            self.context.report(request, None)
            request.fail_or_abort(500)

    cdef int proceed(self, Exchange exchange) except -1:
        if not exchange.awaits_response():
            return 0
        resume_request(exchange)
        return self.transport.advance()

    cdef int note_refusal(self, int reason, bytes quote) except -1:
        return self.context.note_refusal(self.get_connection(), reason, quote)

    cdef object get_connection(self):
        cdef Connection connection
        if self.connection is None:
            connection = Connection.__new__(Connection)     # may run a finalizer, and that this
            if self.connection is None:
                connection.transport = self.transport
                self.connection = connection
        return self.connection

    cdef bint upgrade(self, Exchange exchange, tuple callbacks, object options, object deflater,
                      object subprotocol) except -1:
        """Respond with 101, and speak no HTTP any more."""
        cdef Transport transport = self.transport
        cdef Connection connection = self.get_connection()
        cdef WebSocket websocket = WebSocket.__new__(WebSocket)
        cdef object onconnect, sink
        onconnect, websocket.onmsg, websocket.ondisconnect = callbacks
        websocket.options = options
        websocket.deflater = deflater
        websocket.subprotocol = subprotocol
        websocket.prepare(transport, connection)
        cdef list fields = exchange.fields or []
        if exchange.opened or not self.serves(exchange):    # code that was called has responded
            return False
        exchange.response_start = transport.bytes_queued()
        self.context.writer.write_upgrade(
            &transport.outbox, &transport.poller.pool, fields, may_send_hsts(self.tls))
        exchange.answered = exchange.opened = True
        exchange.status = 101
        exchange.body_start = websocket.before = transport.bytes_queued()
        set_stage(self, SWITCHED, 0)
        connection.websocket = websocket
        transport.set_protocol(websocket)
        sink = exchange.take_sink()
        self.end_exchange(exchange)
        if self.unlogged is not None:
            websocket.http = self
        exchange.release(sink)
        websocket.open(onconnect)
        if buffered_size(&transport.inbox) and not transport.advancing:
            transport.plan_resume()     # what it said too early, before its end perhaps
        else:
            transport.flush_and_rearm()
        return True

    # ---- events

    cdef bint on_writable(self) except -1:
        cdef Request request = self.current
        if request is None or request.source is None:
            return False
        request.pull_piece()
        return True

    cdef int on_eof(self) except -1:
        if self.stage <= DRAINING and not self.transport.has_unfinished_input():
            if self.stage == STREAMING:
                return self.transport.close()
            self.hang_up()      # no request can become complete any more
        return 0

    cdef bint on_output_lost(self) except -1:
        if self.transport.ended and self.stage != RUNNING and (
                not self.transport.has_unfinished_input()):
            return True
        if self.stage == RUNNING and not self.abandon_planned:
            self.abandon_planned = True
            self.context.call_soon(self.abandon)    # its handler has taken its first step then
        return False

    def abandon(self):
        """Close, and cancel the handler of, a connection that can send nothing any more."""
        self.abandon_planned = False
        if self.transport.broken and self.stage == RUNNING and not self.transport.closed:
            self.transport.close()

    cdef int on_deadline(self) except -1:
        cdef Request request = self.current     # a response ends it: it has to outlive that
        if self.stage == READING_HEAD:
            self.reject_malformed(REFUSE_HEAD_TIMEOUT)
        elif self.receives():
            self.stage_deadline = request.body_deadline()
            if self.stage_deadline > self.transport.poller.now():
                return self.transport.flush_and_rearm()
            request.refuse_body(REFUSE_BODY_TIMEOUT, b"")
        else:
            return self.transport.close()
        return self.transport.flush_and_rearm()

    cdef bint wants_input(self) noexcept:
        if self.stage == RUNNING:
            return buffered_size(&self.transport.inbox) < BLOCK_SIZE
        return self.current is None or not self.current.paused

    @cython.nonecheck(False)
    cdef bint has_input(self) noexcept:
        if self.current is not None:
            return self.current.paused
        return buffered_size(&self.transport.inbox) > 0 and (
            self.stage == IDLE or self.stage == DRAINING)

    cdef bint is_working(self) noexcept:
        return self.stage == RUNNING or (self.stage == STREAMING and self.current.paused)

    cdef bint is_ended_by_close(self) noexcept:
        return self.current is not None and self.current.opened and not self.current.chunked

    cdef bint send_probe(self) except -1:
        # An interim 100 response, which every HTTP/1.1 client must skip (RFC 9110 15.2). Nothing
        # can be sent over HTTP/1.0, or in the middle of a response.
        if self.current.head.minor and not self.current.opened:
            self.transport.queue_copy(b"HTTP/1.1 100 Continue\r\n\r\n", 25)
        return True

    cdef int64_t next_deadline(self, bint pending) noexcept:
        if self.stage == IDLE and not self.stage_deadline:      # a response has ended since
            self.stage_deadline = self.transport.poller.now() + self.context.limits.keepalive_ms
        return 0 if pending else self.stage_deadline

    cdef int64_t idle_since(self) noexcept:
        cdef int64_t since = self.stage_deadline - self.context.limits.header_timeout_ms
        if self.stage > READING_HEAD:
            return 0
        if self.stage == IDLE and self.transport.received_size:
            return max(self.stage_deadline - self.context.limits.keepalive_ms, 1)
        # A head that does not come, or not on: that is no request yet.
        return since if since + NEW_MS <= self.transport.poller.now() else 0

    # ---- the end

    cdef int on_drain(self, bint patient) except -1:
        cdef Transport transport = self.transport
        if patient:
            return 0
        if self.stage == IDLE and not self.blocked and not transport.yielded:
            transport.read_and_advance()    # a request may have arrived since the last event
        if transport.is_closing():
            return 0
        if self.stage == IDLE and not self.blocked and not transport.yielded and (
                not transport.pending_size()):
            return self.await_last_request()
        if self.stage == DRAINING or (
                self.stage == IDLE and not self.blocked and not transport.yielded):
            self.linger = True      # the client did not know: its next request may be on its way
            self.hang_up()
            return transport.flush_and_rearm()
        return 0

    cdef int await_last_request(self) except -1:
        """Give an idle client a moment: a request may be on its way, its first perhaps."""
        cdef int64_t until = self.transport.poller.now() + LAST_MS
        if not self.transport.received_size:
            until = max(
                until, self.stage_deadline - self.context.limits.header_timeout_ms + NEW_MS)
        self.stage_deadline = min(self.stage_deadline, until)
        return self.transport.flush_and_rearm()

    cdef int on_disconnect(self) except -1:
        """Close when all that waits has been sent, and say nothing else."""
        cdef Transport transport = self.transport
        self.disconnected = True
        if transport.broken or (self.current is not None and not transport.pending_size()):
            return transport.close()
        if transport.pending_size() or self.stage == DRAINING or transport.has_unacknowledged():
            self.linger = True      # a reset could destroy what is on its way
        if self.current is None:
            self.hang_up()
        else:
            set_stage(self, CLOSING, 0)
            transport.close_after_flush(False)
        return transport.flush_and_rearm()

    cdef int on_closed(self) except -1:
        cdef Request request = self.current
        cdef object sink, source
        self.log_unfinished()
        self.current = None
        if request is None:
            return 0
        source = request.source
        request.source = None
        sink = request.take_sink()
        self.context.end_request()
        request.note_disconnect()
        request.release(sink)
        return request.close_iterator(source)

    # ---- the access log

    cdef int record(self, Exchange exchange) except -1:
        """Log an exchange whose response is queued; behind a large response, when it has gone."""
        cdef Transport transport = self.transport
        cdef list unlogged
        exchange.response_end = transport.bytes_queued()
        exchange.request_end = transport.bytes_consumed()
        if transport.broken:
            self.log_lost()
            return log_exchange(transport, exchange, False)
        if self.unlogged is None and transport.pending_size() <= BLOCK_SIZE:
            return log_exchange(transport, exchange, True)
        unlogged = []           # may run a finalizer, and that come here
        if self.unlogged is None:
            self.unlogged = unlogged
        self.unlogged.append(exchange)
        return 0

    cdef bint on_flushed(self) except -1:
        if self.unlogged is None:
            return False
        if self.transport.broken:
            self.log_lost()
        elif log_sent_exchanges(self.transport, self.unlogged):
            self.unlogged = None
        return self.unlogged is not None

    cdef int log_lost(self) except -1:
        """Log the exchanges whose responses cannot be sent any more."""
        if self.unlogged is not None:
            log_lost_exchanges(self.transport, self.unlogged)
            self.unlogged = None
        return 0

    cdef int log_unfinished(self) except -1:
        """Log what the end of the connection breaks off."""
        self.log_lost()
        if self.current is not None and self.current.access_log is not None:
            self.current.response_end = self.transport.bytes_queued()
            self.current.request_end = self.transport.bytes_consumed()
            log_exchange(self.transport, self.current, False)
        return 0
