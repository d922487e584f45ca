# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""Request bodies of one connection: into memory, into a sink, or read and dropped."""

cimport cython
from kore._core.buffer cimport buffered_size, consume_bytes
from kore._core.parser cimport CHUNKED, EXPECT_CONTINUE
from kore._core.refusals cimport refusal_status

cdef enum:
    SKIP = 65536        # bytes of a body that nobody wants: cheaper than a new connection
    PIECE = 65536       # bytes handed over at a time, or more

# A body that nobody wants has this long, in seconds, to arrive after its request was answered.
SKIP_SECONDS = 0.1


cdef class BodyReceiver(Responder):
    """Reads the body of the current request; `Intake` adds the heads."""

    cdef int run(self, Request request) except -1:
        return 0

    cdef int hang_up(self) except -1:
        return 0

    @cython.nonecheck(False)
    cdef bint waits(self, Request request) noexcept:
        """Return whether *request* is still to be answered; called code may have done it."""
        return request is not None and not request.answered and self.serves(request)

    cdef int expect_body(self, Request request, int64_t most) except -1:
        cdef bint streams = request.extras is not None and request.extras.stream
        cdef BodyReader reader = BodyReader.__new__(BodyReader)
        if not self.waits(request):     # code that was called, a finalizer perhaps, has answered
            return 0
        self.reader = reader
        reader.start(-1 if request.head.flags & CHUNKED else request.head.length, most)
        self.told = not request.head.flags & EXPECT_CONTINUE or buffered_size(&self.inbox) > 0
        self.paused = False
        self.stage = STREAMING if streams else RECEIVING
        self.begun = self.poller.now()
        # Nobody is late with what was not asked for.
        self.limit = self.begun + self.service.body_ms if self.told or not streams else 0
        if streams or (request.extras is not None and request.extras.on_body_chunk is not None):
            self.divert(request)
        elif self.service.body_memory and request.head.length > self.service.body_memory:
            self.divert(request)
        if not self.waits(request):
            return 0
        if streams:
            self.run(request)
        else:
            self.want_body(request)
        return 0

    cdef int want_body(self, Request request) except -1:
        if self.told or self.closed or self.current is not request or self.reader is None:
            return 0
        self.told = True
        if request.head.minor and not request.opened:
            self.put(b"HTTP/1.1 100 Continue\r\n\r\n", 25)
        if self.stage == STREAMING:
            self.begun = self.poller.now()
            self.limit = self.due()
        return self.settle()

    cdef int divert(self, Request request) except -1:
        """Let the body go somewhere else than into memory."""
        cdef object sink = self.service.sink(request, request.extras)
        cdef size_t least = sink.least
        if not self.serves(request) or self.reader is None:
            return self.over(request, sink)
        self.sink = request.store = sink
        self.least = least
        self.reader.batch_size = max(least, <size_t>PIECE)
        return 0

    cdef bint next_body(self) except -1:
        cdef Request request = self.current
        cdef Py_ssize_t used
        if not self.paused:
            if buffered_size(&self.inbox):
                used = self.reader.feed(
                    self.inbox.data + self.inbox.start, buffered_size(&self.inbox))
                if used < 0:
                    self.refuse_body(request, -used)
                    return False
                consume_bytes(&self.inbox, used, &self.poller.pool)
            if (self.sink is None and self.service.body_memory
                    and self.reader.total > self.service.body_memory):
                self.divert(request)
                if not self.serves(request):
                    return True
            if self.sink is not None and self.reader.size and (
                    self.reader.size >= self.least or self.reader.complete):
                self.give(request)
                if not self.serves(request):
                    return True
        if not self.reader.complete or (self.paused and self.stage == RECEIVING):
            return False
        return self.complete(request)

    cdef int give(self, Request request) except -1:
        """Hand over what has come. Who gets it may ask for a pause, or end the request."""
        cdef bint more = True
        try:
            more = self.sink.feed(self.reader.take())
        except BaseException as error:
            self.service.report(request, error)
            self.spoil(request, 500)
        if not more and self.serves(request):
            self.paused = True
            self.halted = self.poller.now()
            self.limit = 0          # it is not the client who is slow
        return 0

    cdef bint complete(self, Request request) except -1:
        cdef Stage stage = self.stage
        cdef object sink = self.sink
        if sink is None:
            request.content = self.reader.take()
        request.received = True
        self.reader = None
        self.sink = None
        self.paused = False
        self.stage = RUNNING
        self.limit = 0
        try:
            if sink is not None:
                sink.end()
        except BaseException as error:
            self.service.report(request, error)
            self.spoil(request, 500)
        if stage == RECEIVING and self.waits(request):
            self.run(request)
        return True

    cdef int64_t due(self) noexcept:
        """Return until when a body may take: longer, as long as it comes at the rate asked for."""
        return (self.begun + self.service.body_ms
                + self.reader.total * 1000 // self.service.body_rate)

    cdef int take_more(self, Request request) except -1:
        if self.closed or self.current is not request or not self.paused:
            return 0
        self.paused = False
        self.begun += self.poller.now() - self.halted
        self.limit = self.due()
        return self.advance()

    cdef int spoil(self, Request request, int status) except -1:
        """Give up on a request whose body will never be had; its handler may be running."""
        if self.closed or self.current is not request:
            return 0
        self.keep = False
        request.give_up(status)
        for task in Request.working(request):
            self.cancel(request, task)
        return 0

    cdef int refuse_body(self, Request request, int reason) except -1:
        """Give up on a request whose body breaks a rule."""
        if self.closed or self.current is not request:
            return 0
        request.refusal = reason
        self.spoil(request, refusal_status(reason))
        return self.tell_refused(reason)

    cdef bint spares(self, Request request) noexcept:
        if self.stage == STREAMING:
            return self.told and self.reader.remaining() <= SKIP
        return (self.stage != RECEIVING and request.head.length <= SKIP
                and not request.head.flags & EXPECT_CONTINUE)

    cdef bint streams_in(self) noexcept:
        return self.stage == STREAMING

    cdef object take_sink(self):
        """Part with where the body went: it is over."""
        cdef object sink = self.sink
        self.sink = None
        self.paused = False
        return sink

    cdef int begin_skip(self, Request request) except -1:
        cdef BodyReader reader = self.reader
        if reader is None:
            reader = BodyReader.__new__(BodyReader)
            reader.start(-1 if request.head.flags & CHUNKED else request.head.length, SKIP)
        else:
            reader.take()
            reader.size_max = reader.total + SKIP
        reader.batch_size = PIECE
        self.reader = reader
        self.skip = False
        self.stage = SKIPPING
        self.service.later(SKIP_SECONDS, self.stop_skipping, reader)
        return 0

    cdef bint skip_body(self) except -1:
        cdef Py_ssize_t used
        if not buffered_size(&self.inbox):
            return False
        used = self.reader.feed(
                    self.inbox.data + self.inbox.start, buffered_size(&self.inbox))
        if used < 0:
            self.hang_up()
            return False
        consume_bytes(&self.inbox, used, &self.poller.pool)
        self.reader.take()
        if self.reader.complete:
            self.reader = None
            self.stage = IDLE
            self.limit = self.poller.now() + self.service.idle_ms
        return self.stage == IDLE

    def stop_skipping(self, reader):
        """Give up on a body that nobody wants and that does not come."""
        if self.stage == SKIPPING and self.reader is reader and not self.closed:
            self.linger = True
            self.hang_up()
            self.settle()
