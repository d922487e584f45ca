# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""The answering half of a connection: heads, whole bodies, and bodies that come in pieces."""

cimport cython
from cpython.bytes cimport PyBytes_CheckExact
from libc.stdio cimport snprintf

from kore._core.file cimport FileRange
from kore._core.libc cimport (
    SO_LINGER, SOL_SOCKET, PyContext_CopyCurrent, linger, setsockopt, time)
from kore._core.parser cimport HEAD
from kore._core.response cimport has_field
from kore._core.writer cimport ResponseHead, error_page

from kore._core.writer import convert_body

cdef enum:
    TURN = 64           # pieces of one iterator before others have their turn


cdef object END = object()      # what no iterator yields


cdef object as_piece(object item):
    cdef object data = item if PyBytes_CheckExact(item) else convert_body(item)
    if PyBytes_CheckExact(data) or isinstance(data, memoryview):
        return data
    raise TypeError(f"a piece of a body must be bytes or str, not {type(item).__name__}")


cdef class Responder(Recorder):
    """Writes the answers of one connection; `Connection` adds the questions."""

    cdef int finish(self, Request request) except -1:
        return 0

    cdef int settle(self) except -1:
        return 0

    cdef int advance(self) except -1:
        return 0

    cdef bint spares(self, Request request) noexcept:
        return False

    cdef bint streams_in(self) noexcept:
        return False

    cdef object take_sink(self):
        return None

    cdef int over(self, Request request, object sink) except -1:
        return 0

    # ---- a whole answer

    @cython.nonecheck(False)
    cdef int answer(self, Request request, int status, object body) except -1:
        """Queue an answer; None for a body that is not sent, of a length nobody knows."""
        cdef bint bare = 100 <= status < 200 or status == 204 or status == 304
        cdef int64_t length = UNKNOWN_LENGTH
        if status >= 400 and self.service.pretty:
            body = self.dressed(request, status, body)
        if not bare and body is not None:
            length = 0 if status == 205 else len(body)
            if length == 0 and request.head.method == HEAD and request.declared >= 0:
                length = request.declared
        if status < 200:
            self.interim(request, status)
            return self.settle()
        self.prepare_parts(length)
        if not self.begin_answer(request, status, length):
            return 0
        if length > 0 and request.head.method != HEAD:
            self.put_object(body)
        return self.finish(request)

    cdef int excuse(self, Request request, int status) except -1:
        cdef object kind, body
        kind, body = error_page(status, self.service.pretty)
        request.fields.append((b"content-type", kind))
        return self.answer(request, status, body)

    cdef int tell_refused(self, int reason) except -1:
        return self.service.tell_refused(self, reason)

    cdef object dressed(self, Request request, int status, object body):
        # a page in place of nothing, unless the application meant nothing
        if body is None or len(body) or request.declared >= 0:
            return body
        if request.fields is None:
            request.fields = []
        if not has_field(request.fields, b"content-type", 12):
            kind, body = error_page(status, True)
            request.fields.append((b"content-type", kind))
        return body

    cdef int answer_pieces(self, Request request, int status, object pieces) except -1:
        """Queue an answer of bytes and parts of files; without a body when *status* has none."""
        cdef int64_t length = UNKNOWN_LENGTH
        if status != 304:
            length = 0
            for piece in pieces:
                length += len(piece)
        self.prepare_parts(length)
        if not self.begin_answer(request, status, length):
            return 0
        if length > 0 and request.head.method != HEAD:
            for piece in pieces:
                if type(piece) is FileRange:
                    (<FileRange>piece).use_copy = not self.service.sendfile
                    self.put_piece_of_file(piece)
                else:
                    self.put_object(piece)
        return self.finish(request)

    cdef int interim(self, Request request, int status) except -1:
        # RFC 9110 15.2: not to an HTTP/1.0 client
        if request.head.minor and self.serves(request) and not request.opened:
            self.service.writer.write_interim(
                &self.outbox, &self.poller.pool, status, request.fields)
        request.fields = None
        return 0

    @cython.nonecheck(False)
    cdef bint begin_answer(self, Request request, int status, int64_t length) except -1:
        """Queue a head; False: code that was called meanwhile, a finalizer perhaps, has done it.

        From the first line to the last nothing is called or allocated that could run such code.
        """
        cdef ResponseHead reply
        if request.opened or not self.serves(request):
            return False
        if self.keep and (request.closing or self.service.draining):
            self.keep = False
            self.linger = True      # the client did not know: its next request may be on its way
        if not self.keep and request.has_body():
            self.linger = True      # some clients send a line break after a body
        # An answer in pieces may go on for as long as the body does: `finish` will see.
        if (not request.received and request.has_body()
                and not (length == CHUNKS and self.streams_in())):
            self.spare_body(request)
        reply.status = status
        reply.keep = self.keep
        reply.chunked = length == CHUNKS
        reply.length = length
        reply.secure = self.secure
        request.opens = self.queued()
        request.answered = request.opened = True
        request.status = status
        self.service.writer.update_date(time(NULL))
        self.service.writer.write_head(&self.outbox, &self.poller.pool, &reply, request.fields)
        request.heads = self.queued()
        return True

    cdef int spare_body(self, Request request) except -1:
        # Answered without its body, whose bytes must not be taken for a request: a small one is
        # read and dropped; for more, or for what the client would not send now, close.
        self.skip = self.keep and self.spares(request)
        if not self.skip:
            self.keep = False
            self.linger = True
        return 0

    # ---- an answer in pieces

    cdef int stream(self, Request request, int status, object first, object rest) except -1:
        """Begin an answer from an iterator; `pump` goes on with it as the client reads."""
        cdef object context = PyContext_CopyCurrent()
        first = as_piece(first)
        self.prepare_parts(len(first))
        if not self.open_body(request, status):
            return self.close_source(request, rest)
        request.context = context
        self.source = rest
        self.put_piece(first)
        return self.settle()

    cdef int spawn_stream(self, Request request, int status, object body) except -1:
        self.service.stream(request, status, body)
        return 0

    cdef int discard_body(self, Request request, object body) except -1:
        """Close an iterator that is not sent, or not any more."""
        if not hasattr(body, "aclose"):
            return self.close_source(request, body)
        try:
            self.service.discard(request, body)
        except BaseException as error:
            self.service.report(request, error)
        return 0

    cdef int open_body(self, Request request, int status) except -1:
        if request.opened or not self.serves(request):
            return 0
        cdef int64_t length = UNKNOWN_LENGTH
        self.bodiless = request.head.method == HEAD or status in (204, 205, 304)
        self.chunked = request.head.minor == 1 and not self.bodiless
        if self.chunked:
            length = CHUNKS
        elif not self.bodiless:
            self.keep = False       # only the end of the connection ends the body
        elif status == 205:
            length = 0
        elif status not in (204, 304) and request.declared >= 0:
            length = request.declared
        return self.begin_answer(request, status, length)

    cdef bint write_body(self, Request request, object item) except -1:
        cdef object data = as_piece(item)
        self.prepare_parts(len(data))
        if not self.serves(request):
            return False
        self.put_piece(data)
        self.settle()
        return self.serves(request) and not self.broken and not self.waiting()

    cdef int end_body(self, Request request) except -1:
        if not self.serves(request):
            return 0
        if self.chunked:
            self.put(b"0\r\n\r\n", 5)
        return self.finish(request)

    cdef int put_piece(self, object data) except -1:
        cdef char size[24]
        if len(data) == 0 or self.bodiless:     # an empty chunk would end the body
            return 0
        if not self.chunked:
            return self.put_object(data)
        self.put(size, snprintf(size, sizeof(size), b"%zx\r\n", <size_t>len(data)))
        self.put_object(data)
        return self.put(b"\r\n", 2)

    cdef object when_sent(self):
        cdef object waiter = self.service.future()
        cdef list waiters = [waiter]
        if self.closed or self.broken or not self.waiting():
            waiter.set_result(not (self.closed or self.broken))
        elif self.waiters is None:
            self.waiters = waiters
        else:
            self.waiters.append(waiter)
        return waiter

    cdef int tell(self, bint sent) except -1:
        """Tell who waits for it that everything is sent, or never will be."""
        cdef list waiters = self.waiters
        self.waiters = None
        for waiter in waiters:
            try:
                if not waiter.done():
                    waiter.set_result(sent)
            except RuntimeError:    # its event loop is closed
                pass
        return 0

    cdef int pump(self) except -1:
        """Send what waits, and what an iterator adds to it; the result is that of `flush`."""
        cdef int sent
        cdef int _turn
        for _turn in range(TURN):
            sent = self.flush()
            if sent != 1 or self.source is None or self.broken:
                break
            self.pull()
            if self.closed:
                return 2
        if self.unlogged is not None:
            if self.broken:
                self.record_lost()
            else:
                self.record_sent()
        if self.waiters is not None and (sent == 1 or self.broken):
            self.tell(not self.broken)
        return 0 if sent == 1 and self.source is not None else sent

    cdef int pull(self) except -1:
        cdef Request request = self.current
        cdef object source = self.source
        self.source = None      # not to be closed under its own feet
        try:
            item = request.context.run(next, source, END)
            if item is not END:
                item = as_piece(item)
                self.prepare_parts(len(item))
            if not self.serves(request):
                self.close_source(request, source)
            elif item is END:
                self.end_body(request)
                self.close_source(request, source)
            else:
                self.put_piece(item)
                self.source = source
        except BaseException as error:
            self.service.report(request, error)
            self.break_off()
            self.close_source(request, source)
        return 0

    cdef int close_source(self, Request request, object source) except -1:
        try:
            if hasattr(source, "close"):
                source.close()
        except BaseException as error:
            self.service.report(request, error)
        return 0

    cdef int cancel(self, Request request, object task) except -1:
        try:
            if task is not None:
                task.cancel()
        except BaseException as error:      # an application may attend with what is no task
            self.service.report(request, error)
        return 0

    cdef object parts_of(self, Request request):
        return self.service.parts(request, request.route)

    cdef object database(self):
        return self.service.pgsql

    @cython.nonecheck(False)
    cdef bint serves(self, Request request) noexcept:
        return self.current is request and not self.closed and not self.parting

    cdef int break_off(self) except -1:
        """Close so that the client cannot take what it has for the whole."""
        cdef linger now
        if not self.closed and not self.chunked:
            now.l_onoff = 1     # a reset: the end of input would be the end of the body
            now.l_linger = 0
            setsockopt(self.handle, SOL_SOCKET, SO_LINGER, &now, sizeof(now))
        return self.shut()

    cdef int release(self) except -1:
        """The client is gone: stop what works for it."""
        cdef Request request = self.current
        cdef object source = self.source
        cdef object sink = self.take_sink()
        self.current = None
        self.source = None
        if self.waiters is not None:
            self.tell(False)
        if request is None:
            return 0
        self.service.ended()
        for task in (request.task, request.helper):
            self.cancel(request, task)
        self.over(request, sink)
        return self.close_source(request, source)
