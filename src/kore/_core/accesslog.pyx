# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""Format one line for each exchange, and write it to a log file.

An `AccessLog` has a format, a list of parts: literal text and variables. The format is parsed in
Python (`_values/accesslog_format.py`); here it is applied to a `LogEntry`, without Python objects,
because that happens for every request. Everything that a client chose is escaped, so that it can
neither end a quoted string nor begin another line.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdio cimport snprintf
from libc.stdlib cimport free, malloc
from libc.string cimport memchr, memcpy, memset, strlen

from kore._core.accesslog_format cimport (
    cut_query, find_first_line, format_octet, is_plain_text)
from kore._core.buffer cimport Buffer, append_bytes, buffered_size
from kore._core.format cimport MONTH_NAMES, append_decimal
from kore._core.grammar cimport equals_word
from kore._core.libc cimport (
    AF_INET, AF_INET6, CLOCK_REALTIME_COARSE, clock_gettime, inet_ntop, localtime_r, ntohs,
    sockaddr, sockaddr_in, sockaddr_in6, time, time_t, timespec, tm, tzset)
from kore._core.parser cimport ASTERISK_FORM, read_field
from kore._core.refusals cimport refusal_text
from kore._core.tls_layer cimport TlsLayer

cdef enum PartKind:         # in groups, which `append_part` tells apart by their limits
    LITERAL
    FIELD
    # time
    MSEC
    TIME_ISO
    TIME_LOCAL
    # counts
    BODY_BYTES_SENT
    BYTES_SENT
    REQUEST_LENGTH
    REQUEST_TIME
    STATUS
    # the client
    REMOTE_ADDR
    REMOTE_PORT
    # the request
    ARGS
    HOST
    METHOD
    PROTOCOL
    REQUEST
    REQUEST_NO_ARGS
    REQUEST_URI
    URI
    # TLS
    SCHEME
    TLS_CIPHER
    TLS_CLIENT_CN
    TLS_PROTOCOL
    TLS_SERVER_NAME
    # the outcome
    COMPLETION
    REFUSAL


# nginx's names, but for request_no_args, refusal and ssl_client_cn.
VARIABLES = {
    "args": ARGS,
    "body_bytes_sent": BODY_BYTES_SENT,
    "bytes_sent": BYTES_SENT,
    "host": HOST,
    "msec": MSEC,
    "query_string": ARGS,
    "refusal": REFUSAL,
    "remote_addr": REMOTE_ADDR,
    "remote_port": REMOTE_PORT,
    "request": REQUEST,
    "request_completion": COMPLETION,
    "request_length": REQUEST_LENGTH,
    "request_method": METHOD,
    "request_no_args": REQUEST_NO_ARGS,
    "request_time": REQUEST_TIME,
    "request_uri": REQUEST_URI,
    "scheme": SCHEME,
    "server_protocol": PROTOCOL,
    "ssl_cipher": TLS_CIPHER,
    "ssl_client_cn": TLS_CLIENT_CN,
    "ssl_protocol": TLS_PROTOCOL,
    "ssl_server_name": TLS_SERVER_NAME,
    "status": STATUS,
    "time_iso8601": TIME_ISO,
    "time_local": TIME_LOCAL,
    "uri": URI,
}

cdef const char *HEX_DIGITS = b"0123456789ABCDEF"
cdef unsigned char PLAIN[256]       # bytes that are not escaped, in a quoted string and in JSON


cdef void fill_plain() noexcept:
    cdef int i
    for i in range(256):
        PLAIN[i] = 0x20 <= i < 0x7F and i != c'"' and i != c"\\"


fill_plain()
tzset()


cdef class AccessLog:
    """The access log of a domain: a format, and the file its lines are written to.

    *parts* are pairs (variable, text). The variable is None for literal text, a name of
    `VARIABLES`, or "http" for the header field that the text names in lower case. *json* selects
    JSON's escapes, and an empty string, not a dash, for a value that a request does not have.
    Raises ValueError if there are too many header fields.
    """

    def __cinit__(self, LogFile file not None, parts, *, bint json=False):
        cdef int i
        self.file = file
        self.json = json
        self.second = -1
        self.literals = b"".join([text for variable, text in parts if variable is None])
        self.names = list(dict.fromkeys([text for variable, text in parts if variable == "http"]))
        if len(self.names) > FIELD_COUNT_MAX:
            raise ValueError(f"{len(self.names)} header fields, {FIELD_COUNT_MAX} at most")
        self.part_count = len(parts)
        self.parts = <FormatPart *>malloc(max(self.part_count, 1) * sizeof(FormatPart))
        if self.parts == NULL:
            raise MemoryError
        start = 0
        for i, (variable, text) in enumerate(parts):
            if variable is None:
                self.parts[i] = FormatPart(LITERAL, start, len(text))
                start += len(text)
            elif variable == "http":
                self.parts[i] = FormatPart(FIELD, self.names.index(text), 0)
            else:
                self.parts[i] = FormatPart(VARIABLES[variable], 0, 0)

    def __dealloc__(self):
        free(self.parts)

    cdef int write(self, const LogEntry *entry) except -1:
        """Add a line to the file's buffer; if there is no room for it, count it as lost."""
        cdef Buffer *lines = &self.file.lines
        cdef size_t before = buffered_size(lines)
        if self.file.is_full():
            self.file.lost += 1
            return 0
        try:
            self.append_line(entry)
        except MemoryError:
            lines.end = lines.start + before
            self.file.lost += 1
        return self.file.line_added()

    cdef int append_line(self, const LogEntry *entry) except -1:
        cdef int i
        self.update_time()
        self.find_fields(entry)
        for i in range(self.part_count):
            self.append_part(&self.parts[i], entry)
        return self.append_plain(b"\n", 1)

    cdef int append_part(self, const FormatPart *part, const LogEntry *entry) except -1:
        cdef int kind = part.kind
        if kind == LITERAL:
            return self.append_plain(PyBytes_AS_STRING(self.literals) + part.start, part.size)
        if kind == FIELD:
            return self.append_span(entry, self.values[part.start])
        if kind <= TIME_LOCAL:
            return self.append_time(kind)
        if kind <= STATUS:
            return self.append_count(kind, entry)
        if kind <= REMOTE_PORT:
            return self.append_client(kind, entry.address)
        if kind <= URI:
            return self.append_request_part(kind, entry)
        if kind < COMPLETION:
            return self.append_tls_part(kind, entry)
        if kind == REFUSAL:
            return self.append_refusal(entry.refusal)
        return self.append_plain(b"OK", 2) if entry.complete else self.append_missing()

    cdef int append_time(self, int kind) except -1:
        cdef timespec now
        if kind == TIME_LOCAL:
            return self.append_plain(self.local_time, 26)
        if kind == TIME_ISO:
            return self.append_plain(self.iso_time, 25)
        clock_gettime(CLOCK_REALTIME_COARSE, &now)
        return self.append_seconds(<int64_t>now.tv_sec * 1000 + now.tv_nsec // 1000000)

    cdef int append_count(self, int kind, const LogEntry *entry) except -1:
        if kind == STATUS:
            return self.append_number(entry.status)
        if kind == BODY_BYTES_SENT:
            return self.append_number(entry.body_sent)
        if kind == BYTES_SENT:
            return self.append_number(entry.sent)
        if kind == REQUEST_LENGTH:
            return self.append_number(entry.received)
        return self.append_seconds(entry.duration_ms)

    cdef int append_client(self, int kind, const void *address) except -1:
        cdef const unsigned char *octets
        cdef char text[64]
        cdef int family = (<const sockaddr *>address).sa_family
        cdef int size = 0
        cdef int i
        if family != AF_INET and family != AF_INET6:
            return self.append_missing()
        if kind == REMOTE_PORT:     # at the same offset in both structs
            return self.append_number(ntohs((<const sockaddr_in *>address).sin_port))
        if family == AF_INET6:
            inet_ntop(family, &(<const sockaddr_in6 *>address).sin6_addr, text, sizeof(text))
            return self.append_plain(text, strlen(text))
        octets = <const unsigned char *>&(<const sockaddr_in *>address).sin_addr
        for i in range(4):
            size += format_octet(text + size, octets[i])
        return self.append_plain(text, size - 1)

    cdef int append_request_part(self, int kind, const LogEntry *entry) except -1:
        cdef const Head *head = entry.head
        cdef Span target = head.target
        if kind == REQUEST or kind == REQUEST_NO_ARGS:
            return self.append_request_line(kind, entry)
        if kind == HOST:
            return self.append_span(entry, head.host if entry.accepted else Span(0, 0))
        if target.size == 0:
            return self.append_missing()
        if kind == METHOD:
            return self.append_span(entry, head.method_name)
        if kind == REQUEST_URI:
            return self.append_span(entry, target)
        if kind == PROTOCOL:
            return self.append_span(entry, Span(target.start + target.size + 1, 8))
        if kind == ARGS:
            return self.append_span(entry, head.query)
        return self.append_path(entry)

    cdef int append_tls_part(self, int kind, const LogEntry *entry) except -1:
        cdef TlsLayer tls
        if kind == SCHEME:
            return self.append_plain(b"https", 5 - (entry.tls == NULL))
        if entry.tls == NULL:
            return self.append_missing()
        tls = <TlsLayer>entry.tls
        if kind == TLS_PROTOCOL:
            return self.append_text(tls.version_name)
        if kind == TLS_CIPHER:
            return self.append_text(tls.cipher_name)
        if kind == TLS_CLIENT_CN:
            return self.append_name(tls.client_name)
        return self.append_name(tls.server_name.encode() if tls.server_name else None)

    cdef int append_text(self, const char *text) except -1:
        """Append constant text; NULL: the value is missing."""
        return self.append_missing() if text == NULL else self.append_plain(text, strlen(text))

    cdef int append_name(self, bytes name) except -1:
        """Append a name that a client chose, with its blanks escaped outside of JSON."""
        cdef Py_ssize_t start = 0
        cdef Py_ssize_t end
        if not name:
            return self.append_missing()
        end = -1 if self.json else name.find(b" ")
        while end >= 0:
            self.append_escaped(PyBytes_AS_STRING(name) + start, end - start)
            self.append_plain(b"\\x20", 4)
            start = end + 1
            end = name.find(b" ", start)
        return self.append_escaped(
            PyBytes_AS_STRING(name) + start, PyBytes_GET_SIZE(name) - start)

    cdef int append_path(self, const LogEntry *entry) except -1:
        cdef const Head *head = entry.head
        if not entry.accepted or head.flags & ASTERISK_FORM:
            return self.append_span(entry, cut_query(entry.raw, head.target))
        if head.path.size == 0:
            return self.append_plain(b"/", 1)
        return self.append_span(entry, head.path)

    cdef int append_request_line(self, int kind, const LogEntry *entry) except -1:
        cdef Span line = find_first_line(entry.raw, entry.size)
        cdef Span target = entry.head.target
        if target.size == 0:
            if kind == REQUEST_NO_ARGS:
                line = cut_query(entry.raw, line)
            return self.append_span(entry, line)
        self.append_span(entry, entry.head.method_name)
        self.append_plain(b" ", 1)
        if kind == REQUEST:
            self.append_span(entry, target)
        else:
            self.append_path(entry)
        return self.append_span(entry, Span(target.start + target.size, 9))

    cdef int append_span(self, const LogEntry *entry, Span span) except -1:
        if span.start == 0 and span.size == 0:
            return self.append_missing()
        return self.append_escaped(entry.raw + span.start, span.size)

    cdef int append_refusal(self, int reason) except -1:
        return self.append_text(refusal_text(reason))

    cdef int append_missing(self) except -1:
        """Append what stands for a value that does not exist."""
        return 0 if self.json else self.append_plain(b"-", 1)

    cdef int append_escaped(self, const char *data, size_t size) except -1:
        """Append bytes of a client: `\\xHH`, or `\\u00HH` in JSON, for all that are not plain."""
        cdef size_t i = 0
        cdef size_t start
        cdef unsigned char byte
        cdef char text[6]
        if is_plain_text(<const unsigned char *>data, size):    # nearly always
            return self.append_plain(data, size)
        while i < size:
            start = i
            while i < size and PLAIN[<unsigned char>data[i]]:
                i += 1
            self.append_plain(data + start, i - start)
            if i == size:
                break
            byte = <unsigned char>data[i]
            i += 1
            memcpy(text, b"\\u0000", 6)
            text[4] = HEX_DIGITS[byte >> 4]
            text[5] = HEX_DIGITS[byte & 15]
            if self.json:
                self.append_plain(text, 6)
            else:
                text[2] = c"\\"
                text[3] = c"x"
                self.append_plain(text + 2, 4)
        return 0

    cdef int append_plain(self, const char *data, size_t size) except -1:
        return append_bytes(&self.file.lines, data, size, &self.file.pool)

    cdef int append_number(self, int64_t number) except -1:
        return append_decimal(&self.file.lines, number, &self.file.pool)

    cdef int append_seconds(self, int64_t ms) except -1:
        """Append a time span, in seconds with three decimals."""
        cdef char text[4]
        cdef int rest = <int>(ms % 1000)
        text[0] = c"."
        text[1] = <char>(c"0" + rest // 100)
        text[2] = <char>(c"0" + rest // 10 % 10)
        text[3] = <char>(c"0" + rest % 10)
        self.append_number(ms // 1000)
        return self.append_plain(text, 4)

    cdef int find_fields(self, const LogEntry *entry) except -1:
        """Find the values of the format's header fields: the first of repeated ones."""
        cdef const char *raw = entry.raw
        cdef uint32_t at = entry.head.fields_start
        cdef uint32_t next_line
        cdef const char *end
        cdef Py_ssize_t size, i
        cdef Py_ssize_t missing = len(self.names)
        cdef Span name
        if missing == 0:
            return 0
        memset(self.values, 0, sizeof(self.values))
        while entry.accepted and missing and raw[at] != c"\r":
            end = <const char *>memchr(raw + at, c"\r", entry.size - at)
            next_line = <uint32_t>(end - raw) + 2
            for i in range(len(self.names)):
                size = PyBytes_GET_SIZE(<bytes>self.names[i])
                if (at + size < entry.size and raw[at + size] == c":" and
                        self.values[i].start == 0 and
                        equals_word(raw + at, size,
                                    PyBytes_AS_STRING(<bytes>self.names[i]), size)):
                    self.values[i] = read_field(raw, &at, &name)
                    missing -= 1
                    break
            at = next_line
        return 0

    cdef int update_time(self) except -1:
        """Format the two timestamps, once a second."""
        cdef time_t second = time(NULL)
        cdef tm now
        cdef int zone       # minutes east of UTC
        cdef char sign
        if second == self.second:
            return 0
        localtime_r(&second, &now)
        zone = <int>(now.tm_gmtoff // 60)
        sign = c"-" if zone < 0 else c"+"
        zone = abs(zone)
        snprintf(self.local_time, sizeof(self.local_time),
                 b"%02d/%s/%04d:%02d:%02d:%02d %c%02d%02d",
                 now.tm_mday, MONTH_NAMES[now.tm_mon], now.tm_year + 1900,
                 now.tm_hour, now.tm_min, now.tm_sec, sign, <int>(zone // 60), <int>(zone % 60))
        snprintf(self.iso_time, sizeof(self.iso_time),
                 b"%04d-%02d-%02dT%02d:%02d:%02d%c%02d:%02d",
                 now.tm_year + 1900, now.tm_mon + 1, now.tm_mday,
                 now.tm_hour, now.tm_min, now.tm_sec, sign, <int>(zone // 60), <int>(zone % 60))
        self.second = second
        return 0
