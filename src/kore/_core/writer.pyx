# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""Write response heads: a status and fields in, bytes out. Pure.

What is the same for all answers of one second (server, date, connection) is made once a second.
"""

from cpython.buffer cimport PyObject_CheckBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdio cimport snprintf
from libc.string cimport memcpy, memset

from kore._core.buffer cimport append_bytes, drain_pool, return_block, reserve_space
from kore._core.grammar cimport equals_word
from kore._core.libc cimport gmtime_r, time_t, tm
from kore._core.response cimport encode_field_name, encode_field_value, has_field, is_named

from collections.abc import Mapping
from html import escape
from http import HTTPStatus


cdef enum:
    LOWEST = 100        # statuses that exist, RFC 9110 15
    HIGHEST = 599

cdef int64_t LAST_SECOND = 253_402_300_799      # of the year 9999

cdef bytes HSTS = b"strict-transport-security: max-age=%d; includeSubDomains\r\n"   # RFC 6797
cdef list STATUS_LINES = [None] * (HIGHEST + 1)
cdef tuple DAYS = (b"Sun", b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat")
cdef tuple MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun",
                     b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")


# RFC 9110's own words, where some versions of the standard library still have the older ones.
cdef dict PHRASES = {status.value: status.phrase for status in HTTPStatus} | {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}


def reason(int status) -> str:
    """Return the reason phrase of *status*, empty for one nobody has named."""
    return PHRASES.get(status, "")


cdef bytes PLAIN_TEXT = b"text/plain; charset=utf-8"
cdef bytes HTML = b"text/html; charset=utf-8"
cdef str PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{title}</title></head>
<body><h1>{title}</h1></body>
</html>
"""


cdef tuple error_page(int status, bint pretty):
    """Return the media type and the body of an answer with nothing but a status to say."""
    cdef str title = f"{status} {reason(status)}".rstrip()
    if pretty and status >= 400:
        return HTML, PAGE.format(title=escape(title)).encode()
    return PLAIN_TEXT, f"{title}\n".encode()


for _status in range(LOWEST, HIGHEST + 1):
    STATUS_LINES[_status] = f"HTTP/1.1 {_status} {reason(_status)}\r\n".encode()


cdef bytes status_line(int status):
    if not LOWEST <= status <= HIGHEST:     # an index without a check of its own
        raise ValueError(f"{status} is no status: {LOWEST} to {HIGHEST}")
    return <bytes>STATUS_LINES[status]


cdef inline int put(Buffer *out, Pool *pool, bytes data) except -1:
    return append_bytes(out, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), pool)


cdef int put_number(Buffer *out, Pool *pool, int64_t number) except -1:
    cdef char digits[20]
    cdef int at = 20
    while True:
        at -= 1
        digits[at] = <char>(c"0" + number % 10)
        number //= 10
        if number == 0:
            return append_bytes(out, digits + at, 20 - at, pool)


cdef int write_field(Buffer *out, Pool *pool, object field) except -1:
    # The line of one field. Nothing is allocated that the garbage collector counts.
    cdef bytes name = (<tuple?>field)[0]
    cdef bytes value = (<tuple>field)[1]
    cdef size_t size = PyBytes_GET_SIZE(name) + PyBytes_GET_SIZE(value) + 4
    cdef char *at
    reserve_space(out, size, pool)
    at = out.data + out.end
    memcpy(at, PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name))
    at += PyBytes_GET_SIZE(name)
    at[0] = c":"
    at[1] = c" "
    memcpy(at + 2, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))
    at += 2 + PyBytes_GET_SIZE(value)
    at[0] = c"\r"
    at[1] = c"\n"
    out.end += size
    return 0


cdef bint is_hop_by_hop(object field) noexcept:
    """Return whether a field says what a switch of protocols says itself."""
    return (is_named(field, b"connection", 10) or is_named(field, b"upgrade", 7)
            or is_named(field, b"content-length", 14) or is_named(field, b"keep-alive", 10))


cdef int check_final_status(int status) except -1:
    if not 200 <= status <= 599:
        raise ValueError(f"{status} is no final status: 200 to 599")
    return 0


def convert_body(body: object) -> object:
    """Turn a body into bytes or a read-only memoryview; what is neither is returned as it is."""
    if isinstance(body, str):
        return body.encode()
    if not PyObject_CheckBuffer(body):
        return body
    view = memoryview(body)
    # A read-only view says nothing about its owner: only the memory of bytes never changes.
    if (isinstance(view.obj, bytes) and view.c_contiguous and view.nbytes
            and view.format in ("B", "b", "c")):
        return view.cast("B")
    return view.tobytes()


def check_body_iterable(body: object) -> None:
    """Refuse what is no body in pieces: whatever gives no bytes and no text when it is iterated.

    Of an iterator only its items can tell. Raises TypeError.
    """
    kind = type(body).__name__
    expected = f"a body is bytes, str, None, or an iterator of bytes or str, not {kind}"
    if isinstance(body, (Mapping, set, frozenset)):
        raise TypeError(f"{expected}: json.dumps() makes text of it" if isinstance(body, Mapping)
                        else f"{expected}, which has no order")
    if hasattr(body, "__aiter__"):
        return
    if hasattr(body, "__await__"):
        raise TypeError(f"{expected}: await it")
    if not hasattr(body, "__iter__") and not hasattr(body, "__getitem__"):
        raise TypeError(f"{expected}: json.dumps() or str() makes text of it")
    if isinstance(body, (list, tuple)):
        for item in body:
            if not isinstance(item, str) and not PyObject_CheckBuffer(item):
                raise TypeError(
                    f"{expected} of {type(item).__name__}: json.dumps() makes text of it")


cdef class HeadWriter:
    """Heads for one server: its name, and for how many seconds it keeps an idle connection.

    *hsts* is for how long browsers shall insist on TLS; 0: nobody tells them.
    """

    def __cinit__(self, bytes server not None, int keepalive, int64_t hsts=0):
        self.server = b"server: " + server + b"\r\n" if server else b""
        self.hsts = HSTS % hsts if hsts else b""
        self.alive = b"connection: keep-alive\r\nkeep-alive: timeout=%d\r\n" % keepalive
        self.second = -1

    cdef int update_date(self, int64_t second) except -1:
        # IMF-fixdate, RFC 9110 5.6.7; strftime would ask the locale
        cdef tm now
        cdef time_t when = <time_t>second
        cdef char text[40]
        if second == self.second:
            return 0
        gmtime_r(&when, &now)
        snprintf(text, sizeof(text), b"date: %s, %02d %s %d %02d:%02d:%02d GMT\r\n",
                 PyBytes_AS_STRING(<bytes>DAYS[now.tm_wday]), now.tm_mday,
                 PyBytes_AS_STRING(<bytes>MONTHS[now.tm_mon]), now.tm_year + 1900,
                 now.tm_hour, now.tm_min, now.tm_sec)
        self.date = text
        self.kept = self.server + self.date + self.alive
        self.closed = self.server + self.date + b"connection: close\r\n"
        self.second = second
        return 0

    cdef int write_head(self, Buffer *out, Pool *pool, ResponseHead *reply, list fields) except -1:
        """Append a head to *out*; *fields* holds pairs of bytes, or is None."""
        reserve_space(out, 512, pool)
        put(out, pool, status_line(reply.status))
        if fields is None:
            put(out, pool, self.kept if reply.keep else self.closed)
        else:
            self.write_fields(out, pool, reply, fields)
        if reply.secure and (
                fields is None or not has_field(fields, b"strict-transport-security", 25)):
            put(out, pool, self.hsts)
        if reply.chunked:
            append_bytes(out, b"transfer-encoding: chunked\r\n", 28, pool)
        elif reply.length >= 0:
            append_bytes(out, b"content-length: ", 16, pool)
            put_number(out, pool, reply.length)
            append_bytes(out, b"\r\n", 2, pool)
        return append_bytes(out, b"\r\n", 2, pool)

    cdef int write_interim(self, Buffer *out, Pool *pool, int status, list fields) except -1:
        """Append an interim head: a status and the application's fields, nothing else."""
        put(out, pool, status_line(status))
        if fields is not None:
            for field in fields:
                write_field(out, pool, field)
        return append_bytes(out, b"\r\n", 2, pool)

    cdef int write_upgrade(self, Buffer *out, Pool *pool, list fields) except -1:
        """Append the head that ends HTTP on a connection: the last interim one."""
        put(out, pool, status_line(101))
        if not has_field(fields, b"server", 6):
            put(out, pool, self.server)
        put(out, pool, b"upgrade: websocket\r\nconnection: upgrade\r\n")
        for field in fields:
            if not is_hop_by_hop(field):
                write_field(out, pool, field)
        return append_bytes(out, b"\r\n", 2, pool)

    cdef int write_fields(self, Buffer *out, Pool *pool, ResponseHead *reply,
                          list fields) except -1:
        # The application's own server and date take the place of ours.
        cdef bint server = False
        cdef bint date = False
        cdef bint upgrade = False
        cdef const char *name
        cdef Py_ssize_t size
        for field in fields:
            name = PyBytes_AS_STRING(<bytes?>(<tuple?>field)[0])
            size = PyBytes_GET_SIZE(<bytes>(<tuple>field)[0])
            server = server or equals_word(name, size, b"server", 6)
            date = date or equals_word(name, size, b"date", 4)
            upgrade = upgrade or equals_word(name, size, b"upgrade", 7)
        if not server and not date:
            put(out, pool, self.kept if reply.keep else self.closed)
        else:
            if not server:
                put(out, pool, self.server)
            if not date:
                put(out, pool, self.date)
            put(out, pool, self.alive if reply.keep else b"connection: close\r\n")
        for field in fields:
            write_field(out, pool, field)
        if upgrade:     # which always comes with this, RFC 9110 7.8
            put(out, pool, b"connection: upgrade\r\n")
        return 0


def write_head(int status, fields=None, *, bint keep=True, length=None, bint chunked=False,
               bytes server not None=b"kore", int keepalive=20, int64_t second=0, hsts=None):
    """Return a head as bytes: the writer's door for tests. *hsts* makes it one over TLS.

    ValueError: no status, no second.
    """
    if not 0 <= second <= LAST_SECOND:
        raise ValueError(f"second {second} is in no year of four digits")
    cdef HeadWriter writer = HeadWriter(server, keepalive, hsts or 0)
    cdef Pool pool
    cdef Buffer out
    cdef ResponseHead reply
    memset(&pool, 0, sizeof(Pool))
    out.data = NULL
    out.start = out.end = out.room = 0
    reply.status = status
    reply.keep = keep
    reply.chunked = chunked
    reply.length = -1 if length is None else length
    reply.secure = hsts is not None
    writer.update_date(second)
    lines = None
    if fields is not None:
        lines = [(encode_field_name(name), encode_field_value(name, value))
                 for name, value in fields]
    try:
        writer.write_head(&out, &pool, &reply, lines)
        return out.data[out.start:out.end]
    finally:
        return_block(&out, &pool)
        drain_pool(&pool)
