# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""The asking half of a connection: what the inbox holds becomes requests, one at a time."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.ref cimport Py_REFCNT
from libc.string cimport memset

from kore._core.buffer cimport BLOCK_SIZE, buffered_size, consume_bytes
from kore._core.libc cimport PyContext_CopyCurrent, PyContext_Enter, PyContext_Exit, time
from kore._core.parser cimport CLOSE, HEAD, HTTPS_SCHEME, parse_head
from kore._core.receiver cimport (
    FINISHING, HEADING, IDLE, RECEIVING, RUNNING, SKIPPING, STREAMING, UPGRADED)
from kore._core.refusals cimport REFUSE_BODY_SIZE, REFUSE_SCHEME, refusal_status
from kore._core.writer cimport ResponseHead, error_page

from inspect import isawaitable
from types import CoroutineType

cdef object COROUTINE = CoroutineType


cdef class Intake(BodyReceiver):
    """Reads the requests of one connection; `Connection` adds the socket's life.

    What runs for each request does without checks for None: it is reached only from a connection
    that was opened, and with a request.
    """

    @cython.nonecheck(False)
    cdef bint step(self) except -1:
        if self.closed:
            return False
        if self.stage <= HEADING:
            return self.next_head()
        if self.stage == RECEIVING or self.stage == STREAMING:
            return self.next_body()
        if self.stage == SKIPPING:
            return self.skip_body()
        return self.stage == UPGRADED and self.talk()

    cdef bint talk(self) except -1:
        return False

    @cython.nonecheck(False)
    cdef bint next_head(self) except -1:
        cdef int used
        self.blocked = buffered_size(&self.inbox) > 0 and self.waiting() > BLOCK_SIZE
        if self.blocked or not buffered_size(&self.inbox):
            return False
        used = parse_head(self.inbox.data + self.inbox.start, buffered_size(&self.inbox),
                          &self.head, &self.service.heads)
        if used == 0 and self.keep and self.is_blank():
            return False
        if used > 0:
            self.begin(used)
            return True
        if self.stage == IDLE:
            self.stage = HEADING
            self.limit = self.poller.now() + self.service.header_ms
        if used < 0:
            self.reject(-used)
        return False

    cdef bint is_blank(self) except -1:
        """Return whether nothing but an empty line has come since the last answer, and drop it.

        Some clients send one behind a body: it is no beginning of a request (RFC 9112 2.2).
        """
        cdef size_t size = self.head.line_start
        if self.stage != IDLE or self.head.line_count or self.head.scanned != self.head.line_start:
            return False
        if self.ended:          # half of an empty line is not completed any more
            size = buffered_size(&self.inbox)
        consume_bytes(&self.inbox, size, &self.poller.pool)
        self.head.line_start = self.head.scanned = 0      # `blank` goes on counting
        return True

    @cython.nonecheck(False)
    cdef int begin(self, int used) except -1:
        # The bytes are taken first: making the request may run a finalizer, and that anything.
        cdef bytes raw = PyBytes_FromStringAndSize(self.inbox.data + self.inbox.start, used)
        cdef int64_t came = self.taken()
        cdef Request request
        consume_bytes(&self.inbox, used, &self.poller.pool)
        request = Request.__new__(Request)
        if self.closed or self.parting:
            return 0
        request.raw = raw
        request.head = self.head
        memset(&self.head, 0, sizeof(Head))
        request.peer = self
        request.declared = -1
        request.access_log = self.access_log
        request.begun = self.moment
        request.came = came
        self.current = request
        self.stage = RUNNING
        self.limit = 0
        # Whether the worker drains is asked when the answer begins.
        self.keep = (request.head.minor == 1 and not request.head.flags & CLOSE
                     and self.service.idle_ms > 0)
        self.service.requests += 1
        try:
            self.admit(request)
        except BaseException as error:
            self.fail(request, error)
        return 0

    cdef int fail(self, Request request, object error) except -1:
        """Report what the code of an application or of the server raised, and answer 500."""
        self.service.report(request, error)
        request.give_up_rest(500)
        return 0

    @cython.nonecheck(False)
    cdef int admit(self, Request request) except -1:
        if self.service.requests > self.service.request_limit:
            self.keep = False
            request.decline(503, "")
            return 0
        if request.head.flags & HTTPS_SCHEME:   # https over a connection that is not: RFC 9110 7.4
            self.turn_away(request, REFUSE_SCHEME)
            return 0
        request.access_log = None      # from here on it is the router's business
        request.route = self.resolve(request)
        if request.route is None and not request.answered:
            return request.give_up(500)
        if not self.waits(request):
            return 0
        request.extras = request.route.extras
        if request.extras is None or (self.greeted(request) and self.waits(request)):
            self.go_on(request)
        return 0

    cdef int turn_away(self, Request request, int reason) except -1:
        """Refuse a request whose head breaks a rule, though it could be read."""
        if not self.waits(request):
            return 0
        request.refusal = reason
        request.decline(refusal_status(reason), "")
        return self.tell_refused(reason)

    cdef bint greeted(self, Request request) except -1:
        """Whether to go on now with a request whose route has more than a handler."""
        if request.head.length > self.most(request):
            self.turn_away(request, REFUSE_BODY_SIZE)
            return False
        return request.extras.on_headers is None or self.service.greet(request, request.extras)

    cdef int64_t most(self, Request request) except -1:
        if request.extras is None or request.extras.body_max is None:
            return self.service.body_max
        return request.extras.body_max

    cdef int proceed(self, Request request) except -1:
        """Go on with a request whose hook has been awaited."""
        if not self.waits(request):
            return 0
        try:
            self.go_on(request)
        except BaseException as error:
            self.fail(request, error)
        return self.advance()

    @cython.nonecheck(False)
    cdef int go_on(self, Request request) except -1:
        cdef int64_t most = self.most(request)
        if request.head.length > most:
            self.turn_away(request, REFUSE_BODY_SIZE)
            return 0
        if request.has_body():
            return self.expect_body(request, most)
        if request.extras is not None and request.extras.stream:
            request.store = self.service.sink(request, request.extras)
            request.store.end()
        return self.run(request)        # if it still waits

    @cython.nonecheck(False)
    cdef int over(self, Request request, object sink) except -1:
        """The request has been answered, or nobody waits for an answer any more."""
        if sink is not None:
            self.stop_sink(request, sink)
        if request.store is not None or request.extras is not None:
            self.free_body(request)
        return 0

    cdef int stop_sink(self, Request request, object sink) except -1:
        try:
            sink.stop()
        except BaseException as error:
            self.service.report(request, error)
        return 0

    cdef int free_body(self, Request request) except -1:
        try:
            if request.store is not None or request.extras.on_free is not None:
                self.service.free(request, request.extras, request.store)
        except BaseException as error:
            self.service.report(request, error)
        return 0

    @cython.nonecheck(False)
    cdef int run(self, Request request) except -1:
        """Call the application. Nothing it raises goes further than this."""
        cdef bytes label = request.route.label
        if label is None:       # its memory is copied without another look
            raise TypeError("the label of a route must be bytes, not None")
        self.service.begun(label)
        # What a handler sets in its contextvars is not for the next client to see.
        cdef object context = PyContext_CopyCurrent()
        PyContext_Enter(context)
        try:
            if self.waits(request):
                self.call(request)
        except BaseException as error:      # SystemExit too, as Kore has it
            self.fail(request, error)
        finally:
            PyContext_Exit(context)
        self.service.slot.running[0] = 0
        if self.current is request:         # it waits for something
            self.service.suspended(label)
        return 0

    @cython.nonecheck(False)
    cdef int call(self, Request request) except -1:
        cdef object run = request.route.run
        cdef object pending
        if request.captures is None:
            pending = run(request)
        else:
            pending = run(request, *request.captures)
        if pending is not None and (type(pending) is COROUTINE or isawaitable(pending)):
            self.service.spawn(pending, request)
        elif self.waits(request):
            self.service.report(request, None, pending)
            if not request.answered:
                request.give_up(500)
        elif request.lacks_end():
            self.expect_end(request)
        return 0

    cdef int expect_end(self, Request request) except -1:
        self.service.defer(self.check_end)
        return 0

    def check_end(self):
        """Break off an answer that nothing can end: its handler is done, and no one else has it."""
        cdef Request request = self.current
        if request is None or not request.lacks_end() or Request.working(request):
            return
        if Py_REFCNT(request) <= 2:     # this variable and `self.current`
            self.service.report(request, None)
            request.give_up(500)

    cdef int reject(self, int reason) except -1:
        """Answer bytes that made no request. What follows them cannot be understood either."""
        cdef int status = refusal_status(reason)
        cdef int64_t opens, heads
        cdef bytes kind, text
        kind, text = error_page(status, self.service.pretty)
        cdef ResponseHead reply = ResponseHead(status, False, False, len(text), self.secure)
        cdef list fields = [(b"content-type", kind)]
        if self.closed or self.parting:
            return 0
        opens = self.queued()
        self.service.writer.update_date(time(NULL))
        self.service.writer.write_head(&self.outbox, &self.poller.pool, &reply, fields)
        heads = self.queued()
        if self.head.method != HEAD:
            self.put(PyBytes_AS_STRING(text), len(text))
        if self.access_log is not None:
            self.record_stray(&self.head, reason, opens, heads, self.limit - self.service.header_ms)
        self.linger = True
        self.hang_up()
        return self.tell_refused(reason)

    cdef int hang_up(self) except -1:
        # the last answer of this connection is queued
        self.linger = self.linger or buffered_size(&self.inbox) > 0
        consume_bytes(&self.inbox, buffered_size(&self.inbox), &self.poller.pool)
        self.blocked = False
        self.reader = None
        self.stage = FINISHING
        self.limit = 0
        return 0

    @cython.nonecheck(False)
    cdef int conclude(self, Request request) except -1:
        """Take note that an answer is queued; `over` is to follow, when the next stage is set."""
        request.finished = True
        self.current = None
        self.service.ended()
        self.asked = False
        return 0 if request.access_log is None else self.record(request)

    @cython.nonecheck(False)
    cdef int finish(self, Request request) except -1:
        """An answer is queued: the connection is free for the next request."""
        cdef object _kept = self.source         # its end may run code: not before the last line
        cdef object sink
        if self.current is not request:         # code that was called has done it
            return 0
        if self.stage == STREAMING and not self.skip:
            self.spare_body(request)
        self.source = None
        sink = None if self.sink is None else self.take_sink()
        self.conclude(request)
        if self.skip and not self.parting:      # code that was called may have disconnected
            self.begin_skip(request)
        elif self.keep and not self.parting and not self.service.hurried:
            self.stage = IDLE
            self.limit = 0          # wait_for() sets it: another request may be in the inbox
        else:
            self.linger = self.linger or self.keep
            self.hang_up()
        self.over(request, sink)
        if self.advancing or self.closed:
            return 0
        if buffered_size(&self.inbox):   # not from here: a handler is on the stack
            self.service.defer(self.resume)
        return self.settle()
