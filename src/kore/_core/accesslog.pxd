"""Format one line for each exchange, and write it to a log file; see accesslog.pyx."""

from cpython.ref cimport PyObject
from libc.stdint cimport int64_t, uint32_t

from kore._core.grammar cimport Span
from kore._core.log_file cimport LogFile
from kore._core.parser cimport Head


cdef enum:
    FIELD_COUNT_MAX = 16        # header fields that one format may use


cdef struct LogEntry:           # what a line is made of
    const char *raw             # the head as received, or malformed input in place of one
    uint32_t size
    const Head *head
    bint accepted               # the head was complete and valid, so its fields can be read
    bint complete               # the whole response was sent
    int status
    int refusal                 # RefusalReason
    int64_t sent                # bytes of the response, head included
    int64_t body_sent           # bytes of its body
    int64_t received            # bytes of the request
    int64_t duration_ms         # from the end of the request's head to the end of the response
    const void *address         # the client's sockaddr
    PyObject *tls               # the connection's TlsLayer, borrowed; NULL without TLS


cdef struct FormatPart:
    int kind                    # LITERAL, FIELD, or a variable
    uint32_t start              # of a literal in `literals`; of a field its index in `names`
    uint32_t size               # of a literal


cdef class AccessLog:
    cdef readonly LogFile file
    cdef bytes literals
    cdef list names             # the header fields of the format, in lower case
    cdef FormatPart *parts
    cdef int part_count
    cdef bint json
    cdef Span values[FIELD_COUNT_MAX]   # of the fields; start 0: the request does not have it
    cdef int64_t second                 # that the two timestamps are of
    cdef char local_time[96]            # longer than needed, for gcc's format-truncation check
    cdef char iso_time[96]

    cdef int write(self, const LogEntry *entry) except -1
    cdef int append_line(self, const LogEntry *entry) except -1
    cdef int append_part(self, const FormatPart *part, const LogEntry *entry) except -1
    cdef int append_time(self, int kind) except -1
    cdef int append_count(self, int kind, const LogEntry *entry) except -1
    cdef int append_client(self, int kind, const void *address) except -1
    cdef int append_request_part(self, int kind, const LogEntry *entry) except -1
    cdef int append_path(self, const LogEntry *entry) except -1
    cdef int append_request_line(self, int kind, const LogEntry *entry) except -1
    cdef int append_seconds(self, int64_t ms) except -1
    cdef int append_span(self, const LogEntry *entry, Span span) except -1
    cdef int append_escaped(self, const char *data, size_t size) except -1
    cdef int append_plain(self, const char *data, size_t size) except -1
    cdef int append_number(self, int64_t number) except -1
    cdef int append_tls_part(self, int kind, const LogEntry *entry) except -1
    cdef int append_text(self, const char *text) except -1
    cdef int append_name(self, bytes name) except -1
    cdef int append_missing(self) except -1
    cdef int append_refusal(self, int reason) except -1
    cdef int find_fields(self, const LogEntry *entry) except -1
    cdef int update_time(self) except -1
