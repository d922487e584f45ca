# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""Collect a request body: bytes in, one bytes object out, or several. Pure.

The object grows in place as bytes come: an announced length costs nothing until it is sent, and
what was received is never copied again.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.string cimport memcpy

from kore._core.chunked cimport CHUNK_DATA, CHUNK_END, ChunkSpan, decode_span
from kore._core.refusals cimport REFUSE_BODY_SIZE

from kore._core.refusals import ParseError

cdef extern from "Python.h":
    int _PyBytes_Resize(PyObject **data, Py_ssize_t size) except -1
    void Py_XDECREF(PyObject *data)

cdef enum:
    FIRST = 65536       # bytes set aside before any has come
    DIRECT = 1 << 18    # most bytes of one direct read, so that others have their turn


cdef class BodyReader:
    """A body by Content-Length, or chunked."""

    def __dealloc__(self):
        Py_XDECREF(self.data)

    cdef int start(self, int64_t length, int64_t most) except -1:
        """Expect *length* bytes, -1 for chunked; refuse more than *most*."""
        self.length = length
        self.size_max = most
        self.complete = length == 0
        return 0

    cdef Py_ssize_t feed(self, const char *data, size_t size) except? -1:
        """Take what belongs to the body: how many bytes were used, or minus a reason."""
        cdef size_t wanted
        if self.length < 0:
            return self.feed_chunked(data, size)
        wanted = <size_t>min(<int64_t>size, self.length - self.total)
        if wanted:
            self.keep(data, wanted)
        self.complete = self.total == self.length
        return wanted

    cdef Py_ssize_t feed_chunked(self, const char *data, size_t size) except? -1:
        cdef size_t at = 0
        cdef size_t used = 0
        cdef ChunkSpan piece
        cdef int64_t room
        cdef int event = CHUNK_DATA
        while event == CHUNK_DATA:
            event = decode_span(data + at, size - at, &self.chunks, &used, &piece)
            if event < 0:
                return event
            if event == CHUNK_DATA:
                # What is still announced of this chunk counts: refused before it is sent. The
                # client chooses these numbers, so nothing is added to them.
                room = self.size_max - self.total - <int64_t>piece.size
                if room < 0 or self.chunks.left > room:
                    return -REFUSE_BODY_SIZE
                self.keep(data + at + piece.start, piece.size)
            at += used
        self.complete = event == CHUNK_END
        return at

    cdef int keep(self, const char *data, size_t size) except -1:
        self.reserve(size)
        memcpy(PyBytes_AS_STRING(<object>self.data) + self.size, data, size)
        self.size += size
        self.total += size
        return 0

    cdef int reserve(self, size_t size) except -1:
        cdef size_t wanted = self.size + size
        cdef size_t room
        cdef bytes fresh
        if wanted <= self.capacity and self.data != NULL:
            return 0
        room = max(wanted, min(self.capacity * 2, self.batch_size or <size_t>self.size_max))
        if self.length >= 0:
            room = min(max(room, <size_t>FIRST), self.size + <size_t>(self.length - self.total))
        if self.data == NULL:
            fresh = PyBytes_FromStringAndSize(NULL, room)
            Py_INCREF(fresh)
            self.data = <PyObject *>fresh
            fresh = None        # resizing wants to be the only owner
        else:
            _PyBytes_Resize(&self.data, room)
        self.capacity = room
        return 0

    cdef char *reserve_tail(self, size_t *size) except NULL:
        """Return where bytes of an announced length may be received directly, and how many."""
        cdef size_t left = <size_t>min(self.length - self.total, <int64_t>DIRECT)
        if self.batch_size:
            left = min(left, self.batch_size - self.size)
        if self.capacity - self.size < <size_t>min(left, <size_t>FIRST) or self.data == NULL:
            self.reserve(min(left, <size_t>FIRST))
        size[0] = min(left, self.capacity - self.size)
        return PyBytes_AS_STRING(<object>self.data) + self.size

    cdef int add_received(self, size_t size) except -1:
        """Count bytes that were received into `reserve_tail`."""
        self.size += size
        self.total += size
        self.complete = self.total == self.length
        return 0

    cdef int64_t remaining(self) noexcept:
        """Return how many bytes are still announced, as far as that is known."""
        return self.length - self.total if self.length >= 0 else 0

    cdef bytes take(self):
        """Return what has come since the last time; the reader is empty afterwards."""
        cdef PyObject *data
        cdef bytes body
        if self.data == NULL:
            return b""
        if self.capacity != self.size:
            _PyBytes_Resize(&self.data, self.size)
        data = self.data
        self.data = NULL
        self.capacity = self.size = 0
        body = <bytes>data
        Py_DECREF(body)         # the reader's own reference
        return body


def read_body(pieces, length=None, *, int64_t most=1 << 20):
    """Feed *pieces*; return the body and what follows it, or None while more must come: for tests.

    Raises `kore._core.parser.ParseError` for a body that is refused.
    """
    cdef BodyReader reader = BodyReader()
    cdef bytes piece
    cdef Py_ssize_t used
    reader.start(-1 if length is None else length, most)
    rest = b""
    for piece in pieces:
        used = 0
        if not reader.complete:
            used = reader.feed(piece, len(piece))
            if used < 0:
                raise ParseError(-used)
        rest += piece[used:]
    return (reader.take(), rest) if reader.complete else None
