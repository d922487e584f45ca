# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""The records of a TLS connection between OpenSSL and the socket: a BIO with one buffer for all.

OpenSSL reads straight from the socket. What it writes is collected in a batch, so that one system
call sends many records. The batch belongs to no connection: each call of OpenSSL is followed by
`send_batch` or `drop_batch` before anything else runs, also when a handshake has been paused in the
middle. What the socket does not take then is kept for its connection.

These functions run within jobs of OpenSSL, which have a small stack of their own: they use nothing
of Python.
"""

from libc.errno cimport EAGAIN, EINTR, ENOBUFS, ENOMEM, errno
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memmove

from kore._core.libc cimport MSG_NOSIGNAL, MSG_PEEK, recv, send
from kore._core.openssl cimport (
    BIO_CTRL_FLUSH, BIO_METHOD, BIO_TYPE_SOURCE_SINK, BIO_clear_retry_flags, BIO_get_data,
    BIO_get_new_index, BIO_meth_new, BIO_meth_set_ctrl, BIO_meth_set_read, BIO_meth_set_write,
    BIO_new, BIO_set_data, BIO_set_init, BIO_set_retry_read)
from kore._core.socket_io cimport IO_AGAIN, IO_LOST

cdef enum:
    BATCH_SIZE = 16 * (16384 + 256)     # sixteen records of the largest size, RFC 8446 5.2
    # A peer that reads nothing can cause alerts and updates of keys: more than this ends it.
    SEALED_MAX = 4 * BATCH_SIZE
    # OpenSSL reads on until there is data of the application: a peer that sends only updates of
    # keys would keep the others waiting.
    READS_MAX = 4


cdef struct Batch:
    size_t size
    char data[BATCH_SIZE]


cdef Batch batch


cdef int keep_batch(Wire *wire) noexcept nogil:
    """Move the batch to what waits for its socket; return 0, or IO_LOST."""
    cdef size_t kept = wire.sealed_end - wire.sealed_start
    cdef char *data
    if kept + batch.size > SEALED_MAX:
        wire.error = ENOBUFS
        return IO_LOST
    if wire.sealed_start:
        memmove(wire.sealed, wire.sealed + wire.sealed_start, kept)
    data = <char *>realloc(wire.sealed, kept + batch.size)
    if data == NULL:
        wire.error = ENOMEM
        return IO_LOST
    memcpy(data + kept, batch.data, batch.size)
    wire.sealed = data
    wire.sealed_start = 0
    wire.sealed_end = kept + batch.size
    batch.size = 0
    return 0


cdef Py_ssize_t send_bytes(Wire *wire, const char *data, size_t size, int flags) noexcept nogil:
    """Make one system call: a count, IO_AGAIN or IO_LOST."""
    cdef Py_ssize_t count
    while True:
        count = send(wire.fd, data, size, MSG_NOSIGNAL | flags)
        if count >= 0:
            wire.sent_size += count
            return count
        if errno == EAGAIN:
            return IO_AGAIN
        if errno != EINTR:
            wire.error = errno
            return IO_LOST


cdef int send_batch(Wire *wire, int flags) noexcept nogil:
    """Send the batch, and keep what the socket does not take; return 0, or IO_LOST."""
    cdef Py_ssize_t count
    if batch.size == 0:
        return IO_LOST if wire.error else 0
    if wire.sealed == NULL and not wire.error:
        count = send_bytes(wire, batch.data, batch.size, flags)
        if count == <Py_ssize_t>batch.size:
            batch.size = 0
            return 0
        if count > 0:
            batch.size -= count
            memmove(batch.data, batch.data + count, batch.size)
    if wire.error or keep_batch(wire) < 0:
        batch.size = 0
        return IO_LOST
    return 0


cdef void drop_batch() noexcept nogil:
    """Forget what OpenSSL has written."""
    batch.size = 0


cdef int send_kept(Wire *wire) noexcept nogil:
    """Send what was kept: 0 when nothing is left, IO_AGAIN or IO_LOST."""
    cdef Py_ssize_t count
    if wire.sealed == NULL:
        return 0
    count = send_bytes(
        wire, wire.sealed + wire.sealed_start, wire.sealed_end - wire.sealed_start, 0)
    if count < 0:
        return <int>count
    wire.sealed_start += count
    if wire.sealed_start < wire.sealed_end:
        return IO_AGAIN
    drop_kept(wire)
    return 0


cdef void drop_kept(Wire *wire) noexcept nogil:
    """Forget what was kept."""
    free(wire.sealed)
    wire.sealed = NULL
    wire.sealed_start = wire.sealed_end = 0


cdef void allow_reads(Wire *wire) noexcept nogil:
    """Let the next call of OpenSSL read a few times; what is left then causes another event."""
    wire.reads_left = READS_MAX


cdef int peek_byte(Wire *wire) noexcept nogil:
    """Return the first byte that the socket has, and leave it there; negative: it has none."""
    cdef unsigned char first = 0
    return first if recv(wire.fd, &first, 1, MSG_PEEK) == 1 else -1


# ---- what OpenSSL calls

cdef int read_wire(BIO *bio, char *data, int size) noexcept nogil:
    cdef Wire *wire = <Wire *>BIO_get_data(bio)
    cdef Py_ssize_t count
    BIO_clear_retry_flags(bio)
    if wire.reads_left == 0:
        BIO_set_retry_read(bio)
        return -1
    wire.reads_left -= 1
    while True:
        count = recv(wire.fd, data, size, 0)
        if count > 0:
            return <int>count
        if count == 0:
            wire.ended = True
            return 0
        if errno == EAGAIN:
            BIO_set_retry_read(bio)
            return -1
        if errno != EINTR:
            wire.error = errno
            return -1


cdef int write_wire(BIO *bio, const char *data, int size) noexcept nogil:
    cdef Wire *wire = <Wire *>BIO_get_data(bio)
    BIO_clear_retry_flags(bio)
    if size > BATCH_SIZE - <int>batch.size and send_batch(wire, 0) < 0:
        return -1
    if wire.error or size > BATCH_SIZE:
        return -1
    memcpy(batch.data + batch.size, data, size)
    batch.size += size
    return size


cdef long control_wire(BIO *bio, int command, long number, void *data) noexcept nogil:
    # The end of input is not announced here: OpenSSL would take it for an error, after which it
    # sends nothing more, and a peer may end its side before it reads the response.
    return command == BIO_CTRL_FLUSH


cdef BIO_METHOD *make_method() except NULL:
    cdef BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, b"kore")
    if method == NULL:
        raise MemoryError
    BIO_meth_set_read(method, read_wire)
    BIO_meth_set_write(method, write_wire)
    BIO_meth_set_ctrl(method, control_wire)
    return method


cdef BIO_METHOD *METHOD = make_method()


cdef BIO *make_bio(Wire *wire) except NULL:
    """Return a BIO for *wire*, which has to outlive it."""
    cdef BIO *bio = BIO_new(METHOD)
    if bio == NULL:
        raise MemoryError
    BIO_set_data(bio, wire)
    BIO_set_init(bio, 1)
    return bio
