# cython: language_level=3, boundscheck=False, wraparound=False
"""Parse request heads: bytes in, spans out. No I/O, no allocation, no Python objects.

`parse_head` is called with all bytes received so far, again and again until it returns something
other than 0. It is incremental: `Head.line_start` and `Head.scanned` say how far it came, so each
byte is looked at once, however slowly a client sends.

RFC 9112 is read strictly: a line ends in CR LF, a field name is followed directly by its colon,
there is one Host, and a body is framed by Content-Length or by chunked, never by both. Input that
two implementations could read in two ways is refused, because that difference is what request
smuggling is made of. The reasons for a refusal are numbers of `refusals.pxd`.
"""

from libc.stdint cimport INT64_MAX
from libc.string cimport memcmp

from kore._core.grammar cimport (
    CHAR_CLASS, FIELD_TEXT, PATH, REQUEST_LINE, TARGET, TCHAR, all_in_class, equals_word,
    is_percent_escape, is_valid_host, read_list_element)
from kore._core.refusals cimport (
    REFUSE_ASTERISK, REFUSE_BACKSLASH, REFUSE_BARE_CR, REFUSE_BARE_LF, REFUSE_BLANK_LINES,
    REFUSE_CHUNKED_MISSING, REFUSE_CHUNKED_REPEATED, REFUSE_CODING, REFUSE_CODING_LIST,
    REFUSE_CODING_VERSION, REFUSE_ESCAPE, REFUSE_EXPECTATION, REFUSE_FIELD_CHARACTER,
    REFUSE_FIELD_COUNT, REFUSE_FIELD_FOLDED, REFUSE_FIELD_NAME, REFUSE_HEAD_SIZE,
    REFUSE_HOST_MISSING, REFUSE_HOST_REPEATED, REFUSE_HOST_VALUE, REFUSE_LENGTH_AND_CODING,
    REFUSE_LENGTH_REPEATED, REFUSE_LENGTH_VALUE, REFUSE_LINE_CHARACTER, REFUSE_LINE_SIZE,
    REFUSE_MAJOR_VERSION, REFUSE_METHOD, REFUSE_METHOD_NAME, REFUSE_PROTOCOL,
    REFUSE_TARGET_CHARACTER, REFUSE_TARGET_FORM, REFUSE_TARGET_HOST, REFUSE_TARGET_MISSING,
    REFUSE_TLS, REFUSE_VERSION_MISSING)

cdef enum:
    BLANK_LINES_MAX = 2     # before a request; RFC 9112 section 2.2 asks for at least one
    TLS_HANDSHAKE = 22      # content type of a TLS client's first record, RFC 8446 section 5.1


cdef int parse_head(const char *data, size_t size, Head *head,
                    const HeadLimits *limits) noexcept nogil:
    """Return the size of a complete head, 0 if it is incomplete, or minus the reason to refuse it.

    Zero *head* before the first call, and pass it again, with all bytes so far, after a 0.
    RFC 9112 section 2.1:
      HTTP-message = start-line CRLF *( field-line CRLF ) CRLF [ message-body ]
    """
    cdef int result
    cdef uint32_t end = 0
    while True:
        result = find_line_end(data, size, head, limits, &end)
        if result <= 0:
            return result
        if head.line_count:
            if end == head.line_start:
                result = check_head(head)
                return result if result < 0 else <int>end + 2
            result = parse_field_line(data, head, end, limits)
        elif end > head.line_start:
            result = parse_request_line(data, head, end, limits)
        elif head.blank_count == BLANK_LINES_MAX:
            return -REFUSE_BLANK_LINES
        else:
            head.blank_count += 1
        if result < 0:
            return result
        head.line_count += end > head.line_start
        head.line_start = head.scanned = end + 2
        if head.line_count == 1:
            head.fields_start = head.line_start


cdef int find_line_end(const char *data, size_t size, Head *head, const HeadLimits *limits,
                       uint32_t *end) noexcept nogil:
    # Return 1 and the position of a line's CR LF, 0 if it is incomplete, or minus a reason.
    cdef size_t i = head.scanned
    cdef size_t stop = min(size, <size_t>limits.head)
    cdef unsigned char allowed = FIELD_TEXT if head.line_count else REQUEST_LINE
    if not head.line_count:
        stop = min(stop, <size_t>head.line_start + limits.line + 1)
    while i < stop and CHAR_CLASS[<unsigned char>data[i]] & allowed:
        i += 1
    head.scanned = <uint32_t>i
    if not head.line_count and i - head.line_start > limits.line:
        return -REFUSE_LINE_SIZE
    if i == stop:
        return -REFUSE_HEAD_SIZE if stop == limits.head else 0
    if data[i] != c"\r":
        return -character_reason(data, i, head)
    if i + 2 > limits.head:
        return -REFUSE_HEAD_SIZE
    if i + 1 == size:
        return 0
    end[0] = <uint32_t>i
    return 1 if data[i + 1] == c"\n" else -REFUSE_BARE_CR


cdef int character_reason(const char *data, size_t at, Head *head) noexcept nogil:
    # the reason to refuse the byte at *at*, which cannot be part of a line
    if data[at] == c"\n":
        return REFUSE_BARE_LF
    if head.line_count:
        return REFUSE_FIELD_CHARACTER
    if data[at] == TLS_HANDSHAKE and at == head.line_start:
        return REFUSE_TLS
    return REFUSE_LINE_CHARACTER


cdef int parse_request_line(const char *data, Head *head, uint32_t end,
                            const HeadLimits *limits) noexcept nogil:
    # RFC 9112 section 3:
    #   request-line = method SP request-target SP HTTP-version
    #   method       = token
    # RFC 9112 section 2.3:
    #   HTTP-version = HTTP-name "/" DIGIT "." DIGIT
    cdef uint32_t start = head.line_start
    cdef uint32_t at = start
    cdef const char *version = data + end - 8
    while at < end and CHAR_CLASS[<unsigned char>data[at]] & TCHAR:
        at += 1
    if at == start or data[at] != c" ":
        return -REFUSE_METHOD_NAME
    if end - at < 9 or data[end - 9] != c" " or not is_version(version):
        return -REFUSE_VERSION_MISSING
    if end - at < 11:
        return -REFUSE_TARGET_MISSING
    head.method_name = Span(start, at - start)
    head.method = find_method(data + start, at - start)
    head.target = Span(at + 1, end - 9 - at - 1)
    head.minor = version[7] != c"0"
    if not all_in_class(data + head.target.start, head.target.size, TARGET):
        return -REFUSE_TARGET_CHARACTER
    if version[5] != c"1":
        return -REFUSE_PROTOCOL if head.method == UNKNOWN else -REFUSE_MAJOR_VERSION
    if head.method == UNKNOWN and not (
            limits.any_method and is_method_for_servers(data + start, at - start)):
        head.flags |= METHOD_REFUSED        # once the head is complete
        return 0
    return parse_target(data, head)


cdef bint is_method_for_servers(const char *name, size_t size) noexcept nogil:
    # CONNECT is for proxies, with a target in authority-form: RFC 9110 section 9.3.6.
    return size != 7 or memcmp(name, b"CONNECT", 7) != 0


cdef bint is_version(const char *version) noexcept nogil:
    return (not memcmp(version, b"HTTP/", 5) and version[6] == c"."
            and c"0" <= version[5] <= c"9" and c"0" <= version[7] <= c"9")


cdef Method find_method(const char *name, size_t size) noexcept nogil:
    if size == 3:
        if not memcmp(name, b"GET", 3):
            return GET
        if not memcmp(name, b"PUT", 3):
            return PUT
    elif size == 4:
        if not memcmp(name, b"POST", 4):
            return POST
        if not memcmp(name, b"HEAD", 4):
            return HEAD
    elif size == 5 and not memcmp(name, b"PATCH", 5):
        return PATCH
    elif size == 6 and not memcmp(name, b"DELETE", 6):
        return DELETE
    elif size == 7 and not memcmp(name, b"OPTIONS", 7):
        return OPTIONS
    return UNKNOWN


cdef int parse_target(const char *data, Head *head) noexcept nogil:
    # RFC 9112 section 3.2, without the authority-form of CONNECT:
    #   request-target = origin-form / absolute-form / authority-form / asterisk-form
    #   origin-form    = absolute-path [ "?" query ]
    #   absolute-form  = absolute-URI
    #   asterisk-form  = "*"
    cdef const char *target = data + head.target.start
    cdef uint32_t size = head.target.size
    cdef uint32_t skip = 0
    if target[0] == c"*":
        head.flags |= ASTERISK_FORM
        return 0 if size == 1 and head.method == OPTIONS else -REFUSE_ASTERISK
    if target[0] != c"/":
        if size > 7 and equals_word(target, 4, b"http", 4) and not memcmp(target + 4, b"://", 3):
            skip = 7
        elif size > 8 and equals_word(target, 5, b"https", 5) and not memcmp(target + 5, b"://", 3):
            skip = 8
            head.flags |= HTTPS_SCHEME
        else:
            return -REFUSE_TARGET_FORM
        head.flags |= ABSOLUTE_FORM
        head.host.start = head.target.start + skip
        while skip < size and target[skip] != c"/" and target[skip] != c"?":
            skip += 1
        head.host.size = head.target.start + skip - head.host.start
        if not is_valid_host(data + head.host.start, head.host.size):
            return -REFUSE_TARGET_HOST
    return parse_path(data, head, head.target.start + skip)


cdef int parse_path(const char *data, Head *head, uint32_t at) noexcept nogil:
    # The path, up to a question mark, and the query.
    cdef uint32_t end = head.target.start + head.target.size
    head.path.start = at
    while at < end and data[at] != c"?":
        if not CHAR_CLASS[<unsigned char>data[at]] & PATH:
            if data[at] == c"\\":
                return -REFUSE_BACKSLASH
            if data[at] == c"%" and not is_percent_escape(data + at, end - at):
                return -REFUSE_ESCAPE
            head.flags |= PATH_ESCAPED
        at += 1
    head.path.size = at - head.path.start
    if at < end:
        head.query = Span(at + 1, end - at - 1)
    return 0


cdef int parse_field_line(const char *data, Head *head, uint32_t end,
                          const HeadLimits *limits) noexcept nogil:
    # RFC 9112 section 5:
    #   field-line = field-name ":" OWS field-value OWS
    #   field-name = token
    # A line that begins with white space continues the one before (obs-fold); it is refused.
    cdef uint32_t at = head.line_start
    cdef const char *name = data + at
    cdef uint32_t size
    cdef bint folded
    while at < end and CHAR_CLASS[<unsigned char>data[at]] & TCHAR:
        at += 1
    size = at - head.line_start
    if size == 0 or at == end or data[at] != c":":
        folded = size == 0 and (name[0] == c" " or name[0] == c"\t")
        return -REFUSE_FIELD_FOLDED if folded else -REFUSE_FIELD_NAME
    if head.line_count > limits.fields:
        return -REFUSE_FIELD_COUNT
    at += 1
    while at < end and (data[at] == c" " or data[at] == c"\t"):
        at += 1
    while end > at and (data[end - 1] == c" " or data[end - 1] == c"\t"):
        end -= 1
    if size == 4 and equals_word(name, size, b"host", 4):
        return parse_host(data, head, Span(at, end - at))
    if size == 6 and equals_word(name, size, b"expect", 6):
        head.flags |= (EXPECT_CONTINUE if equals_word(data + at, end - at, b"100-continue", 12)
                       else EXPECT_OTHER)
    elif size == 10 and equals_word(name, size, b"connection", 10):
        parse_connection(data + at, end - at, head)
    elif size == 14 and equals_word(name, size, b"content-length", 14):
        return parse_length(data + at, end - at, head)
    elif size == 17 and equals_word(name, size, b"transfer-encoding", 17):
        return parse_codings(data + at, end - at, head)
    return 0


cdef int parse_host(const char *data, Head *head, Span value) noexcept nogil:
    if head.flags & HOST_SEEN:
        return -REFUSE_HOST_REPEATED
    if not is_valid_host(data + value.start, value.size):
        return -REFUSE_HOST_VALUE
    head.flags |= HOST_SEEN
    if not head.flags & ABSOLUTE_FORM:
        head.host = value
    return 0


cdef int parse_length(const char *value, size_t size, Head *head) noexcept nogil:
    # RFC 9110 section 8.6:
    #   Content-Length = 1*DIGIT
    # Accepted once only. RFC 9110 allows a list of equal numbers to be accepted; other
    # implementations may read such a list differently.
    cdef size_t i
    cdef int64_t length = 0
    if head.flags & LENGTH_SEEN:
        return -REFUSE_LENGTH_REPEATED
    if size == 0:
        return -REFUSE_LENGTH_VALUE
    for i in range(size):
        if not c"0" <= value[i] <= c"9":
            return -REFUSE_LENGTH_VALUE
        if length > (INT64_MAX - 9) // 10:
            length = INT64_MAX      # larger than any limit; it stays so, whatever digits follow
        else:
            length = length * 10 + (value[i] - c"0")
    head.flags |= LENGTH_SEEN
    head.length = length
    return 0


cdef void parse_connection(const char *value, size_t size, Head *head) noexcept nogil:
    # RFC 9110 section 7.6.1:
    #   Connection        = #connection-option
    #   connection-option = token
    cdef size_t at = 0
    cdef Span option
    while at <= size:
        at = read_list_element(value, size, at, &option)
        if equals_word(value + option.start, option.size, b"close", 5):
            head.flags |= CLOSE


cdef int parse_codings(const char *value, size_t size, Head *head) noexcept nogil:
    # RFC 9112 section 6.1:
    #   Transfer-Encoding = #transfer-coding
    # Over all lines, chunked must be there once, and last (section 6.3).
    cdef size_t at = 0
    cdef Span coding
    while at <= size:
        at = read_list_element(value, size, at, &coding)
        if coding.size == 0:
            return -REFUSE_CODING_LIST
        if head.flags & CHUNKED:
            return -REFUSE_CHUNKED_REPEATED
        head.flags |= CODING_SEEN
        if equals_word(value + coding.start, coding.size, b"chunked", 7):
            head.flags |= CHUNKED
        else:
            head.flags |= CODING_UNSUPPORTED
    return 0


cdef int check_head(Head *head) noexcept nogil:
    # What can be checked only when all fields are known.
    if head.minor and not head.flags & HOST_SEEN:
        return -REFUSE_HOST_MISSING
    if head.flags & CODING_SEEN:
        if head.minor == 0:
            return -REFUSE_CODING_VERSION
        if head.flags & LENGTH_SEEN:
            return -REFUSE_LENGTH_AND_CODING
        if not head.flags & CHUNKED:
            return -REFUSE_CHUNKED_MISSING
        if head.flags & CODING_UNSUPPORTED:
            return -REFUSE_CODING
    if head.flags & METHOD_REFUSED:
        return -REFUSE_METHOD
    if head.minor and head.flags & EXPECT_OTHER:
        return -REFUSE_EXPECTATION
    return 0


cdef Span find_offending(const char *data, size_t size, const Head *head,
                         int reason) noexcept nogil:
    """Return the bytes of a refused head to quote in the log, at most QUOTE_SIZE_MAX.

    They are the beginning of the line that breaks the rule, or its part up to a character that is
    not allowed. Where no single line breaks it, they are the request line. Of a field that holds
    credentials only the name is quoted.
    """
    cdef size_t start = head.line_start
    cdef size_t last = start            # the byte that must be among them
    cdef size_t end
    if start < size and data[start] == c"\r":
        start = 0
        while start < size and (data[start] == c"\r" or data[start] == c"\n"):
            start += 1
        last = start
    elif head.line_count and is_secret_field(data + start, size - start):
        last = start
        while data[last] != c":":
            last += 1
        return Span(<uint32_t>start, <uint32_t>(last + 1 - start))
    elif (reason == REFUSE_BARE_LF or reason == REFUSE_BARE_CR or reason == REFUSE_LINE_CHARACTER
          or reason == REFUSE_FIELD_CHARACTER):
        last = min(<size_t>head.scanned, size - 1)
        if last - start >= QUOTE_SIZE_MAX:
            start = last + 1 - QUOTE_SIZE_MAX
        if data[last] == c"\r" or data[last] == c"\n":
            return Span(<uint32_t>start, <uint32_t>(last + 1 - start))
    end = start
    while end < size and end - start < QUOTE_SIZE_MAX and (
            end <= last or (data[end] != c"\r" and data[end] != c"\n")):
        end += 1
    return Span(<uint32_t>start, <uint32_t>(end - start))


cdef bint is_secret_field(const char *line, size_t size) noexcept nogil:
    # whether a line is one of a field with credentials
    cdef size_t length = 0
    while length < size and CHAR_CLASS[<unsigned char>line[length]] & TCHAR:
        length += 1
    if length == size or line[length] != c":":
        return False
    return (equals_word(line, length, b"authorization", 13)
            or equals_word(line, length, b"cookie", 6)
            or equals_word(line, length, b"proxy-authorization", 19))


cdef Span read_field(const char *data, uint32_t *at, Span *name) noexcept nogil:
    """Return the value of the field line at *at*, set its *name*, and move *at* to the next line.

    The head must have been accepted by `parse_head`. After the last field the name is empty.
    """
    cdef uint32_t i = at[0]
    cdef Span value
    name.start = i
    while data[i] != c":" and data[i] != c"\r":
        i += 1
    name.size = i - name.start
    value.start = value.size = 0
    if name.size == 0:
        return value
    i += 1
    while data[i] == c" " or data[i] == c"\t":
        i += 1
    value.start = i
    while data[i] != c"\r":
        i += 1
    at[0] = i + 2
    while i > value.start and (data[i - 1] == c" " or data[i - 1] == c"\t"):
        i -= 1
    value.size = i - value.start
    return value
