"""Format parts of an access log's lines: addresses, and what a client sent in place of a request.
"""

from libc.stdint cimport uint32_t
from libc.string cimport memchr

from kore._core.format cimport format_decimal
from kore._core.grammar cimport Span


cdef enum:
    MALFORMED_LINE_MAX = 1024       # bytes that are logged of a line that is not a request line


cdef inline int format_octet(char *out, int octet) noexcept nogil:
    """Write one number of an IPv4 address and the dot behind it; return their size."""
    cdef char digits[3]
    cdef int size = format_decimal(digits + 3, octet)
    cdef int i
    for i in range(size):
        out[i] = digits[3 - size + i]
    out[size] = c"."
    return size + 1


cdef inline bint is_plain_text(const unsigned char *data, size_t size) noexcept nogil:
    """Return whether no byte has to be escaped, neither in a quoted string nor in JSON."""
    # The loop has no exit, so that the compiler can vectorize it.
    cdef unsigned char special = 0
    cdef size_t i
    for i in range(size):
        special |= ((<unsigned char>(data[i] - 0x20) > 0x5E) | (data[i] == c'"')
                    | (data[i] == c"\\"))
    return special == 0


cdef inline Span find_first_line(const char *raw, uint32_t size) noexcept nogil:
    """Return the first line that is not empty, or its beginning, of malformed input."""
    cdef Span line
    cdef uint32_t i = 0
    while i < size and raw[i] in (c"\r", c"\n"):
        i += 1
    line.start = i
    while i < size and i - line.start < MALFORMED_LINE_MAX and raw[i] not in (c"\r", c"\n"):
        i += 1
    line.size = i - line.start
    return line


cdef inline Span cut_query(const char *raw, Span target) noexcept nogil:
    """Return a target up to its question mark."""
    cdef const char *query = <const char *>memchr(raw + target.start, c"?", target.size)
    return target if query == NULL else Span(target.start, <uint32_t>(query - raw) - target.start)
