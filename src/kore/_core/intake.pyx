# cython: language_level=3, boundscheck=False, wraparound=False
"""The asking half of a connection: what the inbox holds becomes requests, one at a time."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.string cimport memset

from kore._core.buffer cimport BLOCK, consume, held
from kore._core.libc cimport PyContext_CopyCurrent, PyContext_Enter, PyContext_Exit
from kore._core.parser cimport CHUNKED, CLOSE, EXPECT_CONTINUE, HEAD, SECURE, parse_head
from kore._core.writer cimport Reply, apology

cdef enum:
    SKIP = 65536        # bytes of a chunked body that nobody wants

# A body that nobody wants has this long, in seconds, to arrive after its request was answered.
SKIP_SECONDS = 0.1


cdef class Intake(Responder):
    """Reads the requests of one connection; `Connection` adds the socket's life."""

    cdef bint step(self) except -1:
        if self.closed:
            return False
        if self.state <= HEADING:
            return self.next_head()
        if self.state == RECEIVING:
            return self.next_body()
        if self.state == SKIPPING:
            return self.skip_body()
        return False

    cdef bint next_head(self) except -1:
        cdef int used
        self.blocked = held(&self.inbox) > 0 and self.waiting() > BLOCK
        if self.blocked or not held(&self.inbox):
            return False
        if self.state == IDLE:
            self.state = HEADING
            self.limit = self.poller.now + self.service.header_ms
        used = parse_head(self.inbox.data + self.inbox.start, held(&self.inbox), &self.head,
                          &self.service.heads)
        if used > 0:
            self.begin(used)
        elif used < 0:
            self.reject(-used)
        return used > 0

    cdef int begin(self, int used) except -1:
        cdef Request request = Request.__new__(Request)
        request.raw = PyBytes_FromStringAndSize(self.inbox.data + self.inbox.start, used)
        request.head = self.head
        request.peer = self
        request.declared = -1
        self.mark(request)
        consume(&self.inbox, used, &self.poller.pool)
        memset(&self.head, 0, sizeof(Head))
        self.current = request
        self.state = RUNNING
        self.limit = 0
        self.keep = (request.head.minor == 1 and not request.head.flags & CLOSE
                     and self.service.idle_ms > 0 and not self.service.draining)
        self.service.requests += 1
        try:
            self.admit(request)
        except BaseException as error:
            self.service.report(request, error)
            if not request.answered:
                request.give_up(500)
        return 0

    cdef int admit(self, Request request) except -1:
        if self.service.requests > self.service.request_limit:
            self.keep = False
            request.decline(503, "")
            return 0
        if request.head.flags & SECURE:     # https over a connection that is not: RFC 9110 7.4
            request.decline(421, "")
            return 0
        request.journal = None      # from here on it is the router's business
        request.route = self.resolve(request)
        if request.route is None or request.answered:
            if not request.answered:
                request.give_up(500)
            return 0
        if request.head.length > self.service.body_max:
            request.decline(413, "")
        elif request.has_body():
            self.expect_body(request)
        else:
            self.run(request)
        return 0

    cdef int expect_body(self, Request request) except -1:
        self.reader = BodyReader.__new__(BodyReader)
        self.reader.begin(-1 if request.head.flags & CHUNKED else request.head.length,
                          self.service.body_max)
        self.state = RECEIVING
        self.begun = self.poller.now
        self.limit = self.begun + self.service.body_ms
        if request.head.flags & EXPECT_CONTINUE and request.head.minor and not held(&self.inbox):
            self.put(b"HTTP/1.1 100 Continue\r\n\r\n", 25)
        return 0

    cdef bint next_body(self) except -1:
        cdef Request request = self.current
        cdef Py_ssize_t used
        if held(&self.inbox):
            used = self.reader.feed(self.inbox.data + self.inbox.start, held(&self.inbox))
            if used < 0:
                request.decline(-used, "")
                return False
            consume(&self.inbox, used, &self.poller.pool)
        if not self.reader.done:
            return False
        request.content = self.reader.take()
        self.reader = None
        self.state = RUNNING
        self.limit = 0
        self.run(request)
        return True

    cdef bint receiving(self) noexcept:
        return self.state == RECEIVING

    cdef int begin_skip(self, Request request) except -1:
        self.reader = BodyReader.__new__(BodyReader)
        self.reader.begin(-1 if request.head.flags & CHUNKED else request.head.length, SKIP)
        self.skip = False
        self.state = SKIPPING
        self.service.later(SKIP_SECONDS, self.stop_skipping, self.reader)
        return 0

    cdef bint skip_body(self) except -1:
        cdef Py_ssize_t used
        if not held(&self.inbox):
            return False
        used = self.reader.feed(self.inbox.data + self.inbox.start, held(&self.inbox))
        if used < 0:
            self.hang_up()
            return False
        consume(&self.inbox, used, &self.poller.pool)
        if self.reader.done:
            self.reader = None
            self.state = IDLE
            self.limit = self.poller.now + self.service.idle_ms
        return self.state == IDLE

    def stop_skipping(self, reader):
        """Give up on a body that nobody wants and that does not come."""
        if self.state == SKIPPING and self.reader is reader and not self.closed:
            self.linger = True
            self.hang_up()
            self.settle()

    cdef int run(self, Request request) except -1:
        """Call the application. Nothing it raises goes further than this."""
        cdef bytes label = request.route.label
        self.service.begun(label)
        # What a handler sets in its contextvars is not for the next client to see.
        cdef object context = PyContext_CopyCurrent()
        PyContext_Enter(context)
        try:
            self.call(request)
        except BaseException as error:      # SystemExit too, as Kore has it
            self.service.report(request, error)
            if not request.answered:
                request.give_up(500)
        finally:
            PyContext_Exit(context)
        self.service.slot.running[0] = 0
        if self.current is request:         # it waits for something
            self.service.suspended(label)
        return 0

    cdef int call(self, Request request) except -1:
        cdef object run = request.route.run
        cdef object pending
        if request.captures is None:
            pending = run(request)
        else:
            pending = run(request, *request.captures)
        if pending is not None and hasattr(pending, "__await__"):
            self.service.spawn(pending, request)
        elif not request.answered and not self.closed:
            self.service.report(request, None)
            request.give_up(500)
        return 0

    cdef int reject(self, int status) except -1:
        """Answer bytes that made no request. What follows them cannot be understood either."""
        cdef int64_t opens = self.queued()
        cdef int64_t heads
        cdef bytes kind, text
        kind, text = apology(status, self.service.pretty)
        cdef Reply reply = Reply(status, False, False, len(text), self.secure)
        self.service.writer.tick(self.poller.second)
        self.service.writer.head(&self.outbox, &self.poller.pool, &reply, {"content-type": kind})
        heads = self.queued()
        if self.head.method != HEAD:
            self.put(PyBytes_AS_STRING(text), len(text))
        if self.journal is not None:
            self.record_stray(&self.head, status, opens, heads, self.limit - self.service.header_ms)
        self.linger = True
        return self.hang_up()

    cdef int hang_up(self) except -1:
        # the last answer of this connection is queued
        self.linger = self.linger or held(&self.inbox) > 0
        consume(&self.inbox, held(&self.inbox), &self.poller.pool)
        self.blocked = False
        self.state = FINISHING
        self.limit = 0
        return 0

    cdef int finish(self, Request request) except -1:
        """An answer is queued: the connection is free for the next request."""
        self.poller.look()
        request.finished = True
        self.current = None
        self.source = None
        self.service.ended()
        self.asked = False
        if request.journal is not None:
            self.record(request)
        if self.skip:
            self.begin_skip(request)
        elif self.keep and not self.service.hurried:
            self.state = IDLE
            self.limit = self.poller.now + self.service.idle_ms
        else:
            self.linger = self.linger or self.keep
            self.hang_up()
        if self.advancing:
            return 0
        if held(&self.inbox):   # not from here: a handler is on the stack
            self.service.defer(self.resume)
        return self.settle()
