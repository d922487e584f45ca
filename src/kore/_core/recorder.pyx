# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""Access log records of one connection: which entry, how many bytes, and whether all went."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint32_t

from kore._core.buffer cimport BLOCK_SIZE, buffered_size
from kore._core.libc cimport monotonic_ms
from kore._core.refusals cimport refusal_status

cdef enum:
    LEFT = 499          # nginx's status for a client that left before its answer began


cdef class Recorder(Peer):
    """Counts the bytes of a connection's exchanges, and logs each of them."""

    @cython.nonecheck(False)
    cdef int64_t queued(self) except -1:
        """Return how many bytes were ever sent or wait: a position in the stream of answers."""
        cdef int64_t position = self.transferred + <int64_t>buffered_size(&self.outbox)
        return position + self.parts_size() if self.parts else position

    @cython.nonecheck(False)
    cdef int64_t taken(self) noexcept:
        """Return how many bytes were received and used."""
        return self.received - <int64_t>buffered_size(&self.inbox)

    cdef int record(self, Request request) except -1:
        """Log an entry whose answer is queued; behind a large answer, when it has gone."""
        cdef list unlogged
        request.ends = self.queued()
        request.taken = self.taken()
        if self.broken:
            self.record_lost()
            return self.log(request, False)
        if self.unlogged is None and self.waiting() <= BLOCK_SIZE:
            return self.log(request, True)
        unlogged = []           # may run a finalizer, and that come here
        if self.unlogged is None:
            self.unlogged = unlogged
        self.unlogged.append(request)
        return 0

    cdef int record_sent(self) except -1:
        """Log the exchanges whose answers have gone, in their order."""
        cdef Request request
        cdef Py_ssize_t count = 0
        for request in self.unlogged:
            if request.ends > self.transferred:
                break
            self.log(request, True)
            count += 1
        del self.unlogged[:count]
        if not self.unlogged:
            self.unlogged = None
        return 0

    cdef int record_lost(self) except -1:
        """Log the exchanges whose answers cannot be sent any more."""
        cdef Request request
        if self.unlogged is None:
            return 0
        self.record_sent()
        for request in self.unlogged or ():
            self.log(request, False)
        self.unlogged = None
        return 0

    cdef int record_loss(self) except -1:
        """Log what the end of the connection breaks off."""
        self.record_lost()
        if self.current is not None and self.current.access_log is not None:
            self.current.ends = self.queued()
            self.current.taken = self.taken()
            self.log(self.current, False)
        return 0

    cdef int record_stray(self, const Head *head, int reason, int64_t opens, int64_t heads,
                          int64_t begun) except -1:
        """Log the refusal of what is in the inbox: part of a head, or no head at all."""
        cdef LogEntry entry
        entry.raw = self.inbox.data + self.inbox.start
        entry.size = <uint32_t>buffered_size(&self.inbox)
        entry.head = head
        entry.accepted = False
        entry.complete = True
        entry.status = refusal_status(reason)
        entry.refusal = reason
        entry.sent = self.queued() - opens
        entry.body_sent = self.queued() - heads
        self.time_and_place(&entry, self.taken(), self.received, begun)
        return self.access_log.write(&entry)

    cdef int log(self, Request request, bint complete) except -1:
        """Write the line of an entry whose position in both streams is known."""
        cdef int64_t out = request.ends if complete else min(self.transferred, request.ends)
        cdef LogEntry entry
        entry.raw = PyBytes_AS_STRING(request.raw)
        entry.size = <uint32_t>PyBytes_GET_SIZE(request.raw)
        entry.head = &request.head
        entry.accepted = True
        entry.complete = complete
        entry.status = request.status if request.opened else LEFT
        entry.refusal = request.refusal
        entry.sent = max(out - request.opens, 0) if request.opened else 0
        entry.body_sent = max(out - request.heads, 0) if request.opened else 0
        self.time_and_place(&entry, request.came, request.taken, request.begun)
        return request.access_log.write(&entry)

    cdef void time_and_place(self, LogEntry *entry, int64_t came, int64_t read,
                             int64_t begun) noexcept:
        entry.address = &self.address
        entry.received = read - came
        entry.duration_ms = max(monotonic_ms() - begun, 0)
