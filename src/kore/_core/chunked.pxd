"""Chunked bodies, as spans of somebody else's bytes."""

from libc.stdint cimport int64_t, uint32_t


cdef enum ChunkEvent:
    CHUNK_MORE = 0      # all input is used and the body goes on
    CHUNK_DATA = 1      # a piece of the body; call again
    CHUNK_END = 2       # the body is complete


cdef struct Chunks:
    int state
    int64_t left        # of the chunk that is being read
    uint32_t line       # bytes since the last data that were not data


cdef struct ChunkSpan:
    size_t start
    size_t size


cdef int decode_span(const char *data, size_t size, Chunks *chunks, size_t *used,
                     ChunkSpan *piece) noexcept nogil
