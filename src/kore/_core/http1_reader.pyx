# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""Requests of an HTTP/1 connection: heads from the inbox, and their bodies. RFC 9112.

The stages and what may follow each are in state.pyx. What lives as long as one request is in its
exchange; here is what outlives it: the head that arrives, keep-alive, a body that is drained.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.string cimport memset

from kore._core.buffer cimport BLOCK_SIZE, buffered_size
from kore._core.dispatch cimport dispatch_request, report_and_fail, run_handler
from kore._core.exchange_log cimport Malformed, log_malformed
from kore._core.grammar cimport Span
from kore._core.libc cimport time
from kore._core.parser cimport CHUNKED, CLOSE, EXPECT_CONTINUE, HEAD, find_offending, parse_head
from kore._core.refusals cimport (
    REFUSE_BODY_SIZE, REFUSE_HEAD_TIMEOUT, REFUSE_PLAINTEXT, refusal_status)
from kore._core.state cimport (
    CLOSING, DRAINING, IDLE, READING_BODY, READING_HEAD, RUNNING, STREAMING)
from kore._core.tls_layer cimport may_send_hsts
from kore._core.writer cimport PLAIN_TEXT, ResponseHead, error_page

cdef enum:
    DRAIN_MAX = 65536       # bytes of a body that is not wanted: cheaper than a new connection
    PIECE_SIZE = 65536      # bytes of it that are dropped at a time
    BODY_QUOTE_MAX = 16     # bytes of a malformed chunked body that are quoted in the log

# A body that is not wanted has this long, in seconds, to arrive after its request is over.
DRAIN_TIMEOUT = 0.1


cdef class Http1Reader(HttpProtocol):
    """Reads the requests of one connection; `Http1` adds the responses.

    What runs for each request does without checks for None: it is reached only on an open
    transport, and with a request.
    """

    cdef int on_attached(self, object transport) except -1:
        self.transport = transport
        self.context = self.transport.context
        self.tls = self.transport.tls
        self.stage_deadline = self.transport.poller.now() + self.context.limits.header_timeout_ms
        return 0

    @cython.nonecheck(False)
    cdef bint on_input(self) except -1:
        if self.stage <= READING_HEAD:
            return self.next_head()
        if self.receives():
            return self.next_body()
        return self.stage == DRAINING and self.drain_body()

    # ---- heads

    @cython.nonecheck(False)
    cdef bint next_head(self) except -1:
        cdef Transport transport = self.transport
        cdef int used
        self.blocked = (buffered_size(&transport.inbox) > 0
                        and transport.pending_size() > BLOCK_SIZE)
        if self.blocked or not buffered_size(&transport.inbox):
            return False
        used = parse_head(transport.inbox.data + transport.inbox.start,
                          buffered_size(&transport.inbox), &self.head, &self.context.limits.head)
        if used == 0 and self.keep_alive and self.skip_blank_line():
            return False
        if used > 0:
            self.begin_exchange(used)
            return True
        if self.stage == IDLE:
            set_stage(
                self, READING_HEAD, transport.poller.now() + self.context.limits.header_timeout_ms)
        if used < 0:
            self.reject_malformed(-used)
        return False

    cdef bint skip_blank_line(self) except -1:
        """Return whether only an empty line has come since the last response, and drop it.

        Some clients send one behind a body: it does not begin a request (RFC 9112 2.2).
        """
        cdef size_t size = self.head.line_start
        if self.stage != IDLE or self.head.line_count or self.head.scanned != self.head.line_start:
            return False
        if self.transport.ended:    # half of an empty line is not completed any more
            size = buffered_size(&self.transport.inbox)
        self.transport.consume_input(size)
        self.head.line_start = self.head.scanned = 0    # `blank_count` goes on
        return True

    @cython.nonecheck(False)
    cdef int begin_exchange(self, int used) except -1:
        # The bytes are taken first: making the request may run a finalizer, and that anything.
        cdef Transport transport = self.transport
        cdef bytes raw = PyBytes_FromStringAndSize(
            transport.inbox.data + transport.inbox.start, used)
        cdef int64_t start = transport.bytes_consumed()
        cdef Request request
        transport.consume_input(used)
        request = Request.__new__(Request)
        if transport.closed or self.disconnected:
            return 0
        request.raw = raw
        request.head = self.head
        memset(&self.head, 0, sizeof(Head))
        request.http = self
        request.access_log = self.access_log
        request.started_at = transport.moment
        request.request_start = start
        self.current = request
        set_stage(self, RUNNING, 0)
        # Whether the worker drains is asked when the response begins.
        self.keep_alive = (request.head.minor == 1 and not request.head.flags & CLOSE
                           and self.context.limits.keepalive_ms > 0)
        self.context.requests += 1
        try:
            dispatch_request(request, self.resolve)
        except BaseException as error:
            report_and_fail(request, error)
        return 0

    cdef int reject_malformed(self, int reason) except -1:
        """Refuse what is not a request. What follows it cannot be understood either."""
        cdef Transport transport = self.transport
        cdef int status = refusal_status(reason)
        cdef Malformed found
        cdef bytes kind, text, quote
        kind, text = self.make_refusal_page(reason)
        cdef ResponseHead head = ResponseHead(
            status, False, False, len(text), may_send_hsts(self.tls))
        cdef list fields = [(b"content-type", kind)]
        if transport.closed or self.disconnected:
            return 0
        found.head = &self.head
        found.reason = reason
        found.started_at = self.stage_deadline - self.context.limits.header_timeout_ms
        found.response_start = transport.bytes_queued()
        self.context.writer.update_date(time(NULL))
        self.context.writer.write_head(
            &transport.outbox, &transport.poller.pool, &head, fields)
        found.body_start = transport.bytes_queued()
        if self.head.method != HEAD:
            transport.queue_copy(PyBytes_AS_STRING(text), len(text))
        if self.access_log is not None:
            log_malformed(transport, self.access_log, &found)
        quote = self.quote_input(reason)
        self.linger = True
        self.hang_up()
        return self.note_refusal(reason, quote)

    cdef tuple make_refusal_page(self, int reason):
        """Return the media type and the body of the response to what is not a request."""
        if reason == REFUSE_PLAINTEXT:      # the client is not told by its status alone
            return PLAIN_TEXT, b"This port speaks TLS: use https://\n"
        return error_page(refusal_status(reason), self.context.limits.pretty_errors)

    cdef bytes quote_input(self, int reason):
        """Return the received bytes to quote in the log when a head is refused."""
        cdef Transport transport = self.transport
        cdef const char *data = transport.inbox.data + transport.inbox.start
        cdef Span quote
        if reason == REFUSE_HEAD_TIMEOUT or not buffered_size(&transport.inbox):
            return b""
        quote = find_offending(data, buffered_size(&transport.inbox), &self.head, reason)
        return (data + quote.start)[:quote.size]

    cdef bytes quote_body(self, BodyReader reader, int reason):
        """Return the received bytes to quote in the log when a chunked body is refused."""
        cdef Transport transport = self.transport
        cdef size_t start = min(reader.refused_at, buffered_size(&transport.inbox))
        cdef size_t size = min(buffered_size(&transport.inbox) - start, <size_t>BODY_QUOTE_MAX)
        if reason == REFUSE_BODY_SIZE:      # nothing is wrong with its bytes
            return b""
        return (transport.inbox.data + transport.inbox.start + start)[:size]

    # ---- bodies of requests

    cdef bint receives(self) noexcept:
        return self.stage == READING_BODY or self.stage == STREAMING

    cdef int expect_body(self, Exchange exchange, int64_t size_max) except -1:
        cdef bint streams = exchange.extras is not None and exchange.extras.stream
        cdef BodyReader reader = BodyReader.__new__(BodyReader)
        cdef int64_t memory_max = self.context.limits.body_memory_max
        if not exchange.awaits_response():      # code that was called has responded
            return 0
        exchange.reader = reader
        reader.start(-1 if exchange.head.flags & CHUNKED else exchange.head.length, size_max)
        exchange.continue_sent = (not exchange.head.flags & EXPECT_CONTINUE
                                  or buffered_size(&self.transport.inbox) > 0)
        exchange.body_started = self.transport.poller.now()
        # No client is late with what was not asked for.
        set_stage(self, STREAMING if streams else READING_BODY,
                  exchange.body_started + self.context.limits.body_timeout_ms
                  if exchange.continue_sent or not streams else 0)
        if streams or (exchange.extras is not None
                       and exchange.extras.on_body_chunk is not None) or (
                memory_max and exchange.head.length > memory_max):
            exchange.divert_body()
        if not exchange.awaits_response():
            return 0
        return run_handler(exchange) if streams else self.send_continue(exchange)

    cdef int send_continue(self, Exchange exchange) except -1:
        if exchange.continue_sent or not self.carries(exchange) or exchange.reader is None:
            return 0
        exchange.continue_sent = True
        if exchange.head.minor and not exchange.opened:
            self.transport.queue_copy(b"HTTP/1.1 100 Continue\r\n\r\n", 25)
        if self.stage == STREAMING:
            exchange.body_started = self.transport.poller.now()
            self.stage_deadline = exchange.body_deadline()
        return self.transport.flush_and_rearm()

    cdef char *get_input_buffer(self, size_t *size) except? NULL:
        # a body of known length, into the object that the application gets
        if self.receives() and self.current.reader.length >= 0:
            return self.current.reader.reserve_tail(size)
        return NULL

    cdef int on_buffer_filled(self, size_t size) except -1:
        return self.current.reader.add_received(size)

    cdef bint next_body(self) except -1:
        cdef Transport transport = self.transport
        cdef Request request = self.current
        cdef Py_ssize_t used
        if not request.paused:
            if buffered_size(&transport.inbox):
                used = request.feed_body(transport.inbox.data + transport.inbox.start,
                                         buffered_size(&transport.inbox))
                if used < 0:
                    request.refuse_body(-used, self.quote_body(request.reader, -used))
                    return False
                transport.consume_input(used)
            request.fill_sink()
            if not self.serves(request):
                return True
            if request.paused:
                request.paused_at = transport.poller.now()
                self.stage_deadline = 0         # it is not the client that is slow
        if not request.reader.complete or (request.paused and self.stage == READING_BODY):
            return False
        self.finish_body(request)
        return True

    cdef int finish_body(self, Request request) except -1:
        cdef Stage stage = self.stage
        set_stage(self, RUNNING, 0)
        request.complete_body()
        return run_handler(request) if stage == READING_BODY and request.awaits_response() else 0

    cdef int resume_body(self, Exchange exchange) except -1:
        exchange.body_started += self.transport.poller.now() - exchange.paused_at
        self.stage_deadline = exchange.body_deadline()
        return self.transport.advance()

    cdef bint can_drain(self, Exchange exchange) noexcept:
        """Return whether the rest of a body is small enough, and will come."""
        if self.stage == STREAMING:
            return exchange.continue_sent and exchange.reader.remaining() <= DRAIN_MAX
        return (self.stage != READING_BODY and exchange.head.length <= DRAIN_MAX
                and not exchange.head.flags & EXPECT_CONTINUE)

    cdef int drain_or_close(self, Exchange exchange) except -1:
        # The bytes of a body that is not wanted must not be taken for a request: a small one is
        # read and dropped; for more, or for what the client would not send now, close.
        exchange.drains = self.keep_alive and self.can_drain(exchange)
        if not exchange.drains:
            self.keep_alive = False
            self.linger = True
        return 0

    cdef int start_draining(self, Exchange exchange) except -1:
        cdef BodyReader reader = exchange.reader
        if reader is None:
            reader = BodyReader.__new__(BodyReader)
            reader.start(-1 if exchange.head.flags & CHUNKED else exchange.head.length, DRAIN_MAX)
        else:
            reader.take()
            reader.size_max = reader.total + DRAIN_MAX
        reader.batch_size = PIECE_SIZE
        self.draining = reader
        set_stage(self, DRAINING, 0)
        self.context.call_later(DRAIN_TIMEOUT, self.stop_draining, reader)
        return 0

    cdef bint drain_body(self) except -1:
        cdef Transport transport = self.transport
        cdef Py_ssize_t used
        if not buffered_size(&transport.inbox):
            return False
        used = self.draining.feed(transport.inbox.data + transport.inbox.start,
                                  buffered_size(&transport.inbox))
        if used < 0:
            self.hang_up()
            return False
        transport.consume_input(used)
        self.draining.take()
        if self.draining.complete:
            self.draining = None
            set_stage(self, IDLE, 0)
        return self.stage == IDLE

    def stop_draining(self, reader):
        """Give up on a body that is not wanted and does not come."""
        if self.stage == DRAINING and self.draining is reader and not self.transport.closed:
            self.linger = True
            self.hang_up()
            self.transport.flush_and_rearm()

    # ---- the exchange under way, and the end

    @cython.nonecheck(False)
    cdef bint serves(self, Exchange exchange) noexcept:
        return self.current is exchange and not self.transport.closed and not self.disconnected

    cdef bint carries(self, Exchange exchange) noexcept:
        return self.current is exchange and not self.transport.closed

    cdef int hang_up(self) except -1:
        """The last response of this connection is queued."""
        cdef Transport transport = self.transport
        self.linger = self.linger or buffered_size(&transport.inbox) > 0
        transport.consume_input(buffered_size(&transport.inbox))
        self.draining = None
        set_stage(self, CLOSING, 0)
        return transport.close_after_flush(self.linger)
