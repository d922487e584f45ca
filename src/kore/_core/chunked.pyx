# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""Decode the chunked transfer coding, RFC 9112 7.1: bytes in, pieces of the body out. Pure.

A state for each place in the grammar, a byte at a time, except for the data itself. Extensions and
trailers are checked and dropped: nobody may act on what an intermediary might have left out.
"""

from libc.stdint cimport INT64_MAX

from kore._core.grammar cimport KIND, TEXT, TOKEN, parse_hex_digit
from kore._core.refusals cimport (
    REFUSE_CHUNK_DATA_END, REFUSE_CHUNK_EXTENSION, REFUSE_CHUNK_LINE_END, REFUSE_CHUNK_LINE_SIZE,
    REFUSE_CHUNK_SIZE, REFUSE_CHUNK_SIZE_RANGE, REFUSE_TRAILER_CHARACTER, REFUSE_TRAILER_LINE_END,
    REFUSE_TRAILER_NAME, REFUSE_TRAILER_SIZE)
from kore._core.refusals import ParseError


cdef enum State:
    SIZE_FIRST      # zero: a fresh Chunks begins here
    SIZE
    EXTENSION
    SIZE_LF
    DATA
    DATA_CR
    DATA_LF
    TRAILER
    TRAILER_NAME
    TRAILER_VALUE
    TRAILER_LF
    LAST_LF
    DONE

cdef enum:
    OVERHEAD = 4096     # bytes of one chunk line, or of all trailers; nobody sends more in earnest


cdef int decode_span(const char *data, size_t size, Chunks *chunks, size_t *used,
                     ChunkSpan *piece) noexcept nogil:
    """Go on with *size* bytes: a ChunkEvent, or minus the reason to refuse them.

    *used* says how many bytes were looked at; a *piece* lies among them.
    """
    cdef size_t i = 0
    cdef int result
    while i < size and chunks.state != DONE:
        if chunks.state == DATA:
            piece.start = i
            piece.size = <size_t>min(<int64_t>(size - i), chunks.left)
            chunks.left -= piece.size
            if chunks.left == 0:
                chunks.state = DATA_CR
                chunks.line = 0
            used[0] = i + piece.size
            return CHUNK_DATA
        chunks.line += 1
        if chunks.line > OVERHEAD:
            return -(REFUSE_TRAILER_SIZE if chunks.state >= TRAILER else REFUSE_CHUNK_LINE_SIZE)
        result = step(chunks, <unsigned char>data[i])
        if result < 0:
            return result
        i += 1
    used[0] = i
    return CHUNK_END if chunks.state == DONE else CHUNK_MORE


cdef int step(Chunks *chunks, unsigned char c) noexcept nogil:
    if chunks.state <= SIZE_LF:
        return size_step(chunks, c)
    if chunks.state == DATA_CR:
        return move(chunks, c, c"\r", DATA_LF, REFUSE_CHUNK_DATA_END)
    if chunks.state == DATA_LF:
        return move(chunks, c, c"\n", SIZE_FIRST, REFUSE_CHUNK_DATA_END)
    return trailer_step(chunks, c)


cdef inline int move(Chunks *chunks, unsigned char c, char wanted, State then,
                     int otherwise) noexcept nogil:
    if c != <unsigned char>wanted:
        return -otherwise
    chunks.state = then
    return 0


cdef int size_step(Chunks *chunks, unsigned char c) noexcept nogil:
    cdef int digit
    if chunks.state == SIZE_LF:
        return move(chunks, c, c"\n", DATA if chunks.left else TRAILER, REFUSE_CHUNK_LINE_END)
    if chunks.state == EXTENSION:
        if c == c"\r":
            chunks.state = SIZE_LF
            return 0
        return 0 if KIND[c] & TEXT else -REFUSE_CHUNK_EXTENSION
    digit = parse_hex_digit(<char>c)
    if digit >= 0:
        if chunks.state == SIZE_FIRST:
            chunks.state = SIZE
            chunks.left = 0
        if chunks.left > (INT64_MAX >> 4):
            return -REFUSE_CHUNK_SIZE_RANGE
        chunks.left = chunks.left * 16 + digit
        return 0
    if chunks.state == SIZE_FIRST:
        return -REFUSE_CHUNK_SIZE
    if c == c";":
        chunks.state = EXTENSION
        return 0
    return move(chunks, c, c"\r", SIZE_LF, REFUSE_CHUNK_SIZE)


cdef int trailer_step(Chunks *chunks, unsigned char c) noexcept nogil:
    # the field lines of RFC 9112 5, without keeping any
    if chunks.state == TRAILER_LF:
        return move(chunks, c, c"\n", TRAILER, REFUSE_TRAILER_LINE_END)
    if chunks.state == LAST_LF:
        return move(chunks, c, c"\n", DONE, REFUSE_TRAILER_LINE_END)
    if c == c"\r" and chunks.state != TRAILER_NAME:
        chunks.state = LAST_LF if chunks.state == TRAILER else TRAILER_LF
        return 0
    if chunks.state == TRAILER_VALUE:
        return 0 if KIND[c] & TEXT else -REFUSE_TRAILER_CHARACTER
    if c == c":" and chunks.state == TRAILER_NAME:
        chunks.state = TRAILER_VALUE
        return 0
    chunks.state = TRAILER_NAME
    return 0 if KIND[c] & TOKEN else -REFUSE_TRAILER_NAME


cdef class ChunkReader:
    """The same for Python: feed bytes, get the body's."""

    cdef Chunks chunks
    cdef readonly bint done

    def feed(self, data):
        """Return `(body, used)`: what *data* adds to the body and how much of it was looked at.

        Raises `ParseError`. `done` is True when the body is complete.
        """
        cdef bytes source = bytes(data)
        cdef const char *at = source
        cdef size_t left = len(source)
        cdef size_t used = 0
        cdef ChunkSpan piece
        cdef int event = CHUNK_DATA
        body = []
        while event == CHUNK_DATA:
            event = decode_span(at, left, &self.chunks, &used, &piece)
            if event < 0:
                raise ParseError(-event)
            if event == CHUNK_DATA:
                body.append((at + piece.start)[:piece.size])
            at += used
            left -= used
        self.done = event == CHUNK_END
        return b"".join(body), len(source) - left
