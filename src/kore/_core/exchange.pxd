"""One request and its response, and what carries them."""

from libc.stdint cimport int64_t

from kore._core.accesslog cimport AccessLog
from kore._core.body cimport BodyReader
from kore._core.file cimport FileRange
from kore._core.protocol cimport Protocol
from kore._core.request_head cimport RequestHead
from kore._core.server_context cimport ServerContext
from kore._core.tls_layer cimport TlsLayer


cdef enum Length:
    UNKNOWN_LENGTH = -1     # none is announced
    IN_PIECES = -2          # it is not known before the end: the protocol marks that


cdef class HttpProtocol(Protocol):
    cdef ServerContext context
    cdef TlsLayer tls       # None: the client came without TLS

    cdef bint serves(self, Exchange exchange) noexcept
    cdef bint carries(self, Exchange exchange) noexcept
    cdef bint can_send(self, Exchange exchange) noexcept
    cdef size_t pending_size(self, Exchange exchange) noexcept
    cdef int prepare_output(self, Exchange exchange, int64_t size) except -1
    cdef int send_interim(self, Exchange exchange, int status) except -1
    cdef bint send_head(self, Exchange exchange, int status, int64_t length) except -1
    cdef int send_data(self, Exchange exchange, object data) except -1
    cdef int send_file(self, Exchange exchange, FileRange piece) except -1
    cdef int end(self, Exchange exchange) except -1
    cdef int flush(self, Exchange exchange) except -1
    cdef int abort(self, Exchange exchange) except -1
    cdef object when_sent(self, Exchange exchange)
    cdef int proceed(self, Exchange exchange) except -1
    cdef int resume_body(self, Exchange exchange) except -1
    cdef int send_continue(self, Exchange exchange) except -1
    cdef int close_after(self, Exchange exchange) except -1
    cdef int expect_body(self, Exchange exchange, int64_t size_max) except -1
    cdef int expect_end(self, Exchange exchange) except -1
    cdef int note_refusal(self, int reason, bytes quote) except -1
    cdef object get_connection(self)
    cdef bint upgrade(self, Exchange exchange, tuple callbacks, object options, object deflater,
                      object subprotocol) except -1


cdef class Exchange(RequestHead):
    cdef HttpProtocol http
    cdef object route
    cdef object extras          # what its route asks for beside being run, or None
    cdef object task            # runs the handler, when that is a coroutine
    cdef object on_disconnect   # called when the client leaves, in place of cancelling; or None
    cdef bint disconnect_noted  # it was
    cdef object stream_task     # sends an async iterator that is the body of the response

    # the body of the request
    cdef bytes content          # the body; None while it arrives, and when there is none
    cdef object store           # where it is, or goes, when that is not in memory
    cdef object sink            # the same, as long as more of it may come
    cdef BodyReader reader
    cdef size_t min_chunk       # bytes that are worth a call of the sink
    cdef bint received          # all of it has come
    cdef bint paused            # the sink takes no more now
    cdef bint continue_sent     # the client knows that its body is wanted
    cdef bint drains            # its rest is to be read and dropped
    cdef int64_t paused_at
    cdef int64_t body_started   # when it was first waited for

    # the response
    cdef list fields            # pairs of bytes, in order; None: there are none
    cdef readonly int status
    cdef readonly bint answered     # response() was called
    cdef bint opened            # the head is queued
    cdef bint finished          # all of it is queued
    cdef bint by_hand           # the handler itself writes the body, with open_body()
    cdef bint wants_close       # the application asked for connection: close
    cdef bint chunked           # the protocol marks the pieces of the body
    cdef bint bodiless          # the request or the status says that no body is sent
    cdef int64_t declared       # the application's content-length; -1: none
    cdef int64_t body_left      # bytes of it that are still to be written; -1: not announced
    cdef object source          # iterator of the body
    cdef object variables       # the contextvars of that iterator

    # the access log: positions are those of the transport's input and output
    cdef public AccessLog access_log    # where it is logged; None: nowhere
    cdef int refusal            # which rule it broke: a RefusalReason; 0: none
    cdef int64_t started_at     # when its head was complete, on the poller's clock
    cdef int64_t request_start
    cdef int64_t request_end
    cdef int64_t response_start
    cdef int64_t body_start
    cdef int64_t response_end

    cdef bint awaits_response(self) noexcept
    cdef int respond_whole(self, int status, object body) except -1
    cdef int respond_error_page(self, int status) except -1
    cdef int respond_in_parts(self, int status, object parts) except -1
    cdef int respond_iterator(self, int status, object first, object rest) except -1
    cdef object add_error_page(self, int status, object body)
    cdef int begin_body(self, int status, int64_t length) except -1
    cdef int send_piece(self, object data) except -1
    cdef bint write_piece(self, object item) except -1
    cdef int finish_body(self) except -1
    cdef int pull_piece(self) except -1
    cdef int close_iterator(self, object source) except -1
    cdef int discard_iterator(self, object body) except -1
    cdef bint lacks_end(self) noexcept
    cdef int send_error(self, int status, str allow, int64_t size=*) except -1
    cdef int fail_or_abort(self, int status) except -1
    cdef int fail_unfinished(self, int status) except -1
    cdef int fail_and_cancel(self, int status) except -1
    cdef int refuse_body(self, int reason, bytes quote) except -1
    cdef int divert_body(self) except -1
    cdef Py_ssize_t feed_body(self, const char *data, size_t size) except? -1
    cdef int fill_sink(self) except -1
    cdef int complete_body(self) except -1
    cdef bint resume_sink(self) except -1
    cdef int64_t body_deadline(self) noexcept
    cdef object take_sink(self)
    cdef int release(self, object sink) except -1
    cdef int note_disconnect(self) except -1
    cdef int cancel_tasks(self) except -1
    cdef int cancel_task(self, object task) except -1
