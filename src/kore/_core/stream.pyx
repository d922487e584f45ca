# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""Move bytes between a socket and memory; know nothing of what they mean.

All input passes `receive`, all output `transmit` or `send_now`: the places where TLS comes in.

What belongs together, a head and what follows it, is queued by several calls. None of them may run
a finalizer in between, which could queue something else: they make no object that the garbage
collector knows, as `prepare_parts` has made the only one.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport (
    PyByteArray_AS_STRING, PyByteArray_FromStringAndSize, PyByteArray_GET_SIZE, PyByteArray_Resize)
from cpython.bytes cimport (
    PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE)
from libc.errno cimport EAGAIN, EINTR, EINVAL, ENOSYS, EOPNOTSUPP, errno
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from kore._core.buffer cimport (
    BLOCK_SIZE, append_bytes, borrow_block, buffered_size, consume_bytes, reserve_space,
    return_block)
from kore._core.libc cimport (
    MSG_MORE, MSG_NOSIGNAL, SHUT_WR, SIOCOUTQ, ioctl, iovec, msghdr, recv, send, sendfile, sendmsg,
    shutdown)

from kore._core.file import log_truncation

cdef enum:
    TURN = 1 << 20      # bytes one stream may send before others have their turn
    SMALL = 1 << 16     # bytes of a file up to which reading it is cheaper than sendfile()


cdef inline void fill_message(msghdr *message, iovec *vectors, const char *first, size_t length,
                              const char *second, size_t size) noexcept nogil:
    vectors[0].iov_base = <void *>first
    vectors[0].iov_len = length
    vectors[1].iov_base = <void *>second
    vectors[1].iov_len = size
    memset(message, 0, sizeof(msghdr))
    message.msg_iov = vectors
    message.msg_iovlen = 2


cdef class Stream(Source):
    """A connected socket."""

    def __dealloc__(self):
        free(self.inbox.data)       # to the heap: the poller and its pool may be gone already
        free(self.outbox.data)

    cdef Py_ssize_t receive(self, char *data, size_t size) except -3:
        """Read once: a count, 0 at the end of input, LATER or GONE."""
        cdef Py_ssize_t count
        while True:
            count = recv(self.handle, data, size, 0)
            if count >= 0:
                self.received += count
                return count
            if errno == EAGAIN:
                return LATER
            if errno != EINTR:
                return GONE

    cdef Py_ssize_t fill(self) except -3:
        """Read once into the inbox, which grows when it is full."""
        cdef Py_ssize_t count
        borrow_block(&self.inbox, &self.poller.pool)
        if self.inbox.end == self.inbox.capacity:
            reserve_space(
                &self.inbox, BLOCK_SIZE if self.inbox.start == 0 else 1, &self.poller.pool)
        count = self.receive(self.inbox.data + self.inbox.end, self.inbox.capacity - self.inbox.end)
        if count > 0:
            self.inbox.end += count
        else:
            consume_bytes(&self.inbox, 0, &self.poller.pool)
            self.ended = self.ended or count == 0
        return count

    @cython.nonecheck(False)
    cdef int put(self, const char *data, size_t size) except -1:
        """Queue a copy of some bytes."""
        if size == 0:       # a part that never gets shorter would be sent for ever
            return 0
        if self.parts:
            return self.put_behind(data, size)
        return append_bytes(&self.outbox, data, size, &self.poller.pool)

    cdef int put_behind(self, const char *data, size_t size) except -1:
        # Small ones go together behind a large part. Not into the first: it is being sent.
        cdef Py_ssize_t at = len(self.parts) - 1
        cdef object last = self.parts[at] if at > 0 else None
        cdef Py_ssize_t before
        if type(last) is not bytearray or PyByteArray_GET_SIZE(last) >= BLOCK_SIZE:
            self.parts.append(PyByteArray_FromStringAndSize(data, size))
            return 0
        before = PyByteArray_GET_SIZE(last)
        PyByteArray_Resize(last, before + size)
        memcpy(PyByteArray_AS_STRING(last) + before, data, size)
        return 0

    cdef int prepare_parts(self, int64_t size) except -1:
        """Make sure that a piece of *size* bytes can be queued."""
        return self.make_parts() if size > BLOCK_SIZE else 0

    cdef int make_parts(self) except -1:
        cdef list parts
        if self.parts is None:
            parts = []              # may run a finalizer, which may send
            if self.parts is None:
                self.parts = parts
        return 0

    cdef int put_rest(self, bytes data, size_t gone) except -1:
        """Queue bytes of which *gone* went already; others wait only if that is none."""
        self.parts.append(data)
        if gone:
            self.sent = gone
        return 0

    cdef int put_object(self, object data) except -1:
        """Queue bytes or a read-only memoryview: a small one copied, a large one as it is."""
        if PyBytes_CheckExact(data) and PyBytes_GET_SIZE(data) <= BLOCK_SIZE:
            return self.put(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
        if len(data) <= BLOCK_SIZE:
            return self.put_view(data)
        self.make_parts()
        self.parts.append(data)
        return 0

    cdef int put_view(self, object data) except -1:
        cdef Py_buffer view
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            return self.put(<char *>view.buf, view.len)
        finally:
            PyBuffer_Release(&view)

    cdef int put_piece_of_file(self, FileRange piece) except -1:
        """Queue a part of a file: a small one as bytes, so that it leaves with its head."""
        cdef bytes data
        if piece.remaining == 0:
            return 0
        if piece.remaining <= BLOCK_SIZE and not self.parts:
            reserve_space(&self.outbox, piece.remaining, &self.poller.pool)
            if piece.read_all(self.outbox.data + self.outbox.end):
                self.outbox.end += piece.remaining
                return 0
        self.make_parts()
        if piece.remaining <= SMALL:
            data = PyBytes_FromStringAndSize(NULL, piece.remaining)
            if piece.read_all(PyBytes_AS_STRING(data)):
                self.parts.append(data)
                return 0
        self.parts.append(piece)
        return 0

    @cython.nonecheck(False)
    cdef size_t waiting(self) noexcept:
        """Return how much waits to be sent, a large part counting as one byte more than a block."""
        return buffered_size(&self.outbox) + (BLOCK_SIZE + 1 if self.parts else 0)

    @cython.nonecheck(False)
    cdef int64_t parts_size(self) except -1:
        """Return how many bytes of large parts wait to be sent."""
        cdef int64_t size = -self.sent
        if not self.parts:
            return 0
        for part in self.parts:
            size += len(part)
        return size

    cdef int64_t acknowledged(self) noexcept:
        """Return how many bytes the peer's system has taken."""
        cdef int queued = 0
        ioctl(self.handle, SIOCOUTQ, &queued)
        return self.transferred - queued

    cdef int flush(self) except -1:
        """Send what waits: 1 when all of it went, 0 when some waits, 2 when the peer is gone."""
        cdef Py_ssize_t count
        cdef Py_ssize_t turn = 0
        while self.waiting():
            if self.broken:
                self.lose_output()
                return 2
            if turn > TURN:
                return 0
            count = self.transmit()
            if count == LATER:
                return 0
            if count == GONE:
                self.lose_output()
                return 2
            if count == CUT:
                self.shut()
                return 2
            self.take(count)
            turn += count
        return 1

    cdef size_t send_now(self, const char *head, size_t length, const char *data,
                         size_t size) noexcept:
        """Send two pieces without a copy, unless others wait; return how many bytes went.

        What is wrong, if nothing goes, the next `flush` will find out.
        """
        cdef iovec vectors[2]
        cdef msghdr message
        cdef Py_ssize_t count
        if self.waiting():
            return 0
        if length:
            fill_message(&message, vectors, head, length, data, size)
            count = sendmsg(self.handle, &message, MSG_NOSIGNAL)
        else:
            count = send(self.handle, data, size, MSG_NOSIGNAL)
        if count <= 0:
            return 0
        self.transferred += count
        return count

    cdef Py_ssize_t transmit(self) except -3:
        cdef Py_ssize_t count
        while True:
            if not self.parts:
                count = send(self.handle, self.outbox.data + self.outbox.start,
                             buffered_size(&self.outbox), MSG_NOSIGNAL)
            elif type(self.parts[0]) is FileRange:
                count = self.transmit_file(self.parts[0])
            else:
                count = self.gather(self.parts[0])
            if count >= 0 or count == GONE or count == CUT:
                return count
            if errno == EAGAIN:
                return LATER
            if errno != EINTR:
                return GONE

    cdef Py_ssize_t transmit_file(self, FileRange piece) except -3:
        # What precedes it leaves in one packet with it.
        cdef Py_ssize_t count
        cdef int64_t at = piece.offset
        if buffered_size(&self.outbox):
            return send(self.handle, self.outbox.data + self.outbox.start,
                        buffered_size(&self.outbox), MSG_NOSIGNAL | MSG_MORE)
        if not piece.use_copy:
            count = sendfile(self.handle, piece.file.fd, &at, min(piece.remaining, TURN))
            if count > 0 or (count < 0 and errno not in (EINVAL, ENOSYS, EOPNOTSUPP)):
                return count
            piece.use_copy = True     # some file systems cannot; or the file has ended
        return self.transmit_copy(piece)

    cdef Py_ssize_t transmit_copy(self, FileRange piece) except -3:
        # What the socket does not take is read again: it would have to be kept otherwise.
        cdef char scrap[SMALL]
        cdef Py_ssize_t count = piece.read_some(scrap, SMALL)
        if count < 0:
            log_truncation(piece)
            return CUT
        return send(self.handle, scrap, count, MSG_NOSIGNAL)

    cdef Py_ssize_t gather(self, object part) except -3:
        # the outbox and the first part in one call
        cdef Py_buffer view
        cdef iovec vectors[2]
        cdef msghdr message
        cdef Py_ssize_t count
        PyObject_GetBuffer(part, &view, PyBUF_SIMPLE)
        fill_message(&message, vectors, self.outbox.data + self.outbox.start,
                     buffered_size(&self.outbox), <char *>view.buf + self.sent,
                     view.len - self.sent)
        count = sendmsg(self.handle, &message, MSG_NOSIGNAL)
        PyBuffer_Release(&view)     # does not touch errno: a bytes or memoryview only counts down
        return count

    cdef int take(self, size_t count) except -1:
        # Forget what was sent. The last reference to a part may run code of the application, which
        # may send: it goes when everything here is up to date.
        cdef size_t head = min(count, buffered_size(&self.outbox))
        cdef object part
        self.transferred += count
        if head:
            consume_bytes(&self.outbox, head, &self.poller.pool)
        count -= head
        if count:
            part = self.parts[0]
            if type(part) is FileRange:
                if (<FileRange>part).advance(count):
                    del self.parts[0]
            else:
                self.sent += count
                if self.sent == len(part):
                    self.sent = 0
                    del self.parts[0]
        return 0

    cdef int lose_output(self) except -1:
        """Take note that nothing can be sent any more, and drop what waits."""
        cdef list parts = self.parts
        self.broken = True
        self.parts = None
        self.sent = 0
        consume_bytes(&self.outbox, buffered_size(&self.outbox), &self.poller.pool)
        if parts:
            parts.clear()       # last: freeing them may run code of the application
        return 0

    cdef int half_close(self) except -1:
        """Say that nothing more will be sent, and go on listening."""
        shutdown(self.handle, SHUT_WR)
        return 0

    cdef int on_closed(self) except -1:
        return_block(&self.inbox, &self.poller.pool)
        return_block(&self.outbox, &self.poller.pool)
        self.parts = None
        return 0
