"""The file of an access log, and the lines that are buffered for it; see log_file.pyx."""

from libc.stdint cimport int64_t

from kore._core.buffer cimport Buffer, Pool


cdef class LogFile:
    cdef Buffer lines
    cdef Pool pool
    cdef readonly int fd            # owned; -1 when it is closed
    cdef readonly int error         # errno of the last write, 0 if it succeeded
    cdef readonly int64_t lost      # lines that were discarded
    cdef size_t write_max           # bytes of one write; 0: no limit
    cdef bint ends_mid_line         # the last write did not end with a whole line

    cdef int write_out(self) except -1
    cdef size_t next_write_size(self) noexcept
    cdef bint is_full(self) noexcept
    cdef int line_added(self) except -1
