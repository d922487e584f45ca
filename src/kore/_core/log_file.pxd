"""Lines on their way to a file."""

from libc.stdint cimport int64_t

from kore._core.buffer cimport Buffer, Pool


cdef class LogFile:
    cdef Buffer lines
    cdef Pool pool
    cdef readonly int handle
    cdef readonly int error     # errno of the last write, 0 when it went well
    cdef readonly int64_t lost  # lines that nobody will read
    cdef size_t most            # bytes of one write; 0: no limit
    cdef bint torn              # the file ends with a part of a line

    cdef int write_out(self) except -1
    cdef size_t portion(self) noexcept
    cdef bint refuses(self) noexcept
    cdef int added(self) except -1
