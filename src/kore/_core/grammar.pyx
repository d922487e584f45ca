# cython: language_level=3, boundscheck=False, wraparound=False
"""Character classes of RFC 9110: what a token, a field value, a host, a path may hold."""

from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.unicode cimport PyUnicode_DecodeLatin1

cdef const char *HEX = b"0123456789ABCDEF"


cdef int fill_kinds() except -1:
    cdef int c
    for c in range(256):
        KIND[c] = 0
        if c == 9 or (c >= 0x20 and c != 0x7F):
            KIND[c] |= TEXT
        if 0x20 <= c < 0x7F:
            KIND[c] |= LINE
        if 0x21 <= c < 0x7F and c != b"#"[0]:
            KIND[c] |= TARGET
        if chr(c).isascii() and (chr(c).isalnum() or chr(c) in "-._~"):
            KIND[c] |= NAME | TOKEN
        if chr(c) in "!#$%&'*+^`|":
            KIND[c] |= TOKEN
        if chr(c) in "!$&'()*+;=":      # sub-delims, without the comma that joins repeated fields
            KIND[c] |= NAME
        if chr(c) in "0123456789abcdefABCDEF:.":
            KIND[c] |= LITERAL
        # What the URL standard leaves plain in a path; `%` begins an escape, `?` the query.
        if 0x21 <= c < 0x7F and chr(c) not in "\"#%<>?\\^`{}":
            KIND[c] |= PATH
    return 0


fill_kinds()


cdef bint all_of(const char *data, size_t size, unsigned char kind) noexcept nogil:
    cdef size_t i
    for i in range(size):
        if not KIND[<unsigned char>data[i]] & kind:
            return False
    return True


cdef bint is_token(const char *data, size_t size) noexcept nogil:
    """Say whether the bytes may be a field name."""
    return size > 0 and all_of(data, size, TOKEN)


cdef bint is_text(const char *data, size_t size) noexcept nogil:
    """Say whether the bytes may be a field value."""
    return all_of(data, size, TEXT)


cdef bint equals_word(const char *data, size_t size, const char *word,
                      size_t length) noexcept nogil:
    """Compare without regard to case; *word* is in lower case."""
    cdef size_t i
    cdef char c
    if size != length:
        return False
    for i in range(size):
        c = data[i]
        if c"A" <= c <= c"Z":
            c |= 0x20
        if c != word[i]:
            return False
    return True


cdef int parse_hex_digit(char c) noexcept nogil:
    if c"0" <= c <= c"9":
        return c - c"0"
    c |= 0x20
    if c"a" <= c <= c"f":
        return c - c"a" + 10
    return -1


cdef bint is_escape(const char *data, size_t size) noexcept nogil:
    """Return whether the bytes begin with a percent sign and two digits, other than `%00`."""
    if size < 3 or data[0] != c"%" or parse_hex_digit(data[1]) < 0 or parse_hex_digit(data[2]) < 0:
        return False
    return data[1] != c"0" or data[2] != c"0"


cdef str normalize_path(const char *path, size_t size):
    """Return the normal form of a path in which each percent sign begins an escape.

    RFC 3986 6.2.2: one spelling for each sequence of octets. What may stand plainly does, except
    for a slash that was escaped, which separates nothing; the rest is escaped in upper case.
    """
    cdef char *normal = <char *>PyMem_Malloc(3 * size + 1)
    cdef size_t at = 0, used = 0
    cdef unsigned char c
    cdef bint escaped
    if normal == NULL:
        raise MemoryError()
    while at < size:
        escaped = path[at] == c"%"
        if escaped:
            c = <unsigned char>(parse_hex_digit(path[at + 1]) << 4 | parse_hex_digit(path[at + 2]))
            at += 3
        else:
            c = <unsigned char>path[at]
            at += 1
        if KIND[c] & PATH and not (escaped and c == c"/"):
            normal[used] = <char>c
            used += 1
            continue
        normal[used] = c"%"
        normal[used + 1] = HEX[c >> 4]
        normal[used + 2] = HEX[c & 15]
        used += 3
    try:
        return PyUnicode_DecodeLatin1(normal, used, NULL)
    finally:
        PyMem_Free(normal)


cdef bint is_valid_host(const char *host, size_t size) noexcept nogil:
    """Check host [":" port], RFC 9110 7.2, with the names that DNS and its users know."""
    cdef size_t at = 0
    cdef unsigned long port = 0
    cdef unsigned char kind = LITERAL
    if size and host[0] == c"[":
        at = 1
        if size > 1 and (host[1] | 0x20) == c"v":   # IPvFuture, RFC 3986 3.2.2
            kind = NAME | LITERAL
        while at < size and (KIND[<unsigned char>host[at]] & kind
                             or (host[at] == c"," and kind & NAME)):
            at += 1
        if at < 3 or at == size or host[at] != c"]":
            return False
        at += 1
    else:
        while at < size and KIND[<unsigned char>host[at]] & NAME:
            at += 1
    if at == 0 or at > HOST_SIZE_MAX:
        return False
    if at == size:
        return True
    if host[at] != c":" or size - at > PORT_MAX:
        return False
    for at in range(at + 1, size):
        if not c"0" <= host[at] <= c"9":
            return False
        port = port * 10 + (host[at] - c"0")
        if port > 65535:
            return False
    return True


cdef size_t read_list_element(const char *value, size_t size, size_t at, Span *word) noexcept nogil:
    # one element of a comma-separated list; returns where the next begins, size + 1 after the last
    cdef size_t end = at
    while end < size and value[end] != c",":
        end += 1
    word.start = <uint32_t>at
    word.size = <uint32_t>(end - at)
    while word.size and (value[word.start] == c" " or value[word.start] == c"\t"):
        word.start += 1
        word.size -= 1
    while word.size and (value[word.start + word.size - 1] == c" "
                         or value[word.start + word.size - 1] == c"\t"):
        word.size -= 1
    return end + 1
