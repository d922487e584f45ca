# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""Access logs: an entry becomes a line.

A `AccessLog` knows a format, as pieces: literal text and variables. Whatever a client chose is
escaped, so that a line is one line.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdio cimport snprintf
from libc.stdlib cimport free, malloc
from libc.string cimport memchr, memcpy, memset, strlen

from kore._core.buffer cimport Buffer, append_bytes, buffered_size
from kore._core.grammar cimport equals_word
from kore._core.accesslog_format cimport all_plain, before_query, dotted, line_of
from kore._core.libc cimport (
    AF_INET, AF_INET6, CLOCK_REALTIME_COARSE, clock_gettime, inet_ntop, localtime_r, ntohs,
    sockaddr, sockaddr_in, sockaddr_in6, time, time_t, timespec, tm, tzset)
from kore._core.parser cimport ASTERISK_FORM, HeadLimits, read_field, parse_head
from kore._core.refusals cimport REASON_COUNT, refusal_text

cdef enum Kind:
    LITERAL
    FIELD
    # moments
    MSEC
    TIME_ISO
    TIME_LOCAL
    # numbers
    BODY_BYTES_SENT
    BYTES_SENT
    REQUEST_LENGTH
    REQUEST_TIME
    STATUS
    # the client
    REMOTE_ADDR
    REMOTE_PORT
    # the question
    ARGS
    HOST
    METHOD
    PROTOCOL
    REQUEST
    REQUEST_NO_ARGS
    REQUEST_URI
    URI
    # the end
    COMPLETION
    REFUSAL


# The names are nginx's, but for request_no_args.
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
    "server_protocol": PROTOCOL,
    "status": STATUS,
    "time_iso8601": TIME_ISO,
    "time_local": TIME_LOCAL,
    "uri": URI,
}

cdef tuple MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun",
                     b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
cdef const char *DIGITS = b"0123456789ABCDEF"
cdef unsigned char PLAIN[256]       # what stands for itself, in a quoted string and in JSON


cdef void fill_plain() noexcept:
    cdef int i
    for i in range(256):
        PLAIN[i] = 0x20 <= i < 0x7F and i != c'"' and i != c"\\"


fill_plain()
tzset()


cdef class AccessLog:
    """The access log of a domain: *pieces* are (variable, text), the variable None for a literal.

    A variable is a name of `VARIABLES`, or "http" with the name of a header field in lower case.
    *json* escapes for JSON strings, and writes nothing for what a request does not have; a dash
    otherwise.
    """

    def __cinit__(self, LogFile sink not None, pieces, *, bint json=False):
        cdef int i
        self.sink = sink
        self.json = json
        self.second = -1
        self.literals = b"".join([text for variable, text in pieces if variable is None])
        self.names = list(dict.fromkeys([text for variable, text in pieces if variable == "http"]))
        if len(self.names) > FIELDS:
            raise ValueError(f"{len(self.names)} header fields, {FIELDS} at most")
        self.count = len(pieces)
        self.pieces = <FormatPart *>malloc(max(self.count, 1) * sizeof(FormatPart))
        if self.pieces == NULL:
            raise MemoryError
        start = 0
        for i, (variable, text) in enumerate(pieces):
            if variable is None:
                self.pieces[i] = FormatPart(LITERAL, start, len(text))
                start += len(text)
            elif variable == "http":
                self.pieces[i] = FormatPart(FIELD, self.names.index(text), 0)
            else:
                self.pieces[i] = FormatPart(VARIABLES[variable], 0, 0)

    def __dealloc__(self):
        free(self.pieces)

    cdef int write(self, const LogEntry *entry) except -1:
        """Add a line. Where there is no room for it, it is lost, and counted."""
        cdef Buffer *lines = &self.sink.lines
        cdef size_t before = buffered_size(lines)
        if self.sink.refuses():
            self.sink.lost += 1
            return 0
        try:
            self.compose(entry)
        except MemoryError:
            lines.end = lines.start + before
            self.sink.lost += 1
        return self.sink.added()

    cdef int compose(self, const LogEntry *entry) except -1:
        cdef int i
        self.tick()
        self.find_fields(entry)
        for i in range(self.count):
            self.put(&self.pieces[i], entry)
        return self.put_plain(b"\n", 1)

    cdef int put(self, const FormatPart *piece, const LogEntry *entry) except -1:
        cdef int kind = piece.kind
        if kind == LITERAL:
            return self.put_plain(PyBytes_AS_STRING(self.literals) + piece.start, piece.size)
        if kind == FIELD:
            return self.put_span(entry, self.values[piece.start])
        if kind <= TIME_LOCAL:
            return self.put_moment(kind)
        if kind <= STATUS:
            return self.put_number(kind, entry)
        if kind <= REMOTE_PORT:
            return self.put_client(kind, entry.address)
        if kind < COMPLETION:
            return self.put_question(kind, entry)
        if kind == REFUSAL:
            return self.put_refusal(entry.refusal)
        return self.put_plain(b"OK", 2) if entry.complete else self.put_nothing()

    cdef int put_moment(self, int kind) except -1:
        cdef timespec now
        if kind == TIME_LOCAL:
            return self.put_plain(self.local, 26)
        if kind == TIME_ISO:
            return self.put_plain(self.iso, 25)
        clock_gettime(CLOCK_REALTIME_COARSE, &now)
        return self.put_seconds(<int64_t>now.tv_sec * 1000 + now.tv_nsec // 1000000)

    cdef int put_number(self, int kind, const LogEntry *entry) except -1:
        if kind == STATUS:
            return self.put_integer(entry.status)
        if kind == BODY_BYTES_SENT:
            return self.put_integer(entry.body_sent)
        if kind == BYTES_SENT:
            return self.put_integer(entry.sent)
        if kind == REQUEST_LENGTH:
            return self.put_integer(entry.received)
        return self.put_seconds(entry.duration_ms)

    cdef int put_client(self, int kind, const void *address) except -1:
        cdef const unsigned char *bytes_of
        cdef char text[64]
        cdef int family = (<const sockaddr *>address).sa_family
        cdef int size = 0
        cdef int i
        if family != AF_INET and family != AF_INET6:
            return self.put_nothing()
        if kind == REMOTE_PORT:     # in the same place for both
            return self.put_integer(ntohs((<const sockaddr_in *>address).sin_port))
        if family == AF_INET6:
            inet_ntop(family, &(<const sockaddr_in6 *>address).sin6_addr, text, sizeof(text))
            return self.put_plain(text, strlen(text))
        bytes_of = <const unsigned char *>&(<const sockaddr_in *>address).sin_addr
        for i in range(4):
            size += dotted(text + size, bytes_of[i])
        return self.put_plain(text, size - 1)

    cdef int put_question(self, int kind, const LogEntry *entry) except -1:
        cdef const Head *head = entry.head
        cdef Span target = head.target
        if kind == REQUEST or kind == REQUEST_NO_ARGS:
            return self.put_request(kind, entry)
        if kind == HOST:
            return self.put_span(entry, head.host if entry.accepted else Span(0, 0))
        if target.size == 0:
            return self.put_nothing()
        if kind == METHOD:
            return self.put_span(entry, head.method_name)
        if kind == REQUEST_URI:
            return self.put_span(entry, target)
        if kind == PROTOCOL:
            return self.put_span(entry, Span(target.start + target.size + 1, 8))
        if kind == ARGS:
            return self.put_span(entry, head.query)
        return self.put_path(entry)

    cdef int put_path(self, const LogEntry *entry) except -1:
        cdef const Head *head = entry.head
        if not entry.accepted or head.flags & ASTERISK_FORM:
            return self.put_span(entry, before_query(entry.raw, head.target))
        return self.put_span(entry, head.path) if head.path.size else self.put_plain(b"/", 1)

    cdef int put_request(self, int kind, const LogEntry *entry) except -1:
        cdef Span line = line_of(entry.raw, entry.size)
        cdef Span target = entry.head.target
        if target.size == 0:
            if kind == REQUEST_NO_ARGS:
                line = before_query(entry.raw, line)
            return self.put_span(entry, line)
        self.put_span(entry, entry.head.method_name)
        self.put_plain(b" ", 1)
        if kind == REQUEST:
            self.put_span(entry, target)
        else:
            self.put_path(entry)
        return self.put_span(entry, Span(target.start + target.size, 9))

    cdef int put_span(self, const LogEntry *entry, Span span) except -1:
        if span.start == 0 and span.size == 0:
            return self.put_nothing()
        return self.put_escaped(entry.raw + span.start, span.size)

    cdef int put_refusal(self, int reason) except -1:
        cdef const char *text = refusal_text(reason)
        return self.put_nothing() if text == NULL else self.put_plain(text, strlen(text))

    cdef int put_nothing(self) except -1:
        return 0 if self.json else self.put_plain(b"-", 1)

    cdef int put_escaped(self, const char *data, size_t size) except -1:
        """Write bytes so that they end neither a string nor a line, whatever they are."""
        cdef size_t i = 0
        cdef size_t start
        cdef unsigned char byte
        cdef char text[6]
        if all_plain(<const unsigned char *>data, size):    # nearly always
            return self.put_plain(data, size)
        while i < size:
            start = i
            while i < size and PLAIN[<unsigned char>data[i]]:
                i += 1
            self.put_plain(data + start, i - start)
            if i == size:
                break
            byte = <unsigned char>data[i]
            i += 1
            memcpy(text, b"\\u0000", 6)
            text[4] = DIGITS[byte >> 4]
            text[5] = DIGITS[byte & 15]
            if self.json:
                self.put_plain(text, 6)
            else:
                text[2] = c"\\"
                text[3] = c"x"
                self.put_plain(text + 2, 4)
        return 0

    cdef int put_plain(self, const char *data, size_t size) except -1:
        return append_bytes(&self.sink.lines, data, size, &self.sink.pool)

    cdef int put_integer(self, int64_t number) except -1:
        cdef char digits[20]
        cdef int at = 20
        while True:
            at -= 1
            digits[at] = <char>(c"0" + number % 10)
            number //= 10
            if number == 0:
                return self.put_plain(digits + at, 20 - at)

    cdef int put_seconds(self, int64_t ms) except -1:
        cdef char text[4]
        cdef int rest = <int>(ms % 1000)
        text[0] = c"."
        text[1] = <char>(c"0" + rest // 100)
        text[2] = <char>(c"0" + rest // 10 % 10)
        text[3] = <char>(c"0" + rest % 10)
        self.put_integer(ms // 1000)
        return self.put_plain(text, 4)

    cdef int find_fields(self, const LogEntry *entry) except -1:
        # all that the format names, in one pass; of a repeated field the first
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

    cdef int tick(self) except -1:
        """Write down the time, unless it is the same second."""
        cdef time_t second = time(NULL)
        cdef tm now
        cdef int zone
        cdef char sign
        if second == self.second:
            return 0
        localtime_r(&second, &now)
        zone = <int>(now.tm_gmtoff // 60)
        sign = c"-" if zone < 0 else c"+"
        zone = abs(zone)
        snprintf(self.local, sizeof(self.local), b"%02d/%s/%04d:%02d:%02d:%02d %c%02d%02d",
                 now.tm_mday, PyBytes_AS_STRING(<bytes>MONTHS[now.tm_mon]), now.tm_year + 1900,
                 now.tm_hour, now.tm_min, now.tm_sec, sign, zone // 60, zone % 60)
        snprintf(self.iso, sizeof(self.iso), b"%04d-%02d-%02dT%02d:%02d:%02d%c%02d:%02d",
                 now.tm_year + 1900, now.tm_mon + 1, now.tm_mday,
                 now.tm_hour, now.tm_min, now.tm_sec, sign, zone // 60, zone % 60)
        self.second = second
        return 0

    def record(self, bytes raw not None, *, int status=200, int64_t sent=0, int64_t body=0,
               int64_t received=0, int64_t ms=0, bint complete=True, int refusal=0,
               bytes address not None=b"\0\0"):
        """Add the line of an entry that began with *raw*: the door for tests and fuzzers.

        *address* is a sockaddr.
        """
        cdef HeadLimits limits = HeadLimits(1 << 20, 1 << 20, 1000)
        cdef Head head
        cdef LogEntry entry
        cdef sockaddr_in6 where
        memset(&head, 0, sizeof(head))
        memset(&where, 0, sizeof(where))
        memcpy(&where, PyBytes_AS_STRING(address), min(<size_t>len(address), sizeof(where)))
        entry.accepted = parse_head(raw, len(raw), &head, &limits) > 0
        entry.raw = raw
        entry.size = len(raw)
        entry.head = &head
        entry.complete = complete
        entry.status = status
        entry.refusal = refusal if 0 <= refusal < REASON_COUNT else 0
        entry.sent = sent
        entry.body_sent = body
        entry.received = received
        entry.duration_ms = ms
        entry.address = &where
        self.write(&entry)
