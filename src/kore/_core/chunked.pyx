# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""Decode the chunked transfer coding (RFC 9112 section 7.1): bytes in, spans of the body out.

A state machine with one state for each place in the grammar. Everything but the data of chunks is
read byte by byte, so a body may be cut anywhere. Chunk extensions and trailer fields are checked
and discarded: RFC 9112 section 7.1.1 says to ignore unknown extensions, and intermediaries may
have removed either, so no application can rely on them. No I/O, no allocation.

  chunked-body   = *chunk last-chunk trailer-section CRLF
  chunk          = chunk-size [ chunk-ext ] CRLF chunk-data CRLF
  chunk-size     = 1*HEXDIG
  last-chunk     = 1*("0") [ chunk-ext ] CRLF
  chunk-ext      = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )
  trailer-section = *( field-line CRLF )
"""

from libc.stdint cimport INT64_MAX

from kore._core.grammar cimport CHAR_CLASS, FIELD_TEXT, TCHAR, parse_hex_digit
from kore._core.refusals cimport (
    REFUSE_CHUNK_DATA_END, REFUSE_CHUNK_EXTENSION, REFUSE_CHUNK_LINE_END, REFUSE_CHUNK_LINE_SIZE,
    REFUSE_CHUNK_SIZE, REFUSE_CHUNK_SIZE_RANGE, REFUSE_TRAILER_CHARACTER, REFUSE_TRAILER_LINE_END,
    REFUSE_TRAILER_NAME, REFUSE_TRAILER_SIZE)


cdef enum ChunkState:
    SIZE_FIRST      # before the first digit of a chunk's size; 0, where a zeroed decoder begins
    SIZE
    EXTENSION
    SIZE_LF
    DATA
    DATA_CR
    DATA_LF
    TRAILER         # at the beginning of a trailer's line, or of the last empty line
    TRAILER_NAME
    TRAILER_VALUE
    TRAILER_LF
    LAST_LF
    DONE

cdef enum:
    OVERHEAD_MAX = 4096     # bytes of one chunk's line, or of all trailers


cdef int decode_chunks(const char *data, size_t size, ChunkDecoder *decoder, size_t *used,
                       ChunkSpan *span) noexcept nogil:
    """Decode the next *size* bytes: return a ChunkEvent, or minus the reason to refuse them.

    *used* is set to the number of bytes that were consumed, which the refused byte follows; *span*
    to the body's bytes among them if the event is CHUNK_DATA.
    """
    cdef size_t i = 0
    cdef int result
    while i < size and decoder.state != DONE:
        if decoder.state == DATA:
            span.start = i
            span.size = <size_t>min(<int64_t>(size - i), decoder.left)
            decoder.left -= span.size
            if decoder.left == 0:
                decoder.state = DATA_CR
                decoder.overhead = 0
            used[0] = i + span.size
            return CHUNK_DATA
        used[0] = i
        decoder.overhead += 1
        if decoder.overhead > OVERHEAD_MAX:
            return -(REFUSE_TRAILER_SIZE if decoder.state >= TRAILER else REFUSE_CHUNK_LINE_SIZE)
        result = decode_byte(decoder, <unsigned char>data[i])
        if result < 0:
            return result
        i += 1
    used[0] = i
    return CHUNK_END if decoder.state == DONE else CHUNK_MORE


cdef int decode_byte(ChunkDecoder *decoder, unsigned char c) noexcept nogil:
    if decoder.state <= SIZE_LF:
        return decode_size_line(decoder, c)
    if decoder.state == DATA_CR:
        return expect_byte(decoder, c, c"\r", DATA_LF, REFUSE_CHUNK_DATA_END)
    if decoder.state == DATA_LF:
        return expect_byte(decoder, c, c"\n", SIZE_FIRST, REFUSE_CHUNK_DATA_END)
    return decode_trailer(decoder, c)


cdef inline int expect_byte(ChunkDecoder *decoder, unsigned char c, char expected,
                            ChunkState next_state, int reason) noexcept nogil:
    if c != <unsigned char>expected:
        return -reason
    decoder.state = next_state
    return 0


cdef int decode_size_line(ChunkDecoder *decoder, unsigned char c) noexcept nogil:
    cdef int digit
    if decoder.state == SIZE_LF:
        return expect_byte(
            decoder, c, c"\n", DATA if decoder.left else TRAILER, REFUSE_CHUNK_LINE_END)
    if decoder.state == EXTENSION:
        if c == c"\r":
            decoder.state = SIZE_LF
            return 0
        return 0 if CHAR_CLASS[c] & FIELD_TEXT else -REFUSE_CHUNK_EXTENSION
    digit = parse_hex_digit(<char>c)
    if digit >= 0:
        if decoder.state == SIZE_FIRST:
            decoder.state = SIZE
            decoder.left = 0
        if decoder.left > (INT64_MAX >> 4):
            return -REFUSE_CHUNK_SIZE_RANGE
        decoder.left = decoder.left * 16 + digit
        return 0
    if decoder.state == SIZE_FIRST:
        return -REFUSE_CHUNK_SIZE
    if c == c";":
        decoder.state = EXTENSION
        return 0
    return expect_byte(decoder, c, c"\r", SIZE_LF, REFUSE_CHUNK_SIZE)


cdef int decode_trailer(ChunkDecoder *decoder, unsigned char c) noexcept nogil:
    # field lines as in RFC 9112 section 5
    if decoder.state == TRAILER_LF:
        return expect_byte(decoder, c, c"\n", TRAILER, REFUSE_TRAILER_LINE_END)
    if decoder.state == LAST_LF:
        return expect_byte(decoder, c, c"\n", DONE, REFUSE_TRAILER_LINE_END)
    if c == c"\r" and decoder.state != TRAILER_NAME:
        decoder.state = LAST_LF if decoder.state == TRAILER else TRAILER_LF
        return 0
    if decoder.state == TRAILER_VALUE:
        return 0 if CHAR_CLASS[c] & FIELD_TEXT else -REFUSE_TRAILER_CHARACTER
    if c == c":" and decoder.state == TRAILER_NAME:
        decoder.state = TRAILER_VALUE
        return 0
    decoder.state = TRAILER_NAME
    return 0 if CHAR_CLASS[c] & TCHAR else -REFUSE_TRAILER_NAME
