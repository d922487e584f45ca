"""A socket with bytes waiting on both sides."""

from libc.stdint cimport int64_t

from kore._core.buffer cimport Buffer
from kore._core.file cimport FileRange
from kore._core.poller cimport Source


cdef enum Flow:
    GONE = -2       # the peer is no longer there
    LATER = -1      # nothing now; epoll will tell
    CUT = -4        # a file has less than was announced: only closing can take that back


cdef class Stream(Source):
    cdef Buffer inbox           # received, not yet parsed
    cdef Buffer outbox          # to be sent
    cdef list parts             # to be sent after the outbox: large pieces, files; never copied
    cdef Py_ssize_t sent        # of the first part
    cdef bint ended             # all that the peer sent is read
    cdef bint broken            # nothing can be sent any more; what was received can be read
    cdef int64_t transferred    # bytes given to the kernel in all
    cdef int64_t received       # bytes taken from it

    cdef Py_ssize_t receive(self, char *data, size_t size) except -3
    cdef Py_ssize_t fill(self) except -3
    cdef int put(self, const char *data, size_t size) except -1
    cdef int put_behind(self, const char *data, size_t size) except -1
    cdef int prepare_parts(self, int64_t size) except -1
    cdef int make_parts(self) except -1
    cdef int put_view(self, object data) except -1
    cdef int put_rest(self, bytes data, size_t gone) except -1
    cdef int put_object(self, object data) except -1
    cdef int put_piece_of_file(self, FileRange piece) except -1
    cdef size_t waiting(self) noexcept
    cdef int64_t parts_size(self) except -1
    cdef int64_t acknowledged(self) noexcept
    cdef int flush(self) except -1
    cdef size_t send_now(self, const char *head, size_t length, const char *data,
                         size_t size) noexcept
    cdef Py_ssize_t transmit(self) except -3
    cdef Py_ssize_t transmit_file(self, FileRange piece) except -3
    cdef Py_ssize_t transmit_copy(self, FileRange piece) except -3
    cdef Py_ssize_t gather(self, object part) except -3
    cdef int take(self, size_t count) except -1
    cdef int half_close(self) except -1
    cdef int lose_output(self) except -1
