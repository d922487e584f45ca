# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""Collect a request body: received bytes in, one bytes object out, or several in turn. No I/O.

The body is received into a bytes object that grows in place, so that it is never copied again.
Memory grows with what has arrived: an announced length alone costs nothing.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.string cimport memcpy

from kore._core.chunked cimport CHUNK_DATA, CHUNK_END, ChunkSpan, decode_chunks
from kore._core.refusals cimport REFUSE_BODY_SIZE

cdef extern from "Python.h":
    int _PyBytes_Resize(PyObject **data, Py_ssize_t size) except -1
    void Py_XDECREF(PyObject *data)

cdef enum:
    FIRST_SIZE = 65536          # bytes allocated at first, at most
    DIRECT_READ_MAX = 1 << 18   # bytes of one direct read: other connections wait for it


cdef class BodyReader:
    """Receives a body that is framed by Content-Length, or chunked."""

    def __dealloc__(self):
        Py_XDECREF(self.data)

    cdef int start(self, int64_t length, int64_t size_max) except -1:
        """Expect *length* bytes, -1 for a chunked body; refuse more than *size_max*."""
        self.length = length
        self.size_max = size_max
        self.complete = length == 0
        return 0

    cdef Py_ssize_t feed(self, const char *data, size_t size) except? -1:
        """Copy what belongs to the body; return the bytes used, or minus the reason to refuse."""
        cdef size_t used
        if self.length < 0:
            return self.feed_chunked(data, size)
        used = <size_t>min(<int64_t>size, self.length - self.total)
        if used:
            self.copy_in(data, used)
        self.complete = self.total == self.length
        return used

    cdef Py_ssize_t feed_chunked(self, const char *data, size_t size) except? -1:
        cdef size_t at = 0
        cdef size_t used = 0
        cdef ChunkSpan span
        cdef int64_t allowed
        cdef int event = CHUNK_DATA
        while event == CHUNK_DATA:
            event = decode_chunks(data + at, size - at, &self.chunks, &used, &span)
            if event < 0:
                self.refused_at = at + used
                return event
            if event == CHUNK_DATA:
                # The announced rest of this chunk counts as well, so that a body that is too
                # large is refused before it is sent. The client chooses these numbers: they are
                # compared and never added, which could overflow.
                allowed = self.size_max - self.total - <int64_t>span.size
                if allowed < 0 or self.chunks.left > allowed:
                    self.refused_at = at + used
                    return -REFUSE_BODY_SIZE
                self.copy_in(data + at + span.start, span.size)
            at += used
        self.complete = event == CHUNK_END
        return at

    cdef int copy_in(self, const char *data, size_t size) except -1:
        self.reserve(size)
        memcpy(PyBytes_AS_STRING(<object>self.data) + self.size, data, size)
        self.size += size
        self.total += size
        return 0

    cdef int reserve(self, size_t size) except -1:
        # Allocate room for *size* more bytes: twice the capacity, but no more than can follow.
        cdef size_t needed = self.size + size
        cdef size_t capacity
        cdef bytes fresh
        if needed <= self.capacity and self.data != NULL:
            return 0
        capacity = max(needed, min(self.capacity * 2, self.batch_size or <size_t>self.size_max))
        if self.length >= 0:
            capacity = min(max(capacity, <size_t>FIRST_SIZE),
                           self.size + <size_t>(self.length - self.total))
        if self.data == NULL:
            fresh = PyBytes_FromStringAndSize(NULL, capacity)
            Py_INCREF(fresh)
            self.data = <PyObject *>fresh
            fresh = None        # _PyBytes_Resize requires a single reference
        else:
            _PyBytes_Resize(&self.data, capacity)
        self.capacity = capacity
        return 0

    cdef char *reserve_tail(self, size_t *size) except NULL:
        """Return memory to receive an announced length into, and set *size* to its size."""
        cdef size_t left = <size_t>min(self.length - self.total, <int64_t>DIRECT_READ_MAX)
        if self.batch_size:
            left = min(left, self.batch_size - self.size)
        if self.capacity - self.size < <size_t>min(left, <size_t>FIRST_SIZE) or self.data == NULL:
            self.reserve(min(left, <size_t>FIRST_SIZE))
        size[0] = min(left, self.capacity - self.size)
        return PyBytes_AS_STRING(<object>self.data) + self.size

    cdef int add_received(self, size_t size) except -1:
        """Count *size* bytes that were received into `reserve_tail`."""
        self.size += size
        self.total += size
        self.complete = self.total == self.length
        return 0

    cdef int64_t remaining(self) noexcept:
        """Return how many announced bytes have not arrived; 0 for a chunked body."""
        return self.length - self.total if self.length >= 0 else 0

    cdef bytes take(self):
        """Return what has arrived since the last call, and forget it."""
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
