"""What one system call on a socket, or one call of its TLS layer, is given and returns."""

from libc.stdint cimport int64_t


cdef enum IoResult:             # beside counts of bytes
    IO_LOST = -2                # the peer is no longer there
    IO_AGAIN = -1               # nothing now; epoll will tell
    IO_TRUNCATED = -4           # a file has less than was announced: only closing helps now


cdef struct Output:             # what one call sends
    const char *head
    size_t head_size
    const char *data            # NULL: from a file
    size_t size
    int file                    # its descriptor
    int64_t offset
    int flags
