"""A client's connection, as applications see it."""

from kore._core.lifecycle cimport Lifecycle


cdef class Connection(Lifecycle):
    cdef dict __dict__
