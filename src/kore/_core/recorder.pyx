# cython: language_level=3, boundscheck=False, wraparound=False
"""Access log records of one connection: which exchange, how many bytes, and whether all went."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint32_t

from kore._core.buffer cimport BLOCK, held
from kore._core.libc cimport monotonic_ms

cdef enum:
    LEFT = 499          # nginx's status for a client that left before its answer began


cdef class Recorder(Peer):
    """Counts the bytes of a connection's exchanges, and logs each of them."""

    cdef int64_t queued(self) noexcept:
        """Return how many bytes were ever sent or wait; exact while no large part waits."""
        return self.transferred + <int64_t>held(&self.outbox)

    cdef int64_t taken(self) noexcept:
        """Return how many bytes were received and used."""
        return self.received - <int64_t>held(&self.inbox)

    cdef int mark(self, Request request) except -1:
        """Take note of where a request begins, and when."""
        request.journal = self.journal
        request.begun = self.poller.now()
        request.came = self.taken()
        return 0

    cdef int record(self, Request request) except -1:
        """Log an exchange whose answer is queued; a large one when it has gone."""
        if self.waiting() > BLOCK:      # no other request begins before that
            self.owed = request
            return 0
        return self.log(request, self.queued(), True)

    cdef int record_owed(self, bint complete) except -1:
        cdef Request request = self.owed
        self.owed = None
        return self.log(request, self.transferred, complete)

    cdef int record_loss(self) except -1:
        """Log what the end of the connection breaks off."""
        if self.owed is not None:
            self.record_owed(False)
        if self.current is not None and self.current.journal is not None:
            self.log(self.current, self.transferred, False)
        return 0

    cdef int record_stray(self, const Head *head, int status, int64_t opens, int64_t heads,
                          int64_t begun) except -1:
        """Log the refusal of what is in the inbox: part of a head, or no head at all."""
        cdef Exchange exchange
        exchange.raw = self.inbox.data + self.inbox.start
        exchange.size = <uint32_t>held(&self.inbox)
        exchange.head = head
        exchange.whole = False
        exchange.complete = True
        exchange.status = status
        exchange.sent = self.queued() - opens
        exchange.body = self.queued() - heads
        self.time_and_place(&exchange, self.taken(), self.received, begun)
        return self.journal.write(&exchange)

    cdef int log(self, Request request, int64_t out, bint complete) except -1:
        """Write the line of an exchange; *out*: bytes ever sent when the last of it went."""
        cdef Exchange exchange
        exchange.raw = PyBytes_AS_STRING(request.raw)
        exchange.size = <uint32_t>PyBytes_GET_SIZE(request.raw)
        exchange.head = &request.head
        exchange.whole = True
        exchange.complete = complete
        exchange.status = request.status if request.opened else LEFT
        exchange.sent = max(out - request.opens, 0) if request.opened else 0
        exchange.body = max(out - request.heads, 0) if request.opened else 0
        self.time_and_place(&exchange, request.came, self.taken(), request.begun)
        return request.journal.write(&exchange)

    cdef void time_and_place(self, Exchange *exchange, int64_t came, int64_t read,
                             int64_t begun) noexcept:
        exchange.address = &self.address
        exchange.received = read - came
        exchange.ms = max(monotonic_ms() - begun, 0)
