# cython: language_level=3, boundscheck=False, wraparound=False
"""Character classes and small rules of the HTTP and URI grammars (RFC 9110, 9112, 3986).

Each rule stands under its text in the RFC. The classes are made from it once, into a table with
one byte per character (`CHAR_CLASS`), so that a parser needs one look-up for each byte of input.
Where a rule here is stricter than the RFC's, the comment says why.
"""

from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.unicode cimport PyUnicode_DecodeLatin1

# RFC 5234 appendix B.1:
#   ALPHA  = %x41-5A / %x61-7A
#   DIGIT  = %x30-39
#   HEXDIG = DIGIT / "A" / "B" / "C" / "D" / "E" / "F"
#   VCHAR  = %x21-7E
cdef str DIGIT = "0123456789"
cdef str ALPHA = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
cdef str HEXDIG = DIGIT + "ABCDEFabcdef"
cdef str VCHAR = "".join([chr(c) for c in range(0x21, 0x7F)])

# RFC 9110 section 5.6.2, of field names and methods:
#   token = 1*tchar
#   tchar = "!" / "#" / "$" / "%" / "&" / "'" / "*" / "+" / "-" / "." /
#           "^" / "_" / "`" / "|" / "~" / DIGIT / ALPHA
cdef str TCHAR_SET = "!#$%&'*+-.^_`|~" + DIGIT + ALPHA

# RFC 9110 section 5.5:
#   field-content = field-vchar [ 1*( SP / HTAB / field-vchar ) field-vchar ]
#   field-vchar   = VCHAR / obs-text
#   obs-text      = %x80-FF
cdef str FIELD_TEXT_SET = "\t " + VCHAR + "".join([chr(c) for c in range(0x80, 0x100)])

# RFC 9112 section 3:
#   request-line = method SP request-target SP HTTP-version
cdef str REQUEST_LINE_SET = " " + VCHAR

# RFC 9112 section 3.2; none of its four forms has a fragment, which RFC 9110 section 7.1 excludes.
# VCHAR beyond the URI's own characters is accepted, as browsers send it.
cdef str TARGET_SET = VCHAR.replace("#", "")

# RFC 3986 section 3.2.2:
#   reg-name   = *( unreserved / pct-encoded / sub-delims )
#   unreserved = ALPHA / DIGIT / "-" / "." / "_" / "~"
#   sub-delims = "!" / "$" / "&" / "'" / "(" / ")" / "*" / "+" / "," / ";" / "="
# Without pct-encoded, because DNS knows no such names, and without the comma, because
# intermediaries join repeated fields with it: "a, b" would be two hosts.
cdef str REG_NAME_SET = ALPHA + DIGIT + "-._~" + "!$&'()*+;="

# RFC 3986 section 3.2.2; an address between the brackets is not parsed, only its characters are
# checked:
#   IP-literal  = "[" ( IPv6address / IPvFuture  ) "]"
#   IPvFuture   = "v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" )
cdef str IP_LITERAL_SET = HEXDIG + ":."

# RFC 3986 section 3.3, and the URL standard for the rest:
#   pchar = unreserved / pct-encoded / sub-delims / ":" / "@"
# A percent sign begins an escape, a question mark the query.
cdef str PATH_SET = "".join([c for c in VCHAR if c not in "\"#%<>?\\^`{}"])

cdef const char *HEX_DIGITS = b"0123456789ABCDEF"


cdef int fill_char_classes() except -1:
    cdef str text
    cdef Py_UCS4 c
    cdef unsigned char char_class
    for c in range(256):
        CHAR_CLASS[c] = 0
    for char_class, text in (
            (TCHAR, TCHAR_SET), (FIELD_TEXT, FIELD_TEXT_SET), (REQUEST_LINE, REQUEST_LINE_SET),
            (TARGET, TARGET_SET), (REG_NAME, REG_NAME_SET), (IP_LITERAL, IP_LITERAL_SET),
            (PATH, PATH_SET)):
        for c in text:
            CHAR_CLASS[<unsigned char>c] |= char_class
    return 0


fill_char_classes()


cdef bint all_in_class(const char *data, size_t size, unsigned char classes) noexcept nogil:
    """Return whether every byte is of one of these classes."""
    cdef size_t i
    for i in range(size):
        if not CHAR_CLASS[<unsigned char>data[i]] & classes:
            return False
    return True


cdef bint is_token(const char *data, size_t size) noexcept nogil:
    """Return whether the bytes are a token, as a field name must be (RFC 9110 section 5.6.2)."""
    return size > 0 and all_in_class(data, size, TCHAR)


cdef bint is_field_value(const char *data, size_t size) noexcept nogil:
    """Return whether the bytes can be a field value (RFC 9110 section 5.5)."""
    return all_in_class(data, size, FIELD_TEXT)


cdef bint equals_word(const char *data, size_t size, const char *word,
                      size_t length) noexcept nogil:
    """Compare without regard to case; *word* must be in lower case."""
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
    """Return the value of a hexadecimal digit of either case, or -1."""
    if c"0" <= c <= c"9":
        return c - c"0"
    c |= 0x20
    if c"a" <= c <= c"f":
        return c - c"a" + 10
    return -1


cdef bint is_percent_escape(const char *data, size_t size) noexcept nogil:
    """Return whether the bytes begin with an escape, other than that of the zero byte.

    RFC 3986 section 2.1: pct-encoded = "%" HEXDIG HEXDIG
    """
    if (size < 3 or data[0] != c"%" or parse_hex_digit(data[1]) < 0
            or parse_hex_digit(data[2]) < 0):
        return False
    return data[1] != c"0" or data[2] != c"0"


cdef str normalize_path(const char *path, size_t size):
    """Return the normal form of a path (RFC 3986 section 6.2.2).

    Each percent sign in *path* must begin a valid escape. A character of the class PATH is not
    escaped, whichever way it was sent, except for an escaped slash, which does not separate
    segments. Everything else is escaped, with digits in upper case. So there is one spelling for
    each sequence of bytes.
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
        if CHAR_CLASS[c] & PATH and not (escaped and c == c"/"):
            normal[used] = <char>c
            used += 1
            continue
        normal[used] = c"%"
        normal[used + 1] = HEX_DIGITS[c >> 4]
        normal[used + 2] = HEX_DIGITS[c & 15]
        used += 3
    try:
        return PyUnicode_DecodeLatin1(normal, used, NULL)
    finally:
        PyMem_Free(normal)


cdef bint is_valid_host(const char *host, size_t size) noexcept nogil:
    """Return whether the bytes are a host with an optional port.

    RFC 9110 section 7.2:      Host = uri-host [ ":" port ]
    RFC 3986 section 3.2.2:    host = IP-literal / IPv4address / reg-name
    RFC 3986 section 3.2.3:    port = *DIGIT
    """
    cdef size_t at = 0
    cdef unsigned char classes = IP_LITERAL
    if size and host[0] == c"[":
        at = 1
        if size > 1 and (host[1] | 0x20) == c"v":       # IPvFuture
            classes = REG_NAME | IP_LITERAL
        while at < size and (CHAR_CLASS[<unsigned char>host[at]] & classes
                             or (host[at] == c"," and classes & REG_NAME)):
            at += 1
        if at < 3 or at == size or host[at] != c"]":
            return False
        at += 1
    else:
        while at < size and CHAR_CLASS[<unsigned char>host[at]] & REG_NAME:
            at += 1
    if at == 0 or at > HOST_SIZE_MAX:
        return False
    return at == size or is_valid_port(host + at, size - at)


cdef bint is_valid_port(const char *text, size_t size) noexcept nogil:
    # a colon and a number up to 65535, which may be missing
    cdef unsigned long port = 0
    cdef size_t i
    if text[0] != c":" or size > PORT_SIZE_MAX:
        return False
    for i in range(1, size):
        if not c"0" <= text[i] <= c"9":
            return False
        port = port * 10 + (text[i] - c"0")
    return port <= PORT_MAX


cdef size_t read_list_element(const char *value, size_t size, size_t at,
                              Span *element) noexcept nogil:
    """Find the element of a comma-separated list that begins at *at*, without blanks around it.

    Return where the next one begins: after the last, *size* + 1.
    RFC 9110 section 5.6.1: #element => [ element ] *( OWS "," OWS [ element ] )
    """
    cdef size_t end = at
    while end < size and value[end] != c",":
        end += 1
    element.start = <uint32_t>at
    element.size = <uint32_t>(end - at)
    while element.size and (value[element.start] == c" " or value[element.start] == c"\t"):
        element.start += 1
        element.size -= 1
    while element.size and (value[element.start + element.size - 1] == c" "
                            or value[element.start + element.size - 1] == c"\t"):
        element.size -= 1
    return end + 1
