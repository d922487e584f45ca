# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""Write response heads as bytes of HTTP/1: status lines, fields, error pages. No I/O.

The lines that are the same for all responses of one second (server, date, connection) are made
once a second and copied as one block.
"""

from cpython.buffer cimport PyObject_CheckBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.string cimport memcpy

from kore._core.buffer cimport append_bytes, reserve_space
from kore._core.format cimport IMF_FIXDATE_SIZE, append_decimal, format_imf_fixdate
from kore._core.grammar cimport equals_word
from kore._core.response cimport has_field, is_named

from collections.abc import Mapping
from http import HTTPStatus


cdef enum:
    STATUS_MIN = 100    # RFC 9110 section 15
    STATUS_MAX = 599

cdef list STATUS_LINES = [None] * (STATUS_MAX + 1)

# The phrases of RFC 9110, where some versions of the standard library have those of RFC 7231.
cdef dict PHRASES = {status.value: status.phrase for status in HTTPStatus} | {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}


def reason_phrase(int status) -> str:
    """Return the reason phrase of *status*, or an empty string if it is not registered."""
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
    """Return the media type and the body of a response that has no body of its own.

    *pretty* selects HTML for errors.
    """
    cdef str title = f"{status} {reason_phrase(status)}".rstrip()
    if pretty and status >= 400:
        from html import escape     # which brings half a megabyte of entities
        return HTML, PAGE.format(title=escape(title)).encode()
    return PLAIN_TEXT, f"{title}\n".encode()


# RFC 9112 section 4: status-line = HTTP-version SP status-code SP [ reason-phrase ]
for _status in range(STATUS_MIN, STATUS_MAX + 1):
    STATUS_LINES[_status] = f"HTTP/1.1 {_status} {reason_phrase(_status)}\r\n".encode()


cdef bytes status_line(int status):
    if not STATUS_MIN <= status <= STATUS_MAX:      # boundscheck is off
        raise ValueError(f"{status} is not a status: {STATUS_MIN} to {STATUS_MAX}")
    return <bytes>STATUS_LINES[status]


cdef inline int append_object(Buffer *out, Pool *pool, bytes data) except -1:
    return append_bytes(out, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), pool)


cdef int write_field(Buffer *out, Pool *pool, object field) except -1:
    """Append the line of one field.

    No object is created that the garbage collector tracks, so no finalizer can run meanwhile.
    """
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
    """Return whether a field is set, or excluded, by the head of an upgrade itself."""
    return (is_named(field, b"connection", 10) or is_named(field, b"upgrade", 7)
            or is_named(field, b"content-length", 14) or is_named(field, b"keep-alive", 10))


cdef int check_final_status(int status) except -1:
    """Raise ValueError unless *status* can end an exchange (RFC 9110 section 15)."""
    if not 200 <= status <= 599:
        raise ValueError(f"{status} is not a final status: 200 to 599")
    return 0


def convert_body(body: object) -> object:
    """Return a body as bytes or an immutable memoryview; any other object is returned unchanged."""
    if isinstance(body, str):
        return body.encode()
    if not PyObject_CheckBuffer(body):
        return body
    view = memoryview(body)
    # A read-only view may be one of a mutable object: only the memory of bytes never changes.
    if (isinstance(view.obj, bytes) and view.c_contiguous and view.nbytes
            and view.format in ("B", "b", "c")):
        return view.cast("B")
    return view.tobytes()


def check_body_iterable(body: object) -> None:
    """Raise TypeError unless *body* can be iterated for bytes or str.

    Items are checked here for lists and tuples only; those of an iterator when they are sent.
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
    """Writes the heads of a server's responses.

    *server* is the value of its Server field, *keepalive* the seconds that an idle connection is
    kept open, *hsts* the value of Strict-Transport-Security (RFC 6797). An empty value leaves its
    field out.
    """

    def __cinit__(self, bytes server not None, int keepalive, bytes hsts not None=b""):
        self.server_line = b"server: " + server + b"\r\n" if server else b""
        self.hsts_line = b"strict-transport-security: " + hsts + b"\r\n" if hsts else b""
        self.keep_alive_lines = (
            b"connection: keep-alive\r\nkeep-alive: timeout=%d\r\n" % keepalive)
        self.second = -1

    cdef int update_date(self, int64_t second) except -1:
        """Set the date of the heads that follow, in seconds since 1970."""
        cdef char text[IMF_FIXDATE_SIZE + 1]
        if second == self.second:
            return 0
        format_imf_fixdate(text, second)
        self.date_line = b"date: " + text + b"\r\n"
        self.keep_alive_block = self.server_line + self.date_line + self.keep_alive_lines
        self.close_block = self.server_line + self.date_line + b"connection: close\r\n"
        self.second = second
        return 0

    cdef int write_head(self, Buffer *out, Pool *pool, ResponseHead *head, list fields) except -1:
        """Append the head of a final response; *fields* are pairs of bytes, or None."""
        reserve_space(out, 512, pool)
        append_object(out, pool, status_line(head.status))
        if fields is None:
            append_object(out, pool, self.keep_alive_block if head.keep else self.close_block)
        else:
            self.write_fields(out, pool, head, fields)
        if head.hsts:
            self.write_hsts(out, pool, fields)
        if head.chunked:
            append_bytes(out, b"transfer-encoding: chunked\r\n", 28, pool)
        elif head.length >= 0:
            append_bytes(out, b"content-length: ", 16, pool)
            append_decimal(out, head.length, pool)
            append_bytes(out, b"\r\n", 2, pool)
        return append_bytes(out, b"\r\n", 2, pool)

    cdef int write_interim(self, Buffer *out, Pool *pool, int status, list fields) except -1:
        """Append the head of an interim response (1xx): a status and *fields*, nothing else."""
        append_object(out, pool, status_line(status))
        if fields is not None:
            for field in fields:
                write_field(out, pool, field)
        return append_bytes(out, b"\r\n", 2, pool)

    cdef int write_hsts(self, Buffer *out, Pool *pool, list fields) except -1:
        """Append Strict-Transport-Security, unless *fields* have one."""
        if fields is not None and has_field(fields, b"strict-transport-security", 25):
            return 0
        return append_object(out, pool, self.hsts_line)

    cdef int write_upgrade(self, Buffer *out, Pool *pool, list fields, bint hsts) except -1:
        """Append the head of a 101 response, after which the connection is a WebSocket."""
        append_object(out, pool, status_line(101))
        if not has_field(fields, b"server", 6):
            append_object(out, pool, self.server_line)
        append_object(out, pool, b"upgrade: websocket\r\nconnection: upgrade\r\n")
        for field in fields:
            if not is_hop_by_hop(field):
                write_field(out, pool, field)
        if hsts:
            self.write_hsts(out, pool, fields)
        return append_bytes(out, b"\r\n", 2, pool)

    cdef int write_fields(self, Buffer *out, Pool *pool, ResponseHead *head,
                          list fields) except -1:
        """Append *fields*, and those of our own that they do not replace: server and date."""
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
            append_object(out, pool, self.keep_alive_block if head.keep else self.close_block)
        else:
            if not server:
                append_object(out, pool, self.server_line)
            if not date:
                append_object(out, pool, self.date_line)
            append_object(
                out, pool, self.keep_alive_lines if head.keep else b"connection: close\r\n")
        for field in fields:
            write_field(out, pool, field)
        if upgrade:     # RFC 9110 section 7.8: Upgrade requires this option
            append_object(out, pool, b"connection: upgrade\r\n")
        return 0
