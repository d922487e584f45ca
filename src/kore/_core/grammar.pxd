"""Character classes and words that every parser and writer here uses."""

from libc.stdint cimport uint32_t


cdef enum Kind:
    TOKEN = 1       # RFC 9110 5.6.2: field names and methods
    TEXT = 2        # field values: HTAB, SP, VCHAR, obs-text
    LINE = 4        # the request line: SP and VCHAR
    TARGET = 8      # VCHAR without the fragment sign, which no client may send
    NAME = 16       # letters, digits and marks of a host name
    LITERAL = 32    # inside the brackets of an IP literal
    PATH = 64       # stands for itself in the normal form of a path


cdef enum:
    HOST_SIZE_MAX = 253      # RFC 1035: the longest name in its printed form
    PORT_MAX = 6        # a colon and five digits


cdef struct Span:
    uint32_t start
    uint32_t size


cdef unsigned char KIND[256]

cdef bint all_of(const char *data, size_t size, unsigned char kind) noexcept nogil
cdef bint is_token(const char *data, size_t size) noexcept nogil
cdef bint is_text(const char *data, size_t size) noexcept nogil
cdef bint equals_word(const char *data, size_t size, const char *word,
                      size_t length) noexcept nogil
cdef bint is_escape(const char *data, size_t size) noexcept nogil
cdef str normalize_path(const char *path, size_t size)
cdef int parse_hex_digit(char c) noexcept nogil
cdef bint is_valid_host(const char *host, size_t size) noexcept nogil
cdef size_t read_list_element(const char *value, size_t size, size_t at, Span *word) noexcept nogil
