"""The channel of a worker to the key process; see key_channel.pyx."""

from libc.stdint cimport int64_t

from kore._core.poller cimport Poller, PollSource
from kore._core.signing_queue cimport SigningQueue


cdef class KeySocket(PollSource):
    cdef KeyChannel channel

    cdef int read_responses(self) except -1
    cdef int handle_response(self, const unsigned char *data, size_t size) except -1


cdef class SignatureTimer(PollSource):
    cdef KeyChannel channel


cdef class KeyChannel:
    cdef SigningQueue *queue
    cdef Poller poller
    cdef KeySocket socket       # None: there is no key process at the moment
    cdef SignatureTimer timer
    cdef readonly size_t ignored_count      # responses to no request that waits
    cdef int64_t warned_at

    cdef int open_socket(self, int fd) except -1
    cdef int drop_socket(self, const char *reason) except -1
    cdef int fail_late_requests(self) except -1
    cdef bint may_warn(self) noexcept
