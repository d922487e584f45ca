"""The chunked transfer coding, as spans of the buffer it was received into; see chunked.pyx."""

from libc.stdint cimport int64_t, uint32_t


cdef enum ChunkEvent:
    CHUNK_MORE = 0      # all input is used, and the body is not complete
    CHUNK_DATA = 1      # a span of the body was found; call again for the rest of the input
    CHUNK_END = 2       # the body is complete


cdef struct ChunkDecoder:       # zero it to begin
    int state
    int64_t left                # bytes of the current chunk's data that are still to come
    uint32_t overhead           # bytes of this chunk's line, or of the trailers, so far


cdef struct ChunkSpan:
    size_t start
    size_t size


cdef int decode_chunks(const char *data, size_t size, ChunkDecoder *decoder, size_t *used,
                       ChunkSpan *span) noexcept nogil
