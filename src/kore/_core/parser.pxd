"""Request heads, as spans of somebody else's bytes."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t

from kore._core.grammar cimport Span


cdef enum Method:
    UNKNOWN = 0         # a well-formed token that names no method we know
    GET = 1
    POST = 2
    PUT = 4
    DELETE = 16
    HEAD = 32
    OPTIONS = 64
    PATCH = 128


cdef enum Flag:
    HOST_SEEN = 1
    ABSOLUTE_FORM = 2       # the target carried its own authority, which overrides Host
    HTTPS_SCHEME = 4           # ... and the https scheme
    ASTERISK_FORM = 8                # OPTIONS *
    PATH_ESCAPED = 16            # the path holds escapes, or characters that need one
    LENGTH_SEEN = 32
    CODING_SEEN = 64        # a Transfer-Encoding
    CODING_UNSUPPORTED = 128    # ... with a coding that is not chunked
    CHUNKED = 256           # ... and chunked is the last one
    CLOSE = 512             # Connection: close
    EXPECT_CONTINUE = 1024
    EXPECT_OTHER = 2048


cdef struct HeadLimits:
    uint32_t head           # bytes of request line, fields and the empty line
    uint32_t line           # bytes of the request line
    uint32_t fields         # how many of them


cdef struct Head:
    Method method
    uint8_t minor           # HTTP/1.minor: 0, or 1 for everything newer
    uint16_t flags
    Span method_name        # of the method
    Span target
    Span path               # empty: "/"
    Span query              # without the question mark
    Span host               # with its port, from the target or from Host
    uint32_t fields_start   # where the first field line begins
    int64_t length          # Content-Length; the largest number for any that does not fit
    # Where to go on when more bytes have come:
    uint32_t line_start     # start of the line that is not complete
    uint32_t scanned        # first byte of it that nobody has looked at
    uint32_t line_count     # complete lines so far
    uint32_t blank_count    # empty lines before the request line


cdef int parse_head(const char *data, size_t size, Head *head,
                    const HeadLimits *limits) noexcept nogil
cdef Span read_field(const char *data, uint32_t *at, Span *name) noexcept nogil
