# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""One request and its response: the state that lives as long as both, whatever carries them.

An exchange talks to its `HttpProtocol`, which HTTP/1 implements and HTTP/2 can: heads, data and
ends go out by it, the body of the request comes in by it. Each verb names the exchange, since a
protocol may carry several at a time.
"""

cimport cython
from cpython.bytes cimport PyBytes_CheckExact

from kore._core.libc cimport PyContext_CopyCurrent
from kore._core.parser cimport HEAD
from kore._core.refusals cimport refusal_status
from kore._core.response cimport encode_field_value, has_field
from kore._core.writer cimport error_page

from kore._core.writer import convert_body

cdef enum:
    PIECE_SIZE = 65536      # bytes handed to a sink at a time, or more

cdef object END = object()      # what no iterator yields


cdef object convert_piece(object item):
    """Return a piece of a body as bytes or a memoryview. Raises TypeError."""
    cdef object data = item if PyBytes_CheckExact(item) else convert_body(item)
    if PyBytes_CheckExact(data) or isinstance(data, memoryview):
        return data
    raise TypeError(f"a piece of a body must be bytes or str, not {type(item).__name__}")


cdef class HttpProtocol(Protocol):
    """What carries exchanges. This class itself is that of detached ones, and does nothing."""

    cdef bint serves(self, Exchange exchange) noexcept:
        """Return whether the client still waits for the response, or for more of it."""
        return False

    cdef bint carries(self, Exchange exchange) noexcept:
        """Return whether the exchange is under way, even if nothing more can be said in it."""
        return False

    cdef bint can_send(self, Exchange exchange) noexcept:
        """Return whether what is queued may still reach the client."""
        return False

    cdef size_t pending_size(self, Exchange exchange) noexcept:
        """Return how much waits until the client reads, roughly."""
        return 0

    cdef int prepare_output(self, Exchange exchange, int64_t size) except -1:
        """Allocate what queueing *size* bytes needs, before `send_head` claims the exchange."""
        return 0

    cdef int send_interim(self, Exchange exchange, int status) except -1:
        """Queue an interim head (1xx), unless the client could not understand it."""
        return 0

    cdef bint send_head(self, Exchange exchange, int status, int64_t length) except -1:
        """Claim the exchange and queue the head of its response; False: it was claimed already.

        From the first line to the last nothing is called or allocated that could run a finalizer.
        """
        return False

    cdef int send_data(self, Exchange exchange, object data) except -1:
        """Queue a piece of the body: bytes or a read-only memoryview, not empty."""
        return 0

    cdef int send_file(self, Exchange exchange, FileRange piece) except -1:
        """Queue a range of a file."""
        return 0

    cdef int end(self, Exchange exchange) except -1:
        """The response is queued: go on with the next exchange."""
        return 0

    cdef int flush(self, Exchange exchange) except -1:
        """Send what is queued."""
        return 0

    cdef int abort(self, Exchange exchange) except -1:
        """End so that the client cannot take what it has for the whole response."""
        return 0

    cdef object when_sent(self, Exchange exchange):
        """Return a future: True when all that is queued is sent, False when it never will be."""
        return None

    cdef int proceed(self, Exchange exchange) except -1:
        """Go on with a request whose `on_headers` has been awaited."""
        return 0

    cdef int resume_body(self, Exchange exchange) except -1:
        """Read more of the body of the request: its sink has room again."""
        return 0

    cdef int send_continue(self, Exchange exchange) except -1:
        """Tell a client that waits for it that its body is wanted."""
        return 0

    cdef int close_after(self, Exchange exchange) except -1:
        """Carry no further exchange after this one, where that depends on it (HTTP/1)."""
        return 0

    cdef int expect_body(self, Exchange exchange, int64_t size_max) except -1:
        """Receive the body of the request, then run it; at once if its handler reads the body."""
        return 0

    cdef int expect_end(self, Exchange exchange) except -1:
        """The handler has returned: see whether anything can still end the response."""
        return 0

    cdef int note_refusal(self, int reason, bytes quote) except -1:
        """Log that a request was refused; *quote* has the bytes that break the rule."""
        return 0

    cdef object get_connection(self):
        """Return the connection as applications see it."""
        return None

    cdef bint upgrade(self, Exchange exchange, tuple callbacks, object options, object deflater,
                      object subprotocol) except -1:
        """Let a WebSocket have the connection."""
        return False


cdef HttpProtocol DETACHED = HttpProtocol.__new__(HttpProtocol)


cdef class Exchange(RequestHead):
    """A request, its response, and the state of both."""

    def __cinit__(self):
        self.http = DETACHED
        self.declared = -1
        self.body_left = -1

    @property
    def protocol(self):
        """`http` or `https`."""
        return "http" if self.http.tls is None else "https"

    @property
    def host_key(self):
        """What a router looks up: the host, as `bare_host`.

        If the TLS handshake was for another name or for none, a tuple: the host, the domain whose
        certificate was sent, and whether the client named it.
        """
        cdef TlsLayer tls = self.http.tls
        cdef str host = self.get_bare_host()
        if tls is None or (tls.named and host == tls.server_name):
            return host
        return host, tls.domain, tls.named

    @cython.nonecheck(False)
    cdef bint awaits_response(self) noexcept:
        """Return whether the request is still to be responded to."""
        return not self.answered and self.http.serves(self)

    # ---- a whole response

    @cython.nonecheck(False)
    cdef int respond_whole(self, int status, object body) except -1:
        """Queue a response; *body* None: none is sent, and its length is not known."""
        cdef bint bare = 100 <= status < 200 or status == 204 or status == 304
        cdef int64_t length = UNKNOWN_LENGTH
        if status >= 400 and self.http.context.limits.pretty_errors:
            body = self.add_error_page(status, body)
        if not bare and body is not None:
            length = 0 if status == 205 else len(body)
            if length == 0 and self.head.method == HEAD and self.declared >= 0:
                length = self.declared
        if status < 200:
            if self.http.serves(self) and not self.opened:
                self.http.send_interim(self, status)
            self.fields = None
            return self.http.flush(self)
        self.http.prepare_output(self, length)
        if not self.http.send_head(self, status, length):
            return 0
        if length > 0 and self.head.method != HEAD:
            self.http.send_data(self, body)
        return self.http.end(self)

    cdef object add_error_page(self, int status, object body):
        # a page in place of nothing, unless the application meant nothing
        if body is None or len(body) or self.declared >= 0:
            return body
        if self.fields is None:
            self.fields = []
        if not has_field(self.fields, b"content-type", 12):
            kind, body = error_page(status, True)
            self.fields.append((b"content-type", kind))
        return body

    cdef int respond_error_page(self, int status) except -1:
        cdef object kind, body
        kind, body = error_page(status, self.http.context.limits.pretty_errors)
        self.fields.append((b"content-type", kind))
        return self.respond_whole(status, body)

    cdef int respond_in_parts(self, int status, object parts) except -1:
        """Queue a response of bytes and ranges of files; without a body when *status* has none."""
        cdef int64_t length = UNKNOWN_LENGTH
        if status != 304:
            length = 0
            for part in parts:
                length += len(part)
        self.http.prepare_output(self, length)
        if not self.http.send_head(self, status, length):
            return 0
        if length > 0 and self.head.method != HEAD:
            for part in parts:
                if type(part) is FileRange:
                    (<FileRange>part).use_copy = not self.http.context.limits.sendfile
                    self.http.send_file(self, part)
                elif len(part):
                    self.http.send_data(self, part)
        return self.http.end(self)

    # ---- a response in pieces

    cdef int respond_iterator(self, int status, object first, object rest) except -1:
        """Begin a response from an iterator; `pull_piece` goes on with it as the client reads."""
        cdef object variables = PyContext_CopyCurrent()
        first = convert_piece(first)
        self.http.prepare_output(self, len(first))
        if not self.begin_body(status, IN_PIECES):
            return self.close_iterator(rest)
        self.variables = variables
        self.source = rest
        self.send_piece(first)
        return self.http.flush(self)

    cdef int begin_body(self, int status, int64_t length) except -1:
        """Queue the head of a response whose body follows in pieces; 0: it was claimed already."""
        if self.opened or not self.http.serves(self):
            return 0
        self.bodiless = self.head.method == HEAD or status in (204, 205, 304)
        if not self.bodiless:
            self.body_left = length if length >= 0 else -1
        elif status == 205:
            length = 0
        elif status in (204, 304):
            length = UNKNOWN_LENGTH
        elif length < 0:
            length = self.declared if self.declared >= 0 else UNKNOWN_LENGTH
        return self.http.send_head(self, status, length)

    cdef int send_piece(self, object data) except -1:
        # An empty chunk would end the body.
        return 0 if len(data) == 0 or self.bodiless else self.http.send_data(self, data)

    cdef bint write_piece(self, object item) except -1:
        """Queue a piece of the body; False: the client is slow, or gone.

        Raises ValueError if the body gets longer than was announced.
        """
        cdef object data = convert_piece(item)
        self.http.prepare_output(self, len(data))
        if not self.http.serves(self):
            return False
        if self.body_left >= 0:
            if len(data) > self.body_left:
                raise ValueError(f"a body of {len(data) - self.body_left} bytes more than the "
                                 "length that was announced")
            self.body_left -= len(data)
        self.send_piece(data)
        self.http.flush(self)
        return (self.http.serves(self) and self.http.can_send(self)
                and not self.http.pending_size(self))

    cdef int finish_body(self) except -1:
        """End a response in pieces; one that is shorter than was announced is aborted."""
        if not self.http.serves(self):
            return 0
        return self.http.abort(self) if self.body_left > 0 else self.http.end(self)

    cdef int pull_piece(self) except -1:
        """Queue what the iterator yields next."""
        cdef object source = self.source
        self.source = None      # not to be closed while it runs
        try:
            item = self.variables.run(next, source, END)
            if item is not END:
                item = convert_piece(item)
                self.http.prepare_output(self, len(item))
            if not self.http.serves(self):
                self.close_iterator(source)
            elif item is END:
                self.finish_body()
                self.close_iterator(source)
            else:
                self.send_piece(item)
                self.source = source
        except BaseException as error:
            self.http.context.report(self, error)
            self.http.abort(self)
            self.close_iterator(source)
        return 0

    cdef int close_iterator(self, object source) except -1:
        try:
            if hasattr(source, "close"):
                source.close()
        except BaseException as error:
            self.http.context.report(self, error)
        return 0

    cdef int discard_iterator(self, object body) except -1:
        """Close an iterator that is not sent, or not any more."""
        if not hasattr(body, "aclose"):
            return self.close_iterator(body)
        try:
            self.http.context.discard_stream(self, body)
        except BaseException as error:
            self.http.context.report(self, error)
        return 0

    cdef bint lacks_end(self) noexcept:
        """Return whether a body that the handler writes itself has not ended."""
        return self.by_hand and self.opened and not self.finished and self.http.serves(self)

    # ---- errors. Not through methods of Python: an application may have set attributes of the same
    # names.

    cdef int send_error(self, int status, str allow, int64_t size=-1) except -1:
        """Send an error response, unless there is one; *allow*: methods, *size*: of a file."""
        if self.answered or not self.http.serves(self):
            return 0
        self.fields = []
        if allow:
            self.fields.append((b"allow", encode_field_value("allow", allow)))
        if size >= 0:
            self.fields.append((b"content-range", b"bytes */%d" % size))
        if status == 204:
            return self.respond_whole(status, b"")
        return self.respond_error_page(status)

    cdef int fail_or_abort(self, int status) except -1:
        """Respond with an error; if a response has begun, abort it."""
        if not self.opened:
            self.answered = False
            return self.send_error(status, "")
        return self.http.abort(self) if self.http.serves(self) else 0

    cdef int fail_unfinished(self, int status) except -1:
        """As `fail_or_abort`, if there is no response or only the handler could end it."""
        return self.fail_or_abort(status) if not self.answered or self.lacks_end() else 0

    cdef int fail_and_cancel(self, int status) except -1:
        """Fail a request whose body is lost; its handler may be running."""
        if not self.http.carries(self):
            return 0
        self.http.close_after(self)
        self.fail_or_abort(status)
        return self.cancel_tasks()

    cdef int refuse_body(self, int reason, bytes quote) except -1:
        """Refuse a request whose body breaks a rule."""
        cdef HttpProtocol http = self.http
        if not http.carries(self):
            return 0
        self.refusal = reason
        self.fail_and_cancel(refusal_status(reason))
        return http.note_refusal(reason, quote)

    # ---- the body of the request

    cdef int divert_body(self) except -1:
        """Let the body go to a sink and not into memory."""
        cdef object sink = self.http.context.make_body_sink(self, self.extras)
        cdef size_t min_chunk = sink.min_chunk
        if not self.http.serves(self) or self.reader is None:
            return self.release(sink)
        self.sink = self.store = sink
        self.min_chunk = min_chunk
        self.reader.batch_size = max(min_chunk, <size_t>PIECE_SIZE)
        return 0

    cdef Py_ssize_t feed_body(self, const char *data, size_t size) except? -1:
        """Take what belongs to the body; return how many bytes that is, or minus a reason."""
        return self.reader.feed(data, size)

    cdef int fill_sink(self) except -1:
        """Hand on what has come, if it is enough; the application may end the exchange in it."""
        cdef int64_t memory_max = self.http.context.limits.body_memory_max
        if self.sink is None and memory_max and self.reader.total > memory_max:
            self.divert_body()
            if not self.http.serves(self):
                return 0
        if self.sink is None or not self.reader.size or (
                self.reader.size < self.min_chunk and not self.reader.complete):
            return 0
        cdef bint more = True
        try:
            more = self.sink.feed(self.reader.take())
        except BaseException as error:
            self.http.context.report(self, error)
            self.fail_and_cancel(500)
        if not more and self.http.serves(self):
            self.paused = True
        return 0

    cdef int complete_body(self) except -1:
        """All of the body is here."""
        cdef object sink = self.sink
        if sink is None:
            self.content = self.reader.take()
        self.received = True
        self.reader = None
        self.sink = None
        self.paused = False
        try:
            if sink is not None:
                sink.end()
        except BaseException as error:
            self.http.context.report(self, error)
            self.fail_and_cancel(500)
        return 0

    cdef bint resume_sink(self) except -1:
        """Note that the sink has room again; False: it had, or the exchange is over."""
        if not self.paused or not self.http.carries(self):
            return False
        self.paused = False
        return True

    cdef int64_t body_deadline(self) noexcept:
        """Return until when the body may take: longer if it comes at the minimal rate."""
        return (self.body_started + self.http.context.limits.body_timeout_ms
                + self.reader.total * 1000 // self.http.context.limits.body_rate_min)

    cdef object take_sink(self):
        """Return the sink and drop the reference to it: no more of the body is for it."""
        cdef object sink = self.sink
        self.sink = None
        self.paused = False
        return sink

    # ---- the end

    @cython.nonecheck(False)
    cdef int release(self, object sink) except -1:
        """The exchange is over: let *sink*, if any, and what holds the body, know."""
        cdef ServerContext context = self.http.context
        if sink is not None:
            try:
                sink.stop()
            except BaseException as error:
                context.report(self, error)
        if self.store is None and self.extras is None:
            return 0
        try:
            if self.store is not None or self.extras.on_free is not None:
                context.release_body(self, self.extras, self.store)
        except BaseException as error:
            context.report(self, error)
        return 0

    cdef int note_disconnect(self) except -1:
        """Call `on_disconnect`, or cancel the tasks of the exchange: the client has left."""
        cdef object callback = self.on_disconnect
        if callback is None:
            return self.cancel_tasks()
        self.on_disconnect = None
        self.disconnect_noted = True
        try:
            callback()
        except BaseException as error:
            self.http.context.report(self, error)
            self.cancel_tasks()
        return 0

    cdef int cancel_tasks(self) except -1:
        """Cancel what works for this exchange."""
        for task in (self.task, self.stream_task):
            self.cancel_task(task)
        return 0

    cdef int cancel_task(self, object task) except -1:
        try:
            if task is not None:
                task.cancel()
        except BaseException as error:      # an application may register what is not a task
            self.http.context.report(self, error)
        return 0
