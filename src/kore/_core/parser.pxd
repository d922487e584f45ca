"""The head of a request, as spans of the buffer it was received into; see parser.pyx."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t

from kore._core.grammar cimport Span


cdef enum Method:
    UNKNOWN = 0         # any other token
    GET = 1
    POST = 2
    PUT = 4
    DELETE = 16
    HEAD = 32
    OPTIONS = 64
    PATCH = 128


cdef enum HeadFlag:
    HOST_SEEN = 1
    ABSOLUTE_FORM = 2           # the target has an authority of its own, which overrides Host
    HTTPS_SCHEME = 4            # the target is in absolute form, with the scheme https
    ASTERISK_FORM = 8           # the target is "*", for OPTIONS
    PATH_ESCAPED = 16           # the path has escapes, or characters that need one
    LENGTH_SEEN = 32            # there is a Content-Length
    CODING_SEEN = 64            # there is a Transfer-Encoding
    CODING_UNSUPPORTED = 128    # Transfer-Encoding names a coding other than chunked
    CHUNKED = 256               # chunked is the last transfer coding
    CLOSE = 512                 # Connection: close
    EXPECT_CONTINUE = 1024      # Expect: 100-continue
    EXPECT_OTHER = 2048         # Expect has any other value
    METHOD_REFUSED = 4096       # the method is not one of `Method`, and others are not accepted


cdef enum:
    QUOTE_SIZE_MAX = 64         # bytes of malformed input that are quoted in the log


cdef struct HeadLimits:
    uint32_t head           # bytes of request line, fields and the empty line
    uint32_t line           # bytes of the request line
    uint32_t fields         # number of fields
    bint any_method         # accept methods besides those of `Method`, as UNKNOWN


cdef struct Head:
    Method method
    uint8_t minor           # of HTTP/1.x: 0, or 1 for all later ones
    uint16_t flags          # HeadFlag
    Span method_name
    Span target
    Span path               # empty for "/"
    Span query              # without the question mark
    Span host               # with its port; from the target, else from Host
    uint32_t fields_start   # where the first field line begins
    int64_t length          # Content-Length; INT64_MAX for numbers that do not fit
    # Where to go on when more bytes have been received:
    uint32_t line_start     # start of the first incomplete line
    uint32_t scanned        # its first byte that was not checked yet
    uint32_t line_count     # complete lines so far
    uint32_t blank_count    # empty lines before the request line


cdef int parse_head(const char *data, size_t size, Head *head,
                    const HeadLimits *limits) noexcept nogil
cdef Span find_offending(const char *data, size_t size, const Head *head,
                         int reason) noexcept nogil
cdef Span read_field(const char *data, uint32_t *at, Span *name) noexcept nogil
