# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""Access log lines of what a transport carried: how many bytes, and whether all of them went.

Bytes are counted by positions in the input and the output of the transport, which an exchange notes
where its parts begin and end.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.ref cimport PyObject
from libc.stdint cimport uint32_t

from kore._core.accesslog cimport LogEntry
from kore._core.buffer cimport buffered_size
from kore._core.libc cimport monotonic_ms
from kore._core.refusals cimport refusal_status

cdef enum:
    CLIENT_LEFT = 499       # nginx's status for a client that left before its response began


cdef int log_exchange(Transport transport, Exchange exchange, bint complete) except -1:
    """Log an exchange. *complete*: all of its response was sent, or certainly will be."""
    cdef int64_t out = exchange.response_end
    cdef LogEntry entry
    if not complete:
        out = min(transport.sent_size, out)
    entry.raw = PyBytes_AS_STRING(exchange.raw)
    entry.size = <uint32_t>PyBytes_GET_SIZE(exchange.raw)
    entry.head = &exchange.head
    entry.accepted = True
    entry.complete = complete
    entry.status = exchange.status if exchange.opened else CLIENT_LEFT
    entry.refusal = exchange.refusal
    entry.sent = max(out - exchange.response_start, 0) if exchange.opened else 0
    entry.body_sent = max(out - exchange.body_start, 0) if exchange.opened else 0
    entry.received = exchange.request_end - exchange.request_start
    fill_client(&entry, transport, exchange.started_at)
    return exchange.access_log.write(&entry)


cdef bint log_sent_exchanges(Transport transport, list exchanges) except -1:
    """Log and remove the exchanges whose responses have gone; True: those were all of them."""
    cdef Exchange exchange
    cdef Py_ssize_t count = 0
    for exchange in exchanges:
        if exchange.response_end > transport.sent_size:
            break
        log_exchange(transport, exchange, True)
        count += 1
    del exchanges[:count]
    return not exchanges


cdef int log_lost_exchanges(Transport transport, list exchanges) except -1:
    """Log exchanges of whose responses nothing more can be sent."""
    cdef Exchange exchange
    log_sent_exchanges(transport, exchanges)
    for exchange in exchanges:
        log_exchange(transport, exchange, False)
    return 0


cdef int log_malformed(Transport transport, AccessLog access_log, Malformed *found) except -1:
    """Log the refusal of what is in the inbox: part of a head, or no head at all."""
    cdef LogEntry entry
    entry.raw = transport.inbox.data + transport.inbox.start
    entry.size = <uint32_t>buffered_size(&transport.inbox)
    entry.head = found.head
    entry.accepted = False
    entry.complete = True
    entry.status = refusal_status(found.reason)
    entry.refusal = found.reason
    entry.sent = transport.bytes_queued() - found.response_start
    entry.body_sent = transport.bytes_queued() - found.body_start
    entry.received = <int64_t>buffered_size(&transport.inbox)
    fill_client(&entry, transport, found.started_at)
    return access_log.write(&entry)


cdef void fill_client(LogEntry *entry, Transport transport, int64_t started_at) noexcept:
    entry.address = &transport.address
    entry.tls = NULL if transport.tls is None else <PyObject *>transport.tls
    entry.duration_ms = max(monotonic_ms() - started_at, 0)
