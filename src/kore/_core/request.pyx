# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""The request as a handler sees it: the question, what came with it, and the way to answer."""

from cpython.bytes cimport PyBytes_CheckExact
from cpython.long cimport PyLong_CheckExact
from cpython.pythread cimport PyThread_get_thread_ident

from kore._core.parser cimport HEAD
from kore._core.refusals cimport REASON_COUNT
from kore._core.response cimport (
    encode_field_name, encode_field_value, is_named, merge_fields, set_field)
from kore._core.writer cimport check_final_status

from kore._core.writer import check_body_iterable, convert_body


cdef int status_number(object status, object body) except? -1:
    """Return a status as a number. Raises TypeError that says what to write."""
    if isinstance(status, (str, bytes, bytearray)) or not hasattr(status, "__index__"):
        if isinstance(status, str) and status.isdecimal():
            hint = f"write req.response({int(status)}, ...)"
        elif type(body) is int:
            hint = f"it comes first: write req.response({body}, {status!r:.60})"
        else:
            hint = "it comes first: write req.response(200, ...)"
        raise TypeError(f"response(): the status must be a number, not {type(status).__name__}: "
                        f"{hint}")
    return status


def began(Request request not None):
    """Return when the head of a request was complete, in seconds of the monotonic clock."""
    # No attribute: applications have their own on requests.
    return request.begun / 1000


cdef class Peer(Stream):
    """The client, as a request needs it."""

    cdef int answer(self, Request request, int status, object body) except -1:
        return 0

    cdef int excuse(self, Request request, int status) except -1:
        return 0

    cdef int answer_pieces(self, Request request, int status, object pieces) except -1:
        return 0

    cdef int stream(self, Request request, int status, object first, object rest) except -1:
        return 0

    cdef int spawn_stream(self, Request request, int status, object body) except -1:
        return 0

    cdef int discard_body(self, Request request, object body) except -1:
        return 0

    cdef int expect_end(self, Request request) except -1:
        return 0

    cdef int open_body(self, Request request, int status) except -1:
        return 0

    cdef bint write_body(self, Request request, object item) except -1:
        return True

    cdef int end_body(self, Request request) except -1:
        return 0

    cdef object when_sent(self):
        return None

    cdef bint handshake(self, Request request, tuple callbacks, dict options) except -1:
        return False

    cdef bint upgrade(self, Request request, object options, tuple callbacks,
                      object deflater, object protocol) except -1:
        return False

    cdef object parts_of(self, Request request):
        return None

    cdef object database(self):
        return None

    cdef bint serves(self, Request request) noexcept:
        return False

    cdef int break_off(self) except -1:
        return 0

    cdef int proceed(self, Request request) except -1:
        return 0

    cdef int take_more(self, Request request) except -1:
        return 0

    cdef int want_body(self, Request request) except -1:
        return 0

    cdef int spoil(self, Request request, int status) except -1:
        return 0

    cdef int tell_refused(self, int reason) except -1:
        return 0


cdef Peer NOBODY = Peer.__new__(Peer)


cdef class Request(Content):
    """An HTTP request, and the way to answer it. `kore.http_request` in Kore's words."""

    def __cinit__(self):
        self.peer = NOBODY

    def __init__(self):
        raise TypeError("cannot create 'kore.http_request' instances")

    def __repr__(self):
        return f"<kore.http_request {self.method_name} {self.path}>"

    cdef object parts(self):
        return self.peer.parts_of(self)

    @property
    def connection(self):
        """The client's connection."""
        return self.peer

    # ---- a database

    def pgsql(self, db, query, params=None, *, binary=False, bytea=False):
        """Ask a database. See `kore.dbquery()`."""
        return self.peer.database()(db, query, params, binary, bytea)

    # ---- the answer

    def response_header(self, str name not None, str value not None):
        """Set a field of the response, in place of an earlier one of that name.

        What frames the response is the server's: `content-length` counts only in an answer to
        HEAD without a body, `connection` only when it says close. Raises ValueError for what
        cannot be one field: line breaks, control characters, a name that is no token.
        """
        cdef str key = name.lower()
        cdef bytes raw_name = encode_field_name(name)
        cdef bytes raw_value = encode_field_value(name, value)
        if key == "transfer-encoding":
            raise ValueError("transfer-encoding is the server's: give response() an iterator")
        if key == "content-length":
            if not value.isdigit() or len(value) > 18:
                raise ValueError(f"content-length must be a number of bytes, not {value!r}")
            self.declared = int(value)
        elif key == "connection":
            self.closing = self.closing or "close" in value.lower()
        elif key != "keep-alive":
            if self.fields is None:
                self.fields = []
            set_field(self.fields, raw_name, raw_value)
        return True

    def response_cookie(self, str name not None, str value not None, **attributes):
        """Set a cookie with the response, beside others.

        Attributes: path, domain, max_age, expires, secure, http_only, same_site. An earlier cookie
        of the same name, domain and path is replaced, unless `replace=False`. Raises ValueError for
        a cookie that browsers would refuse.
        """
        cdef bytes raw_value
        text, replaces = self.beside.set_cookie(self, name, value, attributes)
        raw_value = encode_field_value("set-cookie", text)
        if replaces is not None and self.fields is not None:
            self.fields = [field for field in self.fields
                           if not is_named(field, b"set-cookie", 10) or not replaces(field[1])]
        if self.fields is None:
            self.fields = []
        self.fields.append((b"set-cookie", raw_value))
        return True

    def response(self, status, body=None):
        """Answer: a status, and a body of bytes, str, None, or an iterator, async or not, of those.

        An interim status (100, 103) may come before the final one. Raises RuntimeError for a
        second answer. When the client has left there is nobody to tell, and it is ignored.
        """
        cdef int number = status if PyLong_CheckExact(status) else status_number(status, body)
        self.may_answer()
        if not 100 <= number <= 599 or number == 101:
            raise ValueError(f"{status} is no status: 200 to 599, or 100 to 199 before the answer")
        if body is None:
            body = b""
        elif not PyBytes_CheckExact(body):
            body = convert_body(body)
            self.may_answer()       # a conversion may run code of the application
        if PyBytes_CheckExact(body) or isinstance(body, memoryview):
            if self.peer.serves(self):
                self.peer.answer(self, number, body)
            return True
        return self.respond_streaming(number, body)

    cdef int may_answer(self, str what="response()") except -1:
        if self.answered:
            raise RuntimeError("response() was already called for this request")
        if self.peer.poller is not None and self.peer.poller.thread != PyThread_get_thread_ident():
            raise RuntimeError(f"{what} belongs to the worker's thread: hand the result back to "
                               "the handler, or use loop.call_soon_threadsafe()")
        return 0

    def respond_streaming(self, int status, body):
        """Answer with the items of an iterator or an async iterator, as they come."""
        check_body_iterable(body)
        endless = hasattr(body, "__aiter__")
        rest = body if endless else iter(body)
        if not self.peer.serves(self):
            self.peer.discard_body(self, rest)
            return False
        if self.head.method == HEAD or status < 200 or status in (204, 205, 304):
            self.peer.answer(self, status, b"" if status == 205 else None)
            self.peer.discard_body(self, rest)
            return True
        if endless:
            self.answered = True
            self.peer.spawn_stream(self, status, body)
            return True
        try:
            self.begin_stream(status, rest)
        except BaseException:
            self.peer.discard_body(self, rest)
            raise
        return True

    cdef int begin_stream(self, int status, object rest) except -1:
        # The first item before the head: what fails at once can still be answered with 500.
        cdef object first = next(rest, b"")
        if self.answered:
            raise RuntimeError("response() was called again by the iterator it was given")
        if self.peer.serves(self):
            self.peer.stream(self, status, first, rest)
        else:
            self.peer.discard_body(self, rest)
        return 0

    def refuse(self, int status, str allow not None="", int64_t size=-1):
        """Answer in the server's own name; *allow*: methods that would do, *size*: of the file."""
        check_final_status(status)
        self.decline(status, allow, size)

    # Not through the methods above: an application may have put attributes in front of them.

    cdef int decline(self, int status, str allow, int64_t size=-1) except -1:
        if self.answered or not self.peer.serves(self):
            return 0
        self.fields = []
        if allow:
            self.fields.append((b"allow", encode_field_value("allow", allow)))
        if size >= 0:
            self.fields.append((b"content-range", b"bytes */%d" % size))
        if status == 204:
            return self.peer.answer(self, status, b"")
        return self.peer.excuse(self, status)

    cdef int give_up(self, int status) except -1:
        if not self.opened:
            self.answered = False
            return self.decline(status, "")
        return self.peer.break_off() if self.peer.serves(self) else 0

    cdef int give_up_rest(self, int status) except -1:
        """Do so after an error, if the answer has not begun or only the handler can end it."""
        return self.give_up(status) if not self.answered or self.lacks_end() else 0

    def fail_rest(self, int status):
        """Do as `fail`, unless an answer is queued or something else goes on with it."""
        self.give_up_rest(status)

    def fail(self, int status=500):
        """Answer 500, or what *status* says; break the answer off when a part of it is out."""
        check_final_status(status)
        self.give_up(status)

    def note_refusal(self, int reason):
        """Have the logs say why this request is refused: a number of `kore._core.refusals`."""
        if not 0 < reason < REASON_COUNT:
            raise ValueError(f"{reason} is no reason to refuse a request")
        self.refusal = reason
        self.peer.tell_refused(reason)

    def websocket_handshake(self, onconnect=None, onmsg=None, ondisconnect=None, **options):
        """Answer with a WebSocket; False: the client asked for none, and was told why.

        The callbacks are functions, names of functions, or None: `onconnect(connection)` is called
        now, `onmsg(connection, op, data)` with each message, `ondisconnect(connection)` once.
        Those that are coroutine functions are awaited, one at a time. Keywords, in place of what
        the route or a setting says: protocols, origins, maxframe, maxmessage, timeout, ping,
        buffer_max, buffer_full, compress. Raises RuntimeError after response() and for keywords
        that make no sense, NameError for a name that the application does not have.
        """
        self.may_answer("websocket_handshake()")
        if not self.peer.serves(self):
            return False
        return self.peer.handshake(self, (onconnect, onmsg, ondisconnect), options)

    # ---- for those who run requests

    def upgrade(self, options, tuple callbacks, deflater, protocol=None):
        """Switch to a WebSocket."""
        self.may_answer()
        return self.peer.serves(self) and self.peer.upgrade(self, options, callbacks, deflater,
                                                            protocol)

    def answer_pieces(self, int status, fields not None, tuple pieces):
        """Answer with bytes and parts of files; *fields* are pairs of bytes: a name and a value.

        Fields that the application has set take the place of those of the same names.
        """
        self.may_answer()
        self.fields = merge_fields(fields, self.fields)
        if self.peer.serves(self):
            self.peer.answer_pieces(self, status, pieces)

    def where(self):
        """Name the route, as logs do."""
        return self.path if self.route is None else self.route.label.decode("utf-8", "replace")

    def attend(self, task):
        """Say which task works on this request: it is cancelled when the client leaves."""
        if self.peer.closed and not self.finished:
            task.cancel()       # it left while the task took its first step
        elif self.task is None or self.task.done():
            self.task = task
        else:
            self.helper = task

    def working(self):
        """Return the tasks that still work on this request."""
        return [task for task in (self.task, self.helper) if task is not None and not task.done()]

    def proceed(self):
        """Go on with a request whose `on_headers` has been awaited."""
        self.peer.proceed(self)

    def take_more(self):
        """Say that there is room for more of the body, after a piece that filled it."""
        self.peer.take_more(self)

    def want_body(self):
        """Say that the body is wanted: a client that waits to hear it is told so."""
        self.peer.want_body(self)

    def spoil(self, int status):
        """Answer *status* in place of the handler, which is cancelled: the body cannot be had."""
        self.peer.spoil(self, status)

    def open_body(self, int status):
        """Write the head of a response whose body comes in pieces."""
        check_final_status(status)
        if self.opened and self.peer.serves(self):
            raise RuntimeError("the head of this response is written already")
        self.by_hand = not self.answered    # else an iterator is what is written
        self.peer.open_body(self, status)

    cdef bint lacks_end(self) noexcept:
        """Return whether a body that the handler writes itself has not ended."""
        return self.by_hand and self.opened and not self.finished and self.peer.serves(self)

    @property
    def is_unended(self):
        """True while a body that the handler writes itself has not ended."""
        return self.lacks_end()

    def expect_end(self):
        """Take note that the handler is done: nothing but end_body() may be missing."""
        if self.lacks_end():
            self.peer.expect_end(self)

    @property
    def is_served(self):
        """True while there is a client that waits for the answer, or for the rest of it."""
        return self.peer.serves(self) and not self.peer.broken

    def write_body(self, item):
        """Queue a piece of the body; False when the client is slow, or gone: see `is_served`."""
        self.check_opened()
        return self.peer.write_body(self, item)

    def end_body(self):
        """Say that the body is complete."""
        self.check_opened()
        self.peer.end_body(self)

    cdef int check_opened(self) except -1:
        if not self.opened and self.peer.serves(self):
            raise RuntimeError("open_body() comes first")
        return 0

    def drained(self):
        """Return a future that is done when the client has taken what waited."""
        return self.peer.when_sent()
