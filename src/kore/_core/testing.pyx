# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""The core's parsers and writers for tests and fuzzers: C functions behind Python objects.

Nothing of the package imports this module. Each function or class calls one function of the core
and translates its arguments and results; whatever is passed to it, it raises an exception rather
than crash.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.ref cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from kore._core.accesslog cimport AccessLog, LogEntry
from kore._core.body cimport BodyReader
from kore._core.buffer cimport Buffer, Pool, drain_pool, return_block
from kore._core.chunked cimport CHUNK_DATA, CHUNK_END, ChunkDecoder, ChunkSpan, decode_chunks
from kore._core.format cimport (
    DECIMAL_SIZE_MAX, IMF_FIXDATE_SIZE, format_decimal, format_imf_fixdate)
from kore._core.frames cimport (
    FRAME_HEAD_MAX, UTF8_STATE_MAX, Frame, check_utf8, parse_close_code, parse_frame_head,
    unmask_payload, write_frame_head)
from kore._core.grammar cimport Span
from kore._core.libc cimport sockaddr_in6
from kore._core.parser cimport (
    CHUNKED, CLOSE, LENGTH_SEEN, Head, HeadLimits, find_offending, parse_head, read_field)
from kore._core.refusals cimport REASON_COUNT
from kore._core.response cimport encode_field_name, encode_field_value
from kore._core.scoreboard_slot cimport Slot
from kore._core.tls_layer cimport TlsLayer
from kore._core.writer cimport HeadWriter, ResponseHead
from kore._core.ws_assembler cimport MESSAGE, MessageAssembler

from typing import NamedTuple

from kore._core.refusals import ParseError

cdef int64_t SECOND_MAX = 253_402_300_799       # the end of the year 9999


# Request heads and bodies


class ParsedHead(NamedTuple):
    """What a request head says."""

    used: int
    method: bytes
    target: bytes
    path: bytes
    query: bytes | None
    host: bytes
    minor: int
    fields: list[tuple[bytes, bytes]]
    length: int | None
    chunked: bool
    close: bool


cdef class HeadReader:
    """Parses a request head that is fed in pieces."""

    cdef Head head
    cdef HeadLimits limits
    cdef bytes data
    cdef readonly bytes quote

    def __init__(self, *, uint32_t head_max=16384, uint32_t line_max=8000, uint32_t fields_max=100,
                 bint any_method=False):
        self.limits = HeadLimits(head_max, line_max, fields_max, any_method)
        self.reset()

    def reset(self):
        """Begin another head."""
        memset(&self.head, 0, sizeof(Head))
        self.data = b""

    def feed(self, data):
        """Add *data*; return a `ParsedHead`, or None if it is incomplete.

        Raises `ParseError` as soon as nothing that follows could make it valid; `quote` has the
        bytes for the log then.
        """
        self.data += data
        cdef int used = parse_head(self.data, len(self.data), &self.head, &self.limits)
        if used < 0:
            self.quote = self.bytes_of(
                find_offending(self.data, len(self.data), &self.head, -used))
            raise ParseError(-used)
        return self.result(used) if used else None

    cdef object result(self, int used):
        cdef Head *head = &self.head
        cdef Span name, value
        cdef uint32_t at = head.fields_start
        fields = []
        while True:
            value = read_field(self.data, &at, &name)
            if name.size == 0:
                break
            fields.append((self.bytes_of(name), self.bytes_of(value)))
        return ParsedHead(
            used, self.bytes_of(head.method_name), self.bytes_of(head.target),
            self.bytes_of(head.path) or b"/",
            self.bytes_of(head.query) if head.query.start else None, self.bytes_of(head.host),
            head.minor, fields, head.length if head.flags & LENGTH_SEEN else None,
            bool(head.flags & CHUNKED), bool(head.flags & CLOSE))

    cdef bytes bytes_of(self, Span span):
        return self.data[span.start:span.start + span.size]


def parse(data, **limits):
    """Parse *data* at once: return a `ParsedHead`, or None if it is incomplete."""
    return HeadReader(**limits).feed(data)


cdef class ChunkReader:
    """Decodes a chunked body that is fed in pieces."""

    cdef ChunkDecoder decoder
    cdef readonly bint done

    def feed(self, data):
        """Return (what *data* adds to the body, how many bytes of it were used).

        Raises `ParseError`. `done` is True once the body is complete.
        """
        cdef bytes source = bytes(data)
        cdef const char *at = source
        cdef size_t left = len(source)
        cdef size_t used = 0
        cdef ChunkSpan span
        cdef int event = CHUNK_DATA
        body = []
        while event == CHUNK_DATA:
            event = decode_chunks(at, left, &self.decoder, &used, &span)
            if event < 0:
                raise ParseError(-event)
            if event == CHUNK_DATA:
                body.append((at + span.start)[:span.size])
            at += used
            left -= used
        self.done = event == CHUNK_END
        return b"".join(body), len(source) - left


def read_body(pieces, length=None, *, int64_t size_max=1 << 20):
    """Feed *pieces*; return (the body, what follows it), or None if it is incomplete.

    Raises `ParseError` if the body is refused.
    """
    cdef BodyReader reader = BodyReader()
    cdef bytes piece
    cdef Py_ssize_t used
    reader.start(-1 if length is None else length, size_max)
    rest = b""
    for piece in pieces:
        used = 0
        if not reader.complete:
            used = reader.feed(piece, len(piece))
            if used < 0:
                raise ParseError(-used)
        rest += piece[used:]
    return (reader.take(), rest) if reader.complete else None


# WebSockets


def read_frame_head(bytes data not None, *, bint compression=False):
    """Return (size, opcode, fin, compressed, mask, length), a close code, or None if incomplete."""
    cdef Frame frame
    cdef int used = parse_frame_head(PyBytes_AS_STRING(data), len(data), compression, &frame)
    if used <= 0:
        return -used or None
    mask = (<char *>frame.mask)[:4]
    return used, frame.opcode, bool(frame.fin), bool(frame.compressed), mask, frame.length


def mask_payload(bytes data not None, bytes mask not None, size_t offset=0):
    """Return *data* with its mask of four bytes applied, or removed."""
    cdef bytes copy = PyBytes_FromStringAndSize(PyBytes_AS_STRING(data), len(data))
    if len(mask) != 4:
        raise ValueError(f"a mask has 4 bytes, not {len(mask)}")
    if len(data) < 2:       # shared objects of the interpreter, which must not be changed
        return bytes(c ^ mask[(offset + i) & 3] for i, c in enumerate(data))
    unmask_payload(
        PyBytes_AS_STRING(copy), len(copy), <const uint8_t *>PyBytes_AS_STRING(mask), offset)
    return copy


def encode_frame(int op, data not None, *, bint compressed=False):
    """Return a message as one frame, as a server sends it."""
    cdef char head[FRAME_HEAD_MAX]
    cdef int size = write_frame_head(head, op, compressed, len(data))
    return head[:size] + bytes(data)


def advance_utf8(bytes data not None, uint32_t state=0):
    """Return the state of a UTF-8 text after *data*: 0 between characters, None if it is invalid.
    """
    if state > UTF8_STATE_MAX:
        raise ValueError(f"there is no state {state}")
    return state if check_utf8(&state, PyBytes_AS_STRING(data), len(data)) else None


def read_close_code(bytes payload not None):
    """Return the code of a close frame, 1005 for none; negative if the frame is refused."""
    return parse_close_code(PyBytes_AS_STRING(payload), len(payload))


cdef class MessageReader:
    """Assembles messages from frames that are fed in pieces."""

    cdef MessageAssembler assembler
    cdef Pool pool
    cdef public bytes rest      # bytes for the next call

    def __init__(self, *, uint64_t frame_max=1 << 20, uint64_t message_max=1 << 20, inflate=None):
        self.assembler = MessageAssembler()
        self.assembler.start(frame_max, message_max, inflate, &self.pool)
        self.rest = b""

    def __dealloc__(self):
        drain_pool(&self.pool)

    def feed(self, bytes data not None):
        """Return (opcode, payload) of each message; a close code, alone, ends the list."""
        cdef bytearray work = bytearray(self.rest + data)
        cdef size_t at = 0
        cdef size_t used = 0
        cdef int event = MESSAGE
        found = []
        while event > 0:
            event = self.assembler.feed(<char *>work + at, len(work) - at, &used)
            at += used
            if event > 0:
                found.append((self.assembler.opcode, self.assembler.payload))
        self.rest = bytes(work[at:])
        return [*found, -event] if event < 0 else found


# Response heads and log lines


def write_head(int status, fields=None, *, int64_t second=0, bint keep=True, length=None,
               **options):
    """Return a response head.

    *options* are `chunked`, `server`, `keepalive` and `hsts`; with the last one, even if it is
    empty, Strict-Transport-Security is to be sent. Raises ValueError if the status or the second
    does not exist.
    """
    check_second(second)
    hsts = options.pop("hsts", None)
    cdef HeadWriter writer = HeadWriter(
        options.pop("server", b"kore"), options.pop("keepalive", 20), hsts or b"")
    cdef Pool pool
    cdef Buffer out
    cdef ResponseHead head
    memset(&pool, 0, sizeof(Pool))
    memset(&out, 0, sizeof(Buffer))
    head.status = status
    head.keep = keep
    head.chunked = options.pop("chunked", False)
    head.length = -1 if length is None else length
    head.hsts = hsts is not None
    if options:
        raise TypeError(f"unknown options: {', '.join(options)}")
    writer.update_date(second)
    pairs = None
    if fields is not None:
        pairs = [(encode_field_name(name), encode_field_value(name, value))
                 for name, value in fields]
    try:
        writer.write_head(&out, &pool, &head, pairs)
        return out.data[out.start:out.end]
    finally:
        return_block(&out, &pool)
        drain_pool(&pool)


def write_log_line(AccessLog access_log not None, bytes raw not None, values=(), *,
                   bytes address not None=b"\0\0"):
    """Write the line of an exchange whose request begins with *raw*, from a sockaddr.

    *values* is a mapping of `status`, `complete`, `refusal`, `sent`, `body_sent`, `received`,
    `duration_ms`, and `tls`: the name of the handshake, and that of the client's certificate.
    """
    cdef TlsLayer tls = None
    cdef HeadLimits limits = HeadLimits(1 << 20, 1 << 20, 1000, False)
    cdef Head head
    cdef LogEntry entry
    cdef sockaddr_in6 sockaddr
    cdef int refusal
    rest = {"status": 200, "complete": True, **dict(values)}
    memset(&head, 0, sizeof(head))
    memset(&sockaddr, 0, sizeof(sockaddr))
    memcpy(&sockaddr, PyBytes_AS_STRING(address), min(<size_t>len(address), sizeof(sockaddr)))
    entry.accepted = parse_head(raw, len(raw), &head, &limits) > 0
    entry.raw = raw
    entry.size = <uint32_t>len(raw)
    entry.head = &head
    entry.complete = rest.pop("complete")
    entry.status = rest.pop("status")
    refusal = rest.pop("refusal", 0)
    entry.refusal = refusal if 0 <= refusal < <int>REASON_COUNT else 0
    entry.sent = rest.pop("sent", 0)
    entry.body_sent = rest.pop("body_sent", 0)
    entry.received = rest.pop("received", 0)
    entry.duration_ms = rest.pop("duration_ms", 0)
    entry.address = &sockaddr
    names = rest.pop("tls", None)
    if names is not None:
        tls = TlsLayer.__new__(TlsLayer)
        tls.server_name, tls.client_name = names
        tls.version_name, tls.cipher_name = b"TLSv1.3", b"TLS_AES_128_GCM_SHA256"
    entry.tls = NULL if tls is None else <PyObject *>tls
    if rest:
        raise TypeError(f"unknown values: {', '.join(rest)}")
    access_log.write(&entry)


def format_number(int64_t number):
    """Return the decimal digits of a number. Raises ValueError if it is negative."""
    cdef char digits[DECIMAL_SIZE_MAX]
    cdef int size
    if number < 0:
        raise ValueError(f"{number} is negative")
    size = format_decimal(digits + DECIMAL_SIZE_MAX, number)
    return (digits + DECIMAL_SIZE_MAX - size)[:size]


def format_date(int64_t second):
    """Return a moment, in seconds since 1970, as an IMF-fixdate.

    Raises ValueError if its year has not four digits.
    """
    cdef char text[IMF_FIXDATE_SIZE + 1]
    check_second(second)
    return text[:format_imf_fixdate(text, second)]


cdef int check_second(int64_t second) except -1:
    if not 0 <= second <= SECOND_MAX:
        raise ValueError(f"second {second} is in no year of four digits")
    return 0


# The scoreboard


def slot_size():
    """Return the size of a worker's slot."""
    return sizeof(Slot)


def slot_fields():
    """Return (offset, size) of each field of a worker's slot by its name."""
    cdef Slot slot
    cdef char *base = <char *>&slot
    return {
        "running": (<char *>&slot.running - base, sizeof(slot.running)),
        "waiting": (<char *>&slot.waiting - base, sizeof(slot.waiting)),
        "pending": (<char *>&slot.pending - base, sizeof(slot.pending)),
        "state": (<char *>&slot.state - base, sizeof(slot.state)),
        "served": (<char *>&slot.served - base, sizeof(slot.served)),
        "connections": (<char *>&slot.connections - base, sizeof(slot.connections)),
        "heartbeat": (<char *>&slot.heartbeat - base, sizeof(slot.heartbeat)),
        "blocking": (<char *>&slot.blocking - base, sizeof(slot.blocking)),
    }
