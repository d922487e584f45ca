# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""The TLS of one connection, by OpenSSL: its handshake, and records in both directions.

Every function that calls OpenSSL clears its error queue before, which is one for all connections,
and sends what OpenSSL has written before it returns (tls_bio.pyx).

During the handshake, a signature is made by another process: OpenSSL runs the handshake as a job,
which is paused until the signature is there. `resume_handshake` then has the transport go on.
"""

from libc.errno cimport EINTR, errno
from libc.string cimport memcpy

from kore._core.libc cimport pread
from kore._core.openssl cimport (
    BIO, ERR_clear_error, SSL_ERROR_WANT_ASYNC, SSL_ERROR_WANT_READ, SSL_ERROR_ZERO_RETURN,
    SSL_MODE_ASYNC, SSL_clear_mode, SSL_do_handshake, SSL_free, SSL_get_error, SSL_has_pending,
    SSL_read_ex, SSL_set_async_callback, SSL_set_async_callback_arg, SSL_set_bio, SSL_set_mode,
    SSL_shutdown, SSL_write_ex)
from kore._core.openssl_provider cimport SSL_waiting_for_async
from kore._core.socket_io cimport IO_AGAIN, IO_LOST, Output
from kore._core.tls_bio cimport (
    allow_reads, drop_batch, drop_kept, make_bio, peek_byte, send_batch, send_kept)
from kore._core.tls_client cimport (
    get_client_certificate, get_client_names, is_client_revoked)
from kore._core.tls_peer cimport describe_failure as describe_ssl_failure
from kore._core.tls_peer cimport fill_layer

cdef enum:
    RECORD_SIZE = 16384     # bytes of plaintext in the largest record, RFC 8446 5.1
    RECORDS_MAX = 16        # records that leave with one system call
    FILE_PIECE_SIZE = 4 * RECORD_SIZE

cdef char plaintext[FILE_PIECE_SIZE]    # what is about to be encrypted


cdef int resume_handshake(SSL *ssl, void *session) noexcept with gil:
    """Go on with a handshake: the signature that it waits for is there, or will never be."""
    cdef TlsSession self = <TlsSession>session
    self.paused = False
    self.has_buffered_input = True      # not of the peer, but there is something to be done
    try:
        self.call_soon(self.resume)
    except BaseException:       # a loop that is closed: the time limit ends the handshake
        pass
    return 1


cdef TlsSession make_session(SSL *ssl, int fd, object owner):
    """Return the TLS of an accepted connection. The session frees *ssl*, which needs *owner*."""
    cdef TlsSession session = TlsSession.__new__(TlsSession)
    cdef BIO *bio
    session.ssl = ssl
    session.owner = owner
    session.wire.fd = fd
    bio = make_bio(&session.wire)
    SSL_set_bio(ssl, bio, bio)
    SSL_set_mode(ssl, SSL_MODE_ASYNC)
    SSL_set_async_callback(ssl, resume_handshake)
    SSL_set_async_callback_arg(ssl, <void *>session)
    return session


cdef class TlsSession(TlsLayer):
    """The TLS of one connection, by OpenSSL."""

    def __dealloc__(self):
        self.close()

    cdef void note_wire(self) noexcept:
        self.sealed_size = self.wire.sealed_end - self.wire.sealed_start
        self.wire_size = self.wire.sent_size

    # ---- input

    cdef Py_ssize_t receive(self, char *data, size_t size) noexcept:
        cdef size_t count = 0
        cdef Py_ssize_t done
        if self.ssl == NULL:
            return IO_LOST
        if not self.established:
            done = self.do_handshake()
            if not self.established:
                return done
        ERR_clear_error()
        allow_reads(&self.wire)
        if SSL_read_ex(self.ssl, data, size, &count):
            self.has_buffered_input = SSL_has_pending(self.ssl)
            done = <Py_ssize_t>count
        else:
            done = self.read_failed()
        send_batch(&self.wire, 0)       # a response to an update of keys, an alert
        self.note_wire()
        return done

    cdef Py_ssize_t read_failed(self) noexcept:
        """Return what it means that OpenSSL has nothing to read."""
        cdef int error = SSL_get_error(self.ssl, 0)
        self.has_buffered_input = False
        if error == SSL_ERROR_WANT_READ:
            return IO_AGAIN
        if error == SSL_ERROR_ZERO_RETURN or self.wire.ended:
            return 0
        return IO_LOST

    # ---- the handshake

    cdef Py_ssize_t do_handshake(self) noexcept:
        """Go on with the handshake: IO_AGAIN, or what ends the input."""
        cdef int error
        cdef int done
        if self.paused or self.failed:
            return IO_AGAIN
        if self.begins_with_letter():
            self.failed = self.plain = True
            return IO_AGAIN
        self.has_buffered_input = False
        ERR_clear_error()
        allow_reads(&self.wire)
        done = SSL_do_handshake(self.ssl)
        error = SSL_get_error(self.ssl, done)
        send_batch(&self.wire, 0)       # also when it is paused: the batch is for all connections
        self.note_wire()
        if done == 1:
            self.established = True
            SSL_clear_mode(self.ssl, SSL_MODE_ASYNC)
        elif error == SSL_ERROR_WANT_ASYNC:
            self.paused = True
        elif error != SSL_ERROR_WANT_READ:
            if self.wire.ended or self.wire.error:
                return 0 if self.wire.ended else IO_LOST
            self.failed = True
        return IO_AGAIN

    cdef bint begins_with_letter(self) noexcept:
        """Return whether the first byte that has come is that of a request without TLS."""
        cdef int first
        if self.began:
            return False
        first = peek_byte(&self.wire)
        self.began = first >= 0
        return b"A" <= first <= b"Z"

    cdef int note_handshake(self) except -1:
        return fill_layer(self.ssl, self)

    cdef str describe_failure(self):
        return "the connection is closed" if self.ssl == NULL else describe_ssl_failure(self.ssl)

    cdef bytes get_peer_certificate(self):
        return None if self.ssl == NULL else get_client_certificate(self.ssl)

    cdef dict get_peer_names(self):
        return None if self.ssl == NULL else get_client_names(self.ssl)

    cdef bint is_revoked(self) noexcept:
        return self.ssl != NULL and not self.failed and is_client_revoked(self.ssl)

    # ---- output

    cdef Py_ssize_t transmit(self, Output *output) noexcept:
        cdef Py_ssize_t done
        if self.ssl == NULL or not self.established:
            return IO_LOST
        if self.sealed_size:
            done = self.send_sealed()
            if done < 0:
                return done
        if output.data == NULL:
            done = self.seal_file(output.file, output.offset, output.size)
        else:
            done = self.seal(output.head, output.head_size, output.data, output.size)
        if send_batch(&self.wire, output.flags) < 0:
            done = IO_LOST
        self.note_wire()
        return done

    cdef Py_ssize_t seal(self, const char *head, size_t head_size, const char *data,
                         size_t size) noexcept:
        """Make records of two pieces, the end of the first together with the second."""
        cdef Py_ssize_t total = 0
        cdef const char *piece
        cdef size_t length, both, count
        cdef int _record
        for _record in range(RECORDS_MAX):
            if head_size == 0:
                piece = data
                length = min(size, <size_t>RECORD_SIZE)
            elif head_size >= RECORD_SIZE or size == 0:
                piece = head
                length = min(head_size, <size_t>RECORD_SIZE)
            else:
                both = min(size, RECORD_SIZE - head_size)
                memcpy(plaintext, head, head_size)
                memcpy(plaintext + head_size, data, both)
                piece = plaintext
                length = head_size + both
            if length == 0:
                break
            ERR_clear_error()
            count = 0
            if not SSL_write_ex(self.ssl, piece, length, &count):
                return total or IO_LOST
            total += count
            both = min(count, head_size)
            head += both
            head_size -= both
            data += count - both
            size -= count - both
        return total

    cdef Py_ssize_t seal_file(self, int file, int64_t offset, size_t size) noexcept:
        """Make records of a range of a file; return 0 if nothing of it can be read."""
        cdef Py_ssize_t total = 0
        cdef Py_ssize_t count
        cdef int _piece
        for _piece in range(RECORDS_MAX * RECORD_SIZE // FILE_PIECE_SIZE):
            if total == <Py_ssize_t>size:
                break
            count = pread(file, plaintext, min(size - total, <size_t>FILE_PIECE_SIZE),
                          offset + total)
            if count > 0:
                count = self.seal(NULL, 0, plaintext, count)
                if count < 0:
                    return total or IO_LOST
                total += count
            elif count == 0 or errno != EINTR:
                break
        return total

    cdef Py_ssize_t send_sealed(self) noexcept:
        cdef Py_ssize_t done = send_kept(&self.wire)
        self.note_wire()
        return done

    cdef void drop_sealed(self) noexcept:
        drop_kept(&self.wire)
        self.note_wire()

    # ---- the end

    cdef void send_close_notify(self) noexcept:
        if self.ssl == NULL or not self.established or self.ending or self.sealed_size:
            return
        self.ending = True
        ERR_clear_error()
        SSL_shutdown(self.ssl)
        send_batch(&self.wire, 0)
        self.note_wire()

    cdef void close(self) noexcept:
        if self.ssl == NULL:
            return
        # Also if the signature has just come, and the handshake was about to go on: SSL_free would
        # leak the job and its stack.
        if SSL_waiting_for_async(self.ssl):
            ERR_clear_error()
            SSL_do_handshake(self.ssl)      # ends the job
            self.paused = False
        SSL_free(self.ssl)
        self.ssl = NULL
        drop_batch()
        drop_kept(&self.wire)
        self.note_wire()
        self.owner = self.call_soon = self.resume = None
