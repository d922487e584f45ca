"""What lines of a log are made of."""

from libc.stdint cimport uint32_t
from libc.string cimport memchr

from kore._core.grammar cimport Span


cdef enum:
    ODD = 1024      # bytes shown of what was no request


cdef inline int dotted(char *text, int byte) noexcept nogil:
    """Write one number of an address, and the dot behind it."""
    cdef int size = 0
    if byte >= 100:
        text[0] = <char>(c"0" + byte // 100)
        size = 1
    if byte >= 10:
        text[size] = <char>(c"0" + byte // 10 % 10)
        size += 1
    text[size] = <char>(c"0" + byte % 10)
    text[size + 1] = c"."
    return size + 2


cdef inline bint all_plain(const unsigned char *data, size_t size) noexcept nogil:
    """Say whether bytes stand for themselves, in a quoted string and in JSON."""
    # Without a way out of the loop, so that the compiler takes many bytes at a time.
    cdef unsigned char odd = 0
    cdef size_t i
    for i in range(size):
        odd |= (<unsigned char>(data[i] - 0x20) > 0x5E) | (data[i] == c'"') | (data[i] == c"\\")
    return odd == 0


cdef inline Span line_of(const char *raw, uint32_t size) noexcept nogil:
    """Return the first line of what was no request, as far as it says something."""
    cdef Span line
    cdef uint32_t i = 0
    while i < size and raw[i] in (c"\r", c"\n"):
        i += 1
    line.start = i
    while i < size and i - line.start < ODD and raw[i] not in (c"\r", c"\n"):
        i += 1
    line.size = i - line.start
    return line


cdef inline Span before_query(const char *raw, Span target) noexcept nogil:
    """Return a target up to its question mark."""
    cdef const char *query = <const char *>memchr(raw + target.start, c"?", target.size)
    return target if query == NULL else Span(target.start, <uint32_t>(query - raw) - target.start)
