"""A client's connection, as applications see it."""

from libc.stdint cimport int64_t

from kore._core.lifecycle cimport Lifecycle


cdef class Connection(Lifecycle):
    cdef dict __dict__

    cdef int64_t idle_since(self) noexcept
    cdef int make_way(self, int64_t since) except -1
