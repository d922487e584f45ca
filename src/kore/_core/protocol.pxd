"""The seam between a transport and what speaks over it."""

from libc.stdint cimport int64_t


cdef class Protocol:
    cdef bint blocked           # input waits until the peer has read what is queued
    cdef bint reads_widely      # input comes in large units: read much at a time

    # what happens
    cdef int on_attached(self, object transport) except -1
    cdef bint on_input(self) except -1
    cdef bint on_writable(self) except -1
    cdef bint on_flushed(self) except -1
    cdef int on_eof(self) except -1
    cdef bint on_output_lost(self) except -1
    cdef int on_deadline(self) except -1
    cdef int on_drain(self, bint patient) except -1
    cdef int on_disconnect(self) except -1
    cdef void on_shut(self) noexcept
    cdef int on_closed(self) except -1

    # what a transport asks
    cdef char *get_input_buffer(self, size_t *size) except? NULL
    cdef int on_buffer_filled(self, size_t size) except -1
    cdef bint wants_input(self) noexcept
    cdef bint has_input(self) noexcept
    cdef bint is_working(self) noexcept
    cdef bint is_ended_by_close(self) noexcept
    cdef bint send_probe(self) except -1
    cdef int64_t next_deadline(self, bint pending) noexcept
    cdef int64_t idle_since(self) noexcept


cdef Protocol DETACHED          # of a transport that has none: does nothing
