"""A socket with bytes waiting on both sides."""

from libc.stdint cimport int64_t

from kore._core.buffer cimport Buffer
from kore._core.file cimport FileRange
from kore._core.poller cimport PollSource
from kore._core.socket_io cimport Output
from kore._core.tls_layer cimport TlsLayer


cdef enum FlushResult:
    PENDING = 0                 # some output waits
    FLUSHED = 1                 # all of it went
    LOST = 2                    # the peer is gone


cdef class SocketStream(PollSource):
    cdef Buffer inbox           # received, not yet worked on
    cdef Buffer outbox          # to be sent
    cdef list parts             # to be sent after the outbox: large pieces, files; never copied
    cdef Py_ssize_t part_sent   # bytes of the first part that have gone
    cdef bint ended             # all that the peer sent is read
    cdef bint broken            # nothing can be sent any more; what was received can be read
    cdef TlsLayer tls           # None: no TLS
    cdef size_t sealed_size     # bytes of TLS records that the socket has not taken
    cdef int64_t sent_size      # bytes sent in all; with TLS, before encryption
    cdef int64_t wire_size      # bytes given to the kernel in all
    cdef int64_t received_size  # bytes received in all; with TLS, after decryption

    cdef Py_ssize_t receive(self, char *data, size_t size) except -3
    cdef Py_ssize_t receive_raw(self, char *data, size_t size) noexcept
    cdef void note_records(self) noexcept
    cdef Py_ssize_t read_into_inbox(self) except -3
    cdef void consume_input(self, size_t size) noexcept
    cdef int queue_copy(self, const char *data, size_t size) except -1
    cdef int queue_after_parts(self, const char *data, size_t size) except -1
    cdef int prepare_parts(self, int64_t size) except -1
    cdef int make_parts(self) except -1
    cdef int queue_view(self, object data) except -1
    cdef int queue_rest(self, bytes data, size_t gone) except -1
    cdef int queue_buffer(self, object data) except -1
    cdef int queue_file(self, FileRange piece) except -1
    cdef size_t pending_size(self) noexcept
    cdef int64_t parts_size(self) except -1
    cdef int64_t bytes_queued(self) except -1
    cdef int64_t bytes_consumed(self) noexcept
    cdef int64_t bytes_acknowledged(self) noexcept
    cdef FlushResult flush(self) except *
    cdef size_t send_now(self, const char *head, size_t length, const char *data,
                         size_t size) noexcept
    cdef Py_ssize_t transmit(self, Output *output) noexcept
    cdef Py_ssize_t send_next(self) except -3
    cdef Py_ssize_t send_file_range(self, FileRange piece) except -3
    cdef Py_ssize_t send_file_copy(self, FileRange piece) except -3
    cdef Py_ssize_t send_part(self, object part) except -3
    cdef int consume_sent(self, size_t count) except -1
    cdef int lose_output(self) except -1
    cdef void remove_tls(self) noexcept
    cdef bint send_close_notify(self) noexcept
    cdef int half_close(self) except -1
    cdef int abort(self) except -1
