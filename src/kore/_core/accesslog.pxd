"""What an entry was, as a line."""

from libc.stdint cimport int64_t, uint32_t

from kore._core.grammar cimport Span
from kore._core.parser cimport Head
from kore._core.log_file cimport LogFile


cdef enum:
    FIELDS = 16         # header fields one format may name


cdef struct LogEntry:
    const char *raw             # the head; what came in its place when nothing could be read of it
    uint32_t size
    const Head *head
    bint accepted                # the head was accepted: it has fields
    bint complete               # all of the answer went out
    int status
    int refusal                 # which rule the request broke; 0: none
    int64_t sent                # bytes of the answer
    int64_t body_sent              # those of them behind its head
    int64_t received            # bytes of the request
    int64_t duration_ms                # from the end of its head to the end of the answer
    const void *address         # the client's, as the kernel gave it


cdef struct FormatPart:
    int kind
    uint32_t start              # of a literal in the text; of a field: which one
    uint32_t size


cdef class AccessLog:
    cdef readonly LogFile sink
    cdef bytes literals
    cdef list names             # header fields, in lower case
    cdef FormatPart *pieces
    cdef int count
    cdef bint json
    cdef Span values[FIELDS]    # those of the entry at hand; no start: it has no such field
    cdef int64_t second
    cdef char local[32]
    cdef char iso[32]

    cdef int write(self, const LogEntry *entry) except -1
    cdef int compose(self, const LogEntry *entry) except -1
    cdef int put(self, const FormatPart *piece, const LogEntry *entry) except -1
    cdef int put_moment(self, int kind) except -1
    cdef int put_number(self, int kind, const LogEntry *entry) except -1
    cdef int put_client(self, int kind, const void *address) except -1
    cdef int put_question(self, int kind, const LogEntry *entry) except -1
    cdef int put_path(self, const LogEntry *entry) except -1
    cdef int put_request(self, int kind, const LogEntry *entry) except -1
    cdef int put_seconds(self, int64_t ms) except -1
    cdef int put_span(self, const LogEntry *entry, Span span) except -1
    cdef int put_escaped(self, const char *data, size_t size) except -1
    cdef int put_plain(self, const char *data, size_t size) except -1
    cdef int put_integer(self, int64_t number) except -1
    cdef int put_nothing(self) except -1
    cdef int put_refusal(self, int reason) except -1
    cdef int find_fields(self, const LogEntry *entry) except -1
    cdef int tick(self) except -1
