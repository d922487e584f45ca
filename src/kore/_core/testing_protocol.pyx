# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""A second protocol, for tests: it shows that transports and exchanges are not bound to HTTP/1.

A connection begins with a byte that chooses: 0 for frames, anything else is HTTP/1. A frame is the
number of an exchange (one byte), the size of what follows (four bytes, big endian), and a request
as HTTP/1 would have it, in one piece. Responses come in frames of that kind, in any order: a head
(`H`, status, fields), data (`D`) and an end (`E`), each with its number in front.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint32_t

from kore._core.accesslog cimport AccessLog
from kore._core.body cimport BodyReader
from kore._core.buffer cimport buffered_size
from kore._core.connection cimport Connection
from kore._core.dispatch cimport dispatch_request, report_and_fail, run_handler
from kore._core.exchange cimport Exchange, HttpProtocol
from kore._core.http1 cimport Http1
from kore._core.parser cimport parse_head
from kore._core.protocol cimport Protocol
from kore._core.request cimport Request
from kore._core.state cimport Stage, check_transition
from kore._core.transport cimport Transport

from kore._core.state import TRANSITIONS

cdef enum:
    FRAME_HEAD = 5      # bytes


def resume_transport(Connection connection not None):
    """Go on with the input of a connection, as the event loop would."""
    connection.transport.resume()


def choose_protocol(resolve, AccessLog access_log=None):
    """Return a protocol that chooses another one by the first byte: for `Listener`."""
    cdef ChoosingProtocol protocol = ChoosingProtocol.__new__(ChoosingProtocol)
    protocol.resolve = resolve
    protocol.access_log = access_log
    return protocol


cdef class ChoosingProtocol(Protocol):
    """Looks at the first byte, and gives the transport to what it stands for."""

    cdef Transport transport
    cdef object resolve
    cdef AccessLog access_log

    cdef int on_attached(self, object transport) except -1:
        self.transport = transport
        return 0

    cdef bint on_input(self) except -1:
        cdef Transport transport = self.transport
        cdef Http1 http
        cdef FramedProtocol framed
        if not buffered_size(&transport.inbox):
            return False
        if transport.inbox.data[transport.inbox.start] == 0:
            transport.consume_input(1)
            framed = FramedProtocol.__new__(FramedProtocol)
            framed.resolve = self.resolve
            transport.set_protocol(framed)
        else:
            http = Http1.__new__(Http1)
            http.resolve = self.resolve
            http.access_log = self.access_log
            transport.set_protocol(http)
        return True


cdef class FramedProtocol(HttpProtocol):
    """Carries any number of exchanges at a time."""

    cdef Transport transport
    cdef object resolve
    cdef dict numbers           # by exchange

    cdef int on_attached(self, object transport) except -1:
        self.transport = transport
        self.context = self.transport.context
        self.numbers = {}
        return 0

    cdef bint on_input(self) except -1:
        cdef Transport transport = self.transport
        cdef const unsigned char *data = <unsigned char *>transport.inbox.data
        cdef uint32_t size
        cdef int number
        cdef bytes frame
        data += transport.inbox.start
        if buffered_size(&transport.inbox) < FRAME_HEAD:
            return False
        size = data[1] << 24 | data[2] << 16 | data[3] << 8 | data[4]
        if buffered_size(&transport.inbox) < FRAME_HEAD + size:
            return False
        number = data[0]
        frame = PyBytes_FromStringAndSize(<const char *>data + FRAME_HEAD, size)
        transport.consume_input(FRAME_HEAD + size)
        self.begin_exchange(number, frame)
        return True

    cdef int begin_exchange(self, int number, bytes frame) except -1:
        cdef Request request = Request.__new__(Request)
        cdef int used = parse_head(PyBytes_AS_STRING(frame), len(frame), &request.head,
                                   &self.context.limits.head)
        if used <= 0:
            self.transport.close_after_flush(False)
            return 0
        request.raw = frame
        request.http = self
        request.started_at = self.transport.moment
        self.numbers[request] = number, used
        self.context.requests += 1
        try:
            dispatch_request(request, self.resolve)
        except BaseException as error:
            report_and_fail(request, error)
        return 0

    cdef int expect_body(self, Exchange exchange, int64_t size_max) except -1:
        cdef Py_ssize_t start = self.numbers[exchange][1]
        exchange.reader = BodyReader.__new__(BodyReader)
        exchange.reader.start(exchange.head.length, size_max)
        exchange.continue_sent = True
        exchange.feed_body(PyBytes_AS_STRING(exchange.raw) + start, len(exchange.raw) - start)
        exchange.fill_sink()
        exchange.complete_body()
        return run_handler(exchange)

    cdef int put_frame(self, Exchange exchange, bytes data) except -1:
        cdef bytes head = (<int>self.numbers[exchange][0]).to_bytes(1, "big")
        head += len(data).to_bytes(4, "big")
        self.transport.queue_copy(PyBytes_AS_STRING(head), len(head))
        return self.transport.queue_buffer(data)

    cdef bint serves(self, Exchange exchange) noexcept:
        return exchange in self.numbers and not self.transport.closed

    cdef bint carries(self, Exchange exchange) noexcept:
        return self.serves(exchange)

    cdef bint can_send(self, Exchange exchange) noexcept:
        return not self.transport.broken and not self.transport.closed

    cdef size_t pending_size(self, Exchange exchange) noexcept:
        return self.transport.pending_size()

    cdef int prepare_output(self, Exchange exchange, int64_t size) except -1:
        return self.transport.prepare_parts(size)

    cdef bint send_head(self, Exchange exchange, int status, int64_t length) except -1:
        if exchange.opened or not self.serves(exchange):
            return False
        exchange.answered = exchange.opened = True
        exchange.status = status
        self.put_frame(exchange, b"H%d %d %r" % (status, length, exchange.fields))
        return True

    cdef int send_data(self, Exchange exchange, object data) except -1:
        return self.put_frame(exchange, b"D" + bytes(data))

    cdef int end(self, Exchange exchange) except -1:
        if not self.serves(exchange):
            return 0
        self.put_frame(exchange, b"E")
        exchange.finished = True
        exchange.source = None
        del self.numbers[exchange]
        self.context.end_request()
        exchange.release(exchange.take_sink())
        return self.transport.flush_and_rearm()

    cdef int flush(self, Exchange exchange) except -1:
        return self.transport.flush_and_rearm()

    cdef int abort(self, Exchange exchange) except -1:
        return self.transport.close()

    cdef object when_sent(self, Exchange exchange):
        return self.transport.when_sent()

    cdef bint on_writable(self) except -1:
        cdef Exchange exchange
        for exchange in list(self.numbers):
            if exchange.source is not None:
                exchange.pull_piece()
                return True
        return False

    cdef int on_eof(self) except -1:
        return 0 if self.numbers else self.transport.close_after_flush(False)

    cdef bint on_output_lost(self) except -1:
        return True

    cdef int on_drain(self, bint patient) except -1:
        return 0 if self.numbers else self.transport.close()

    cdef int on_closed(self) except -1:
        cdef Exchange exchange
        cdef list left = list(self.numbers)
        self.numbers = {}
        for exchange in left:
            self.context.end_request()
            exchange.note_disconnect()
            exchange.release(exchange.take_sink())
        return 0


def try_transition(str before not None, str after not None):
    """Look up a transition of an HTTP/1 connection's stages, given by their names."""
    names = list(TRANSITIONS)
    check_transition(<Stage><int>names.index(before), <Stage><int>names.index(after))
