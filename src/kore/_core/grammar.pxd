"""Character classes and small rules of the HTTP and URI grammars; see grammar.pyx."""

from libc.stdint cimport uint32_t


cdef enum CharClass:
    TCHAR = 1               # characters of a token
    FIELD_TEXT = 2          # characters of a field value, blanks included
    REQUEST_LINE = 4        # characters of a request line
    TARGET = 8              # characters of a request target
    REG_NAME = 16           # characters of a host name
    IP_LITERAL = 32         # characters between the brackets of an IPv6 address
    PATH = 64               # characters that are not escaped in the normal form of a path


cdef enum:
    HOST_SIZE_MAX = 253     # bytes of a domain name in its printed form, RFC 1035 section 2.3.4
    PORT_MAX = 65535
    PORT_SIZE_MAX = 6       # a colon and five digits


cdef struct Span:           # a part of a buffer that is known from elsewhere
    uint32_t start
    uint32_t size


cdef unsigned char CHAR_CLASS[256]      # the sum of a byte's classes

cdef bint all_in_class(const char *data, size_t size, unsigned char classes) noexcept nogil
cdef bint is_token(const char *data, size_t size) noexcept nogil
cdef bint is_field_value(const char *data, size_t size) noexcept nogil
cdef bint equals_word(const char *data, size_t size, const char *word,
                      size_t length) noexcept nogil
cdef bint is_percent_escape(const char *data, size_t size) noexcept nogil
cdef str normalize_path(const char *path, size_t size)
cdef int parse_hex_digit(char c) noexcept nogil
cdef bint is_valid_host(const char *host, size_t size) noexcept nogil
cdef size_t read_list_element(const char *value, size_t size, size_t at,
                              Span *element) noexcept nogil
