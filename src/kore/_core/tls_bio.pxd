"""The records of a TLS connection between OpenSSL and the socket."""

from libc.stdint cimport int64_t

from kore._core.openssl cimport BIO


cdef struct Wire:
    int fd
    char *sealed            # records that the socket has not taken; NULL: none
    size_t sealed_start     # offset of the first byte
    size_t sealed_end       # offset behind the last byte
    int64_t sent_size       # bytes that the socket has taken, in all
    int reads_left          # system calls that this call of OpenSSL may read with
    bint ended              # the peer has closed its side of the connection
    int error               # errno of what broke the connection; 0: nothing has


cdef BIO *make_bio(Wire *wire) except NULL
cdef void allow_reads(Wire *wire) noexcept nogil
cdef int peek_byte(Wire *wire) noexcept nogil
cdef int send_batch(Wire *wire, int flags) noexcept nogil
cdef int send_kept(Wire *wire) noexcept nogil
cdef void drop_batch() noexcept nogil
cdef void drop_kept(Wire *wire) noexcept nogil
