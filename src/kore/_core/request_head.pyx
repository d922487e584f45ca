# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""The head of a request: names and values stay spans of the received bytes until they are read."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeLatin1
from libc.stdint cimport uint32_t

from kore._core.grammar cimport HOST_SIZE_MAX, PORT_SIZE_MAX, equals_word, normalize_path
from kore._core.parser cimport ASTERISK_FORM, CHUNKED, PATH_ESCAPED, find_offending, read_field


cdef class RequestHead:
    """The head of a request, as text."""

    def __cinit__(self):
        # What a request has until its connection gives it more: never a null pointer.
        self.raw = b"\r\n\r\n"

    cdef str decode_span(self, Span span):
        # Bytes over 0x7f may stand in field values and mean what they like (RFC 9110 5.5).
        return PyUnicode_DecodeLatin1(PyBytes_AS_STRING(self.raw) + span.start, span.size, NULL)

    cdef bint find_field(self, const char *name, size_t length, Span *value) noexcept:
        """Find the first field of this (lower-case) name; False: there is none."""
        cdef const char *raw = PyBytes_AS_STRING(self.raw)
        cdef uint32_t at = self.head.fields_start
        cdef Span found
        while True:
            value[0] = read_field(raw, &at, &found)
            if found.size == 0:
                return False
            if equals_word(raw + found.start, found.size, name, length):
                return True

    cdef bint has_body(self) noexcept:
        return self.head.length > 0 or self.head.flags & CHUNKED

    cdef bytes quote_head(self, int reason):
        """Return the bytes of the head to quote in the log when it is refused."""
        cdef Span quote = find_offending(
            PyBytes_AS_STRING(self.raw), PyBytes_GET_SIZE(self.raw), &self.head, reason)
        return self.raw[quote.start:quote.start + quote.size]

    @property
    def method(self):
        """The method as one of the HTTP_METHOD_ numbers."""
        return <int>self.head.method

    @property
    def method_name(self):
        """The method as it was sent."""
        return self.decode_span(self.head.method_name)

    @property
    def raw_target(self):
        """The target of the request as it was sent, as bytes."""
        return self.raw[self.head.target.start:self.head.target.start + self.head.target.size]

    def raw_fields(self):
        """Return all fields as pairs of bytes, names in lower case, in order, repeats kept."""
        cdef list found = []
        cdef Span name, value
        cdef uint32_t at = self.head.fields_start
        while True:
            value = read_field(PyBytes_AS_STRING(self.raw), &at, &name)
            if name.size == 0:
                return found
            found.append((self.raw[name.start:name.start + name.size].lower(),
                          self.raw[value.start:value.start + value.size]))

    @property
    def path(self):
        """The path in its normal form, without the query; `*` for `OPTIONS *`."""
        cdef Span path = self.head.path
        if self.path_text is None:
            if self.head.flags & ASTERISK_FORM:
                self.path_text = "*"
            elif self.head.flags & PATH_ESCAPED:
                self.path_text = normalize_path(PyBytes_AS_STRING(self.raw) + path.start, path.size)
            else:
                self.path_text = self.decode_span(path) or "/"
        return self.path_text

    @property
    def query_string(self):
        """What follows the question mark, as it was sent; empty when nothing does."""
        return self.decode_span(self.head.query)

    @property
    def host(self):
        """The host that was asked for, with its port if it was sent."""
        return self.decode_span(self.head.host)

    @property
    def bare_host(self):
        """The host in lower case, without its port and the dot of the root.

        Empty when an HTTP/1.0 client named none.
        """
        return self.get_bare_host()

    cdef str get_bare_host(self):
        # Asked for every request, hence without a str on the way.
        cdef const char *host = PyBytes_AS_STRING(self.raw) + self.head.host.start
        cdef char low[HOST_SIZE_MAX + PORT_SIZE_MAX]
        cdef uint32_t size = self.head.host.size
        cdef uint32_t i
        for i in range(size):
            low[i] = host[i] | 0x20 if c"A" <= host[i] <= c"Z" else host[i]
        i = size
        while i and c"0" <= low[i - 1] <= c"9":
            i -= 1
        if i and low[i - 1] == c":":
            size = i - 1
        if size > 1 and low[size - 1] == c".":
            size -= 1
        return PyUnicode_DecodeLatin1(low, size, NULL)

    @property
    def is_star(self):
        """True for `OPTIONS *`, which asks about the server, not about a path."""
        return bool(self.head.flags & ASTERISK_FORM)

    @property
    def protocol(self):
        """`http` or `https`."""
        return "http"

    @property
    def http_version(self):
        """The version of HTTP the client speaks: `1.0`, or `1.1` for that and everything newer."""
        return "1.1" if self.head.minor else "1.0"

    @property
    def agent(self):
        """The User-Agent, or None."""
        return self.request_header("user-agent")

    def request_header(self, str name not None):
        """Return the first field of that name (in any case), or None."""
        cdef bytes wanted = name.lower().encode("latin-1", "replace")
        cdef Span value
        if wanted == b"host":       # the target's, where it names one: RFC 9112 3.2.2
            return self.host or None
        if not self.find_field(PyBytes_AS_STRING(wanted), len(wanted), &value):
            return None
        return self.decode_span(value)

    @property
    def is_conditional(self):
        """True when a precondition or a range is among the fields: RFC 9110 13.1, 14.2."""
        cdef const char *raw = PyBytes_AS_STRING(self.raw)
        cdef uint32_t at = self.head.fields_start
        cdef Span name
        while True:
            read_field(raw, &at, &name)
            if name.size == 0:
                return False
            if equals_word(raw + name.start, min(name.size, 3), b"if-", 3):
                return True
            if equals_word(raw + name.start, name.size, b"range", 5):
                return True

    def header_values(self, str name not None):
        """Return all fields of that name (in any case), in order."""
        cdef bytes wanted = name.lower().encode("latin-1", "replace")
        cdef list values = []
        cdef Span key, value
        cdef uint32_t at = self.head.fields_start
        if wanted == b"host":       # as above: the field's own may name another
            return [self.host] if self.head.host.size else []
        while True:
            value = read_field(PyBytes_AS_STRING(self.raw), &at, &key)
            if key.size == 0:
                return values
            if equals_word(PyBytes_AS_STRING(self.raw) + key.start, key.size,
                           PyBytes_AS_STRING(wanted), len(wanted)):
                values.append(self.decode_span(value))

    def headers(self):
        """Return all fields by lower-case name, `host` first; the last of a repeated one wins."""
        cdef dict found = {}
        cdef Span name, value
        cdef uint32_t at = self.head.fields_start
        if self.head.host.size:
            found["host"] = self.host
        while True:
            value = read_field(PyBytes_AS_STRING(self.raw), &at, &name)
            if name.size == 0:
                return found
            key = self.decode_span(name).lower()
            if key != "host":
                found[key] = self.decode_span(value)
