# cython: language_level=3, boundscheck=False, wraparound=False
"""The request as a handler sees it; names and values stay spans of the head until asked for."""

from cpython.buffer cimport PyObject_CheckBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact
from cpython.pythread cimport PyThread_get_thread_ident
from cpython.unicode cimport PyUnicode_DecodeLatin1
from libc.stdint cimport uint32_t

from kore._core.grammar cimport HOST_MAX, PORT_MAX, Span, same
from kore._core.parser cimport (
    CHUNKED, ESCAPED, HEAD, STAR, next_field)
from kore._core.writer cimport field_line

from kore._core.writer import reason

cdef frozenset UNRESERVED = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


cdef str unescape(str path):
    """Decode the escapes that mean the same as the plain character, RFC 3986 6.2.2.2."""
    cdef list pieces = path.split("%")
    cdef int i, code
    cdef str piece
    for i in range(1, len(pieces)):
        piece = pieces[i]
        code = int(piece[:2], 16)
        pieces[i] = chr(code) + piece[2:] if code in UNRESERVED else "%" + piece
    return "".join(pieces)


def sendable(body: object) -> object:
    """Turn a body into bytes or a read-only memoryview; what is neither is returned as it is."""
    if isinstance(body, str):
        return body.encode()
    if not PyObject_CheckBuffer(body):
        return body
    view = memoryview(body)
    if (view.readonly and view.c_contiguous and view.nbytes and view.format in ("B", "b", "c")
            and not isinstance(view.obj, bytearray)):
        return view.cast("B")
    return view.tobytes()   # whoever may write to it may do so before it is sent


cdef class Peer(Stream):
    """The client, as a request needs it."""

    cdef int answer(self, Request request, int status, object body) except -1:
        return 0

    cdef int stream(self, Request request, int status, object first, object rest) except -1:
        return 0

    cdef int spawn_stream(self, Request request, int status, object body) except -1:
        return 0

    cdef int open_body(self, Request request, int status) except -1:
        return 0

    cdef bint write_body(self, Request request, object item) except -1:
        return True

    cdef int end_body(self, Request request) except -1:
        return 0

    cdef object drained(self):
        return None

    cdef bint serves(self, Request request) noexcept:
        return False

    cdef int break_off(self) except -1:
        return 0


cdef Peer NOBODY = Peer.__new__(Peer)


cdef class Request:
    """An HTTP request, and the way to answer it. `kore.http_request` in Kore's words."""

    def __cinit__(self):
        # What a request has until its connection gives it more: never a null pointer.
        self.raw = b"\r\n\r\n"
        self.peer = NOBODY

    def __init__(self):
        raise TypeError("cannot create 'kore.http_request' instances")

    def __repr__(self):
        return f"<kore.http_request {self.method_name} {self.path}>"

    # ---- what was asked

    cdef str text(self, Span span):
        # Bytes over 0x7f may stand in field values and mean what they like (RFC 9110 5.5).
        return PyUnicode_DecodeLatin1(PyBytes_AS_STRING(self.raw) + span.start, span.size, NULL)

    cdef int field(self, const char *name, size_t length, Span *value) noexcept:
        # find the first field of this (lower-case) name
        cdef const char *raw = PyBytes_AS_STRING(self.raw)
        cdef uint32_t at = self.head.fields
        cdef Span found
        while True:
            value[0] = next_field(raw, &at, &found)
            if found.size == 0:
                return 0
            if same(raw + found.start, found.size, name, length):
                return 1

    cdef bint has_body(self) noexcept:
        return self.head.length > 0 or self.head.flags & CHUNKED

    @property
    def method(self):
        """The method as one of the HTTP_METHOD_ numbers."""
        return <int>self.head.method

    @property
    def method_name(self):
        """The method as it was sent."""
        return self.text(self.head.name)

    @property
    def path(self):
        """The path without the query; escapes are kept, but for those of unreserved characters."""
        if self.path_text is None:
            self.path_text = self.text(self.head.path) or "/"
            if self.head.flags & ESCAPED:
                self.path_text = unescape(self.path_text)
        return self.path_text

    @property
    def host(self):
        """The host that was asked for, with its port if it was sent."""
        return self.text(self.head.host)

    @property
    def bare_host(self):
        """The host without its port, in lower case; empty when an HTTP/1.0 client named none."""
        # Asked for every request, hence without a str on the way.
        cdef const char *host = PyBytes_AS_STRING(self.raw) + self.head.host.start
        cdef char low[HOST_MAX + PORT_MAX]
        cdef uint32_t size = self.head.host.size
        cdef uint32_t i
        for i in range(size):
            low[i] = host[i] | 0x20 if c"A" <= host[i] <= c"Z" else host[i]
        i = size
        while i and c"0" <= low[i - 1] <= c"9":
            i -= 1
        if i and low[i - 1] == c":":
            size = i - 1
        return PyUnicode_DecodeLatin1(low, size, NULL)

    @property
    def is_star(self):
        """True for `OPTIONS *`, which asks about the server, not about a path."""
        return bool(self.head.flags & STAR)

    @property
    def protocol(self):
        """`http` or `https`."""
        return "http"

    @property
    def agent(self):
        """The User-Agent, or None."""
        return self.request_header("user-agent")

    @property
    def body(self):
        """The whole body; empty when there was none."""
        return self.content if self.content is not None else b""

    @property
    def connection(self):
        """The client's connection."""
        return self.peer

    def request_header(self, str name not None):
        """Return the first field of that name (in any case), or None."""
        cdef bytes wanted = name.lower().encode("latin-1", "replace")
        cdef Span value
        if wanted == b"host":       # the target's, where it names one: RFC 9112 3.2.2
            return self.host or None
        if not self.field(PyBytes_AS_STRING(wanted), len(wanted), &value):
            return None
        return self.text(value)

    def headers(self):
        """Return all fields by lower-case name, `host` first; the last of a repeated one wins."""
        cdef dict found = {}
        cdef Span name, value
        cdef uint32_t at = self.head.fields
        if self.head.host.size:
            found["host"] = self.host
        while True:
            value = next_field(PyBytes_AS_STRING(self.raw), &at, &name)
            if name.size == 0:
                return found
            key = self.text(name).lower()
            if key != "host":
                found[key] = self.text(value)

    # ---- the answer

    def response_header(self, str name not None, str value not None):
        """Set a field of the response, in place of an earlier one of that name.

        What frames the response is the server's: `content-length` counts only in an answer to
        HEAD without a body, `connection` only when it says close. Raises ValueError for what
        cannot be one field: line breaks, control characters, a name that is no token.
        """
        cdef str key = name.lower()
        cdef bytes line = field_line(name, value)
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
                self.fields = {}
            self.fields.pop(key, None)
            self.fields[key] = line
        return True

    def response(self, int status, body=None):
        """Answer: a status, and a body of bytes, str, None, or an iterator, async or not, of those.

        An interim status (100, 103) may come before the final one. Raises RuntimeError for a
        second answer. When the client has left there is nobody to tell, and it is ignored.
        """
        if self.answered:
            raise RuntimeError("response() was already called for this request")
        if self.peer.poller is not None and self.peer.poller.thread != PyThread_get_thread_ident():
            raise RuntimeError("response() belongs to the worker's thread: hand the result back to "
                               "the handler, or use loop.call_soon_threadsafe(req.response, ...)")
        if not 100 <= status <= 599 or status == 101:
            raise ValueError(f"{status} is no status: 200 to 599, or 100 to 199 before the answer")
        if body is None:
            body = b""
        elif not PyBytes_CheckExact(body):
            body = sendable(body)
        if PyBytes_CheckExact(body) or isinstance(body, memoryview):
            if self.peer.serves(self):
                self.peer.answer(self, status, body)
            return True
        return self.respond_streaming(status, body)

    def respond_streaming(self, int status, body):
        """Answer with the items of an iterator or an async iterator, as they come."""
        if not self.peer.serves(self):
            return False
        endless = hasattr(body, "__aiter__")
        rest = body if endless else iter(body)
        if self.head.method == HEAD or status < 200 or status in (204, 205, 304):
            self.peer.answer(self, status, b"" if status == 205 else None)
            return True
        if endless:
            self.answered = True
            self.peer.spawn_stream(self, status, body)
            return True
        # The first item before the head: what fails at once can still be answered with 500.
        first = next(rest, b"")
        if self.answered:
            raise RuntimeError("response() was called again by the iterator it was given")
        if self.peer.serves(self):
            self.peer.stream(self, status, first, rest)
        return True

    def refuse(self, int status, str allow=""):
        """Answer in the server's own name: a short text; *allow* lists methods that would do."""
        self.decline(status, allow)

    # Not through the methods above: an application may have put attributes in front of them.

    cdef int decline(self, int status, str allow) except -1:
        if self.answered or not self.peer.serves(self):
            return 0
        self.fields = {}
        if allow:
            self.fields["allow"] = field_line("allow", allow)
        if status == 204:
            return self.peer.answer(self, status, b"")
        self.fields["content-type"] = b"content-type: text/plain; charset=utf-8\r\n"
        return self.peer.answer(self, status, f"{status} {reason(status)}\n".encode())

    cdef int give_up(self, int status) except -1:
        if not self.opened:
            self.answered = False
            return self.decline(status, "")
        return self.peer.break_off() if self.peer.serves(self) else 0

    def fail(self, int status=500):
        """Answer 500, or what *status* says; break the answer off when a part of it is out."""
        self.give_up(status)

    # ---- for those who run requests

    def where(self):
        """Name the route, as logs do."""
        return self.path if self.route is None else self.route.label.decode("utf-8", "replace")

    def attend(self, task):
        """Say which task works on this request: it is cancelled when the client leaves."""
        if self.peer.closed and not self.answered:
            task.cancel()       # it left while the task took its first step
        elif self.task is None:
            self.task = task
        else:
            self.helper = task

    def open_body(self, int status):
        """Write the head of a response whose body comes in pieces."""
        self.peer.open_body(self, status)

    @property
    def is_served(self):
        """True while there is a client that waits for the answer, or for the rest of it."""
        return self.peer.serves(self)

    def write_body(self, item):
        """Queue a piece of the body; False when the client is slow, or gone: see `is_served`."""
        return self.peer.write_body(self, item)

    def end_body(self):
        """Say that the body is complete."""
        self.peer.end_body(self)

    def drained(self):
        """Return a future that is done when the client has taken what waited."""
        return self.peer.drained()
