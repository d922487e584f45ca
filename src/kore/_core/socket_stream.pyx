# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""Move bytes between a socket and memory, without knowing what they mean.

All input passes `receive`, all output `transmit`: the two places where TLS comes in. Output is
queued as bytes (the outbox), and behind them as parts: large buffers and ranges of files, which are
sent from where they are.

What belongs together, a head and what follows it, is queued by several calls. None of them may run
a finalizer in between, which could queue something else: they allocate nothing that the garbage
collector tracks, since `prepare_parts` has made the list of parts.
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
    MSG_MORE, MSG_NOSIGNAL, SHUT_WR, SIOCOUTQ, SO_LINGER, SOL_SOCKET, ioctl, iovec, linger, msghdr,
    recv, send, sendfile, sendmsg, setsockopt, shutdown)
from kore._core.socket_io cimport IO_AGAIN, IO_LOST, IO_TRUNCATED

from kore._core.file import log_truncation

cdef enum:
    TURN_SIZE = 1 << 20         # bytes one socket may send before others have their turn
    COPY_MAX = 1 << 16          # bytes of a file up to which reading it is cheaper than sendfile()


cdef class SocketStream(PollSource):
    """A connected socket with an inbox and an outbox."""

    def __dealloc__(self):
        free(self.inbox.data)       # to the heap: the poller and its pool may be gone already
        free(self.outbox.data)

    # ---- input

    cdef Py_ssize_t receive(self, char *data, size_t size) except -3:
        """Read once: a count, 0 at the end of input, IO_AGAIN or IO_LOST."""
        cdef Py_ssize_t count
        if self.tls is None:
            count = self.receive_raw(data, size)
        else:
            count = self.tls.receive(data, size)
            self.note_records()
        if count > 0:
            self.received_size += count
        return count

    cdef Py_ssize_t receive_raw(self, char *data, size_t size) noexcept:
        """Read once what the socket has; with TLS, only to discard it."""
        cdef Py_ssize_t count
        while True:
            count = recv(self.fd, data, size, 0)
            if count >= 0:
                return count
            if errno == EAGAIN:
                return IO_AGAIN
            if errno != EINTR:
                return IO_LOST

    cdef void note_records(self) noexcept:
        """Take over the counters of the TLS layer, which may have sent something."""
        self.sealed_size = self.tls.sealed_size
        self.wire_size = self.tls.wire_size

    cdef Py_ssize_t read_into_inbox(self) except -3:
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

    cdef void consume_input(self, size_t size) noexcept:
        """Drop bytes from the front of the inbox."""
        consume_bytes(&self.inbox, size, &self.poller.pool)

    cdef void remove_tls(self) noexcept:
        """Go on without TLS: what the socket has was not sent by a client that speaks it."""
        self.tls.close()
        self.note_records()
        self.tls = None

    cdef int64_t bytes_consumed(self) noexcept:
        """Return how many bytes were received and worked on: a position in the input."""
        return self.received_size - <int64_t>buffered_size(&self.inbox)

    # ---- queueing output

    @cython.nonecheck(False)
    cdef int queue_copy(self, const char *data, size_t size) except -1:
        """Queue a copy of some bytes."""
        if size == 0:       # a part that never gets shorter would be sent for ever
            return 0
        if self.parts:
            return self.queue_after_parts(data, size)
        return append_bytes(&self.outbox, data, size, &self.poller.pool)

    cdef int queue_after_parts(self, const char *data, size_t size) except -1:
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
        """Make sure that a piece of *size* bytes can be queued without allocating."""
        return self.make_parts() if size > BLOCK_SIZE else 0

    cdef int make_parts(self) except -1:
        cdef list parts
        if self.parts is None:
            parts = []              # may run a finalizer, which may send
            if self.parts is None:
                self.parts = parts
        return 0

    cdef int queue_rest(self, bytes data, size_t gone) except -1:
        """Queue bytes of which *gone* were sent already; other output waits only if that is 0."""
        self.parts.append(data)
        if gone:
            self.part_sent = gone
        return 0

    cdef int queue_buffer(self, object data) except -1:
        """Queue bytes or a read-only memoryview: a small one copied, a large one as it is."""
        if PyBytes_CheckExact(data) and PyBytes_GET_SIZE(data) <= BLOCK_SIZE:
            return self.queue_copy(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
        if len(data) <= BLOCK_SIZE:
            return self.queue_view(data)
        self.make_parts()
        self.parts.append(data)
        return 0

    cdef int queue_view(self, object data) except -1:
        cdef Py_buffer view
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            return self.queue_copy(<char *>view.buf, view.len)
        finally:
            PyBuffer_Release(&view)

    cdef int queue_file(self, FileRange piece) except -1:
        """Queue a range of a file: a small one as bytes, so that it leaves with its head."""
        cdef bytes data
        if piece.remaining == 0:
            return 0
        if piece.remaining <= BLOCK_SIZE and not self.parts:
            reserve_space(&self.outbox, piece.remaining, &self.poller.pool)
            if piece.read_all(self.outbox.data + self.outbox.end):
                self.outbox.end += piece.remaining
                return 0
        self.make_parts()
        if piece.remaining <= COPY_MAX:
            data = PyBytes_FromStringAndSize(NULL, piece.remaining)
            if piece.read_all(PyBytes_AS_STRING(data)):
                self.parts.append(data)
                return 0
        self.parts.append(piece)
        return 0

    # ---- how much

    @cython.nonecheck(False)
    cdef size_t pending_size(self) noexcept:
        """Return how much waits to be sent, any large part counting as a block and a byte."""
        return buffered_size(&self.outbox) + self.sealed_size + (
            BLOCK_SIZE + 1 if self.parts else 0)

    @cython.nonecheck(False)
    cdef int64_t parts_size(self) except -1:
        """Return how many bytes of large parts wait to be sent."""
        cdef int64_t size = -self.part_sent
        if not self.parts:
            return 0
        for part in self.parts:
            size += len(part)
        return size

    @cython.nonecheck(False)
    cdef int64_t bytes_queued(self) except -1:
        """Return how many bytes were ever sent or wait: a position in the output."""
        cdef int64_t position = self.sent_size + <int64_t>buffered_size(&self.outbox)
        return position + self.parts_size() if self.parts else position

    cdef int64_t bytes_acknowledged(self) noexcept:
        """Return how many bytes of `wire_size` the peer's system has acknowledged."""
        cdef int queued = 0
        ioctl(self.fd, SIOCOUTQ, &queued)
        return self.wire_size - queued

    # ---- sending

    cdef FlushResult flush(self) except *:
        """Send what waits, as much as the socket takes."""
        cdef Py_ssize_t count
        cdef Py_ssize_t turn = 0
        while self.pending_size():
            if self.broken:
                self.lose_output()
                return LOST
            if turn > TURN_SIZE:
                return PENDING
            count = self.send_next()
            if count == IO_AGAIN:
                return PENDING
            if count == IO_LOST:
                self.lose_output()
                return LOST
            if count == IO_TRUNCATED:
                self.close()
                return LOST
            self.consume_sent(count)
            turn += count
        return FLUSHED

    cdef size_t send_now(self, const char *head, size_t length, const char *data,
                         size_t size) noexcept:
        """Send two pieces without a copy, unless output waits; return how many bytes went.

        If nothing goes, the next `flush` finds out why.
        """
        cdef Output output
        cdef Py_ssize_t count
        if self.pending_size():
            return 0
        output.head = head
        output.head_size = length
        output.data = data
        output.size = size
        output.flags = 0
        count = self.transmit(&output)
        if count <= 0:
            return 0
        self.sent_size += count
        return count

    cdef Py_ssize_t transmit(self, Output *output) noexcept:
        """Make one system call of all that is ever sent: a count, IO_AGAIN or IO_LOST (errno)."""
        cdef iovec vectors[2]
        cdef msghdr message
        cdef Py_ssize_t count
        if self.tls is not None:
            count = self.tls.transmit(output)
            self.note_records()
            return count
        while True:
            if output.data == NULL:
                count = sendfile(self.fd, output.file, &output.offset, output.size)
            elif output.head_size == 0:
                count = send(self.fd, output.data, output.size, MSG_NOSIGNAL | output.flags)
            else:
                vectors[0].iov_base = <void *>output.head
                vectors[0].iov_len = output.head_size
                vectors[1].iov_base = <void *>output.data
                vectors[1].iov_len = output.size
                memset(&message, 0, sizeof(msghdr))
                message.msg_iov = vectors
                message.msg_iovlen = 2
                count = sendmsg(self.fd, &message, MSG_NOSIGNAL | output.flags)
            if count >= 0:
                self.wire_size += count
                return count
            if errno == EAGAIN:
                return IO_AGAIN
            if errno != EINTR:
                return IO_LOST

    cdef Py_ssize_t send_next(self) except -3:
        """Send what is next in the queue, in one system call."""
        cdef Output output
        cdef Py_ssize_t count
        if self.sealed_size:
            count = self.tls.send_sealed()
            self.note_records()
            return count
        if self.parts:
            if type(self.parts[0]) is FileRange:
                return self.send_file_range(self.parts[0])
            return self.send_part(self.parts[0])
        output.head_size = 0
        output.data = self.outbox.data + self.outbox.start
        output.size = buffered_size(&self.outbox)
        output.flags = 0
        return self.transmit(&output)

    cdef Py_ssize_t send_file_range(self, FileRange piece) except -3:
        cdef Output output
        cdef Py_ssize_t count
        output.head_size = 0
        if buffered_size(&self.outbox):     # leaves in one packet with the file
            output.data = self.outbox.data + self.outbox.start
            output.size = buffered_size(&self.outbox)
            output.flags = MSG_MORE
            return self.transmit(&output)
        if piece.use_copy:
            return self.send_file_copy(piece)
        output.data = NULL
        output.file = piece.file.fd
        output.offset = piece.offset
        output.size = min(piece.remaining, TURN_SIZE)
        output.flags = 0
        count = self.transmit(&output)
        if count > 0 or count == IO_AGAIN:
            return count
        if count == IO_LOST and errno not in (EINVAL, ENOSYS, EOPNOTSUPP):
            return IO_LOST
        piece.use_copy = True       # some file systems cannot; or the file has ended
        return self.send_file_copy(piece)

    cdef Py_ssize_t send_file_copy(self, FileRange piece) except -3:
        # What the socket does not take is read again: it would have to be kept otherwise.
        cdef char scratch[COPY_MAX]
        cdef Py_ssize_t count = piece.read_some(scratch, COPY_MAX)
        cdef Output output
        if count < 0:
            log_truncation(piece)
            return IO_TRUNCATED
        output.head_size = 0
        output.data = scratch
        output.size = count
        output.flags = 0
        return self.transmit(&output)

    cdef Py_ssize_t send_part(self, object part) except -3:
        # the outbox and the first part in one call
        cdef Py_buffer view
        cdef Output output
        cdef Py_ssize_t count
        PyObject_GetBuffer(part, &view, PyBUF_SIMPLE)
        output.head = self.outbox.data + self.outbox.start
        output.head_size = buffered_size(&self.outbox)
        output.data = <char *>view.buf + self.part_sent
        output.size = view.len - self.part_sent
        output.flags = 0
        count = self.transmit(&output)
        PyBuffer_Release(&view)
        return count

    cdef int consume_sent(self, size_t count) except -1:
        # Forget what was sent. The last reference to a part may run code of the application, which
        # may send: it goes when everything here is up to date.
        cdef size_t head = min(count, buffered_size(&self.outbox))
        cdef object part
        self.sent_size += count
        if head:
            consume_bytes(&self.outbox, head, &self.poller.pool)
        count -= head
        if count:
            part = self.parts[0]
            if type(part) is FileRange:
                if (<FileRange>part).advance(count):
                    del self.parts[0]
            else:
                self.part_sent += count
                if self.part_sent == len(part):
                    self.part_sent = 0
                    del self.parts[0]
        return 0

    # ---- the end

    cdef int lose_output(self) except -1:
        """Note that nothing can be sent any more, and drop what waits."""
        cdef list parts = self.parts
        self.broken = True
        self.parts = None
        self.part_sent = 0
        consume_bytes(&self.outbox, buffered_size(&self.outbox), &self.poller.pool)
        if self.sealed_size:
            self.tls.drop_sealed()
            self.sealed_size = 0
        if parts:
            parts.clear()       # last: freeing them may run code of the application
        return 0

    cdef bint send_close_notify(self) noexcept:
        """With TLS, tell the peer that nothing more will be sent; return whether that has left."""
        if self.tls is None or self.broken:
            return True
        self.tls.send_close_notify()
        self.note_records()
        return not self.sealed_size

    cdef int half_close(self) except -1:
        """Tell the peer that nothing more will be sent, and go on receiving."""
        shutdown(self.fd, SHUT_WR)
        return 0

    cdef int abort(self) except -1:
        """Close with a reset: the peer must not take what it has for the whole."""
        cdef linger now
        if not self.closed:
            now.l_onoff = 1
            now.l_linger = 0
            setsockopt(self.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now))
        if self.tls is not None:
            self.tls.close()        # no close_notify: it would say that this is the whole
        return self.close()

    cdef int close(self) except -1:
        cdef bint orderly = not self.closed and not self.pending_size()
        PollSource.close(self)      # finds out whether the descriptor is still this socket's
        if orderly and not self.fd_lost and self.fd >= 0:
            self.send_close_notify()
        return 0

    cdef int on_closed(self) except -1:
        if self.tls is not None:
            self.tls.close()
        return_block(&self.inbox, &self.poller.pool)
        return_block(&self.outbox, &self.poller.pool)
        self.parts = None
        return 0
