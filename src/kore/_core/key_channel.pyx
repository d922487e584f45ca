# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""The channel of a worker to the key process: requests for signatures, and the responses.

One datagram is a request: a head (`RequestHead` in signing_queue.pxd) and the whole text to be
signed. One datagram is the response: the id of its request and the signature, or the id alone if
the key process refuses. Responses may come in any order, late, or never: a request fails after
`timeout_ms`, and a response to no request that waits is ignored.

Requests are made by the async jobs of handshakes (remote_key.pyx). A request that ends, in either
way, calls the callback of its handshake, which has the job resumed.
"""

from libc.errno cimport EINTR, errno
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

from kore._core.libc cimport (
    CLOCK_MONOTONIC, EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLRDHUP, MSG_DONTWAIT, TFD_CLOEXEC,
    TFD_NONBLOCK, read, recv, timerfd_create)
from kore._core.poller cimport Poller, PollSource
from kore._core.signing_queue cimport (
    FAILED, WAITING_MAX, SigningRequest, accept_signature, arm_timer, find_request, finish_request,
    new_queue, precise_ms, release_queue, send_unsent)

import logging
import os

log = logging.getLogger("kore")

cdef enum:
    RESPONSE_MAX = 4096         # bytes; a signature of RSA-16384 has 2048
    WARN_INTERVAL_MS = 60000    # between two warnings that signatures fail

cdef const char *NOT_IN_TIME = b"the key process has not signed in time"
cdef const char *REPLACED = b"the key process was restarted"
cdef const char *ENDED = b"the key process has ended"
cdef const char *CLOSED = b"the worker is ending"


cdef class KeyChannel:
    """Requests signatures of the key process.

    *fd* is an end of a SOCK_SEQPACKET pair, and belongs to the channel from here on. The channel
    stays open while the worker drains: handshakes go on as long as there are connections.
    """

    def __cinit__(self):
        self.queue = new_queue(0)
        if self.queue == NULL:
            raise MemoryError

    def __dealloc__(self):
        self.queue.fd = self.queue.timer_fd = -1
        release_queue(self.queue)

    def __init__(self, Poller poller not None, int fd, int timeout_ms=250):
        cdef int timer_fd
        if self.poller is not None:
            raise RuntimeError("a key channel begins once")
        if timeout_ms < 1:
            raise ValueError("timeout_ms must be at least 1")
        timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)
        if timer_fd < 0:
            raise OSError(errno, os.strerror(errno))
        self.poller = poller
        self.timer = SignatureTimer.__new__(SignatureTimer)
        self.timer.channel = self
        self.timer.attach(poller, timer_fd)
        self.timer.watch(EPOLLIN)
        self.queue.timer_fd = timer_fd
        self.queue.timeout_ms = timeout_ms
        self.open_socket(fd)

    @property
    def waiting_count(self):
        """Number of signatures that handshakes wait for."""
        return self.queue.count

    def replace(self, int fd):
        """Use the channel *fd* of a key process that was restarted; what waits fails at once."""
        if self.timer is None:
            raise RuntimeError("the key channel is closed")
        self.drop_socket(REPLACED)
        self.open_socket(fd)

    def close(self):
        """Close the channel; what waits fails at once."""
        if self.timer is not None:
            self.timer.close()
            self.timer = None
            self.drop_socket(CLOSED)

    cdef int open_socket(self, int fd) except -1:
        self.socket = KeySocket.__new__(KeySocket)
        self.socket.channel = self
        self.socket.attach(self.poller, fd)
        self.socket.watch(EPOLLIN | EPOLLRDHUP)
        self.queue.fd = fd
        return 0

    cdef int drop_socket(self, const char *reason) except -1:
        """Close the socket and fail all requests, also those which that causes."""
        cdef SigningRequest *request
        self.queue.fd = -1
        if self.socket is not None:
            self.socket.close()
            self.socket = None
        while self.queue.first != NULL:
            request = self.queue.first
            request.error = reason
            finish_request(self.queue, request, FAILED)
        return 0

    cdef int fail_late_requests(self) except -1:
        """Fail the requests whose time has passed; have the timer expire for the next one."""
        cdef int64_t now = precise_ms()
        cdef size_t failed = 0
        cdef SigningRequest *request = self.queue.first
        while request != NULL and request.deadline <= now:
            request.error = NOT_IN_TIME
            finish_request(self.queue, request, FAILED)
            failed += 1
            request = self.queue.first
        if request != NULL:
            arm_timer(self.queue, request.deadline - now)
        if failed and self.may_warn():
            log.warning("the key process does not sign within %d ms: TLS handshakes fail",
                        self.queue.timeout_ms)
        return 0

    cdef bint may_warn(self) noexcept:
        """Return whether to log what may apply to every handshake: once a minute."""
        cdef int64_t now = precise_ms()
        if self.warned_at and now < self.warned_at + WARN_INTERVAL_MS:
            return False
        self.warned_at = now
        return True


cdef class KeySocket(PollSource):
    """The socket of a channel, until the key process is replaced."""

    cdef int on_event(self, uint32_t events) except -1:
        self.read_responses()
        if events & (EPOLLHUP | EPOLLRDHUP | EPOLLERR) and not self.closed:
            self.channel.drop_socket(ENDED)
        return 0

    cdef int read_responses(self) except -1:
        """Handle all responses that have come, and send the requests for which there is room now.

        No more than one for each request that may wait, so that others have their turn.
        """
        cdef unsigned char response[RESPONSE_MAX]
        cdef KeyChannel channel = self.channel
        cdef ssize_t size
        cdef int _turn
        for _turn in range(WAITING_MAX):
            if self.closed:         # by a callback
                return 0
            size = recv(self.fd, response, RESPONSE_MAX, MSG_DONTWAIT)
            if size > 0:
                self.handle_response(response, size)
            elif size == 0 or errno != EINTR:
                break
        if channel.queue.unsent != NULL:
            send_unsent(channel.queue)
        return 0

    cdef int handle_response(self, const unsigned char *data, size_t size) except -1:
        cdef SigningRequest *request = NULL
        cdef uint32_t request_id
        cdef KeyChannel channel = self.channel
        if size >= sizeof(request_id):
            memcpy(&request_id, data, sizeof(request_id))
            request = find_request(channel.queue, request_id)
        if request == NULL:
            channel.ignored_count += 1
            return 0
        if size == sizeof(request_id) and channel.may_warn():
            log.warning("the key process has refused to sign: a TLS handshake fails")
        accept_signature(channel.queue, request, data + sizeof(request_id),
                         size - sizeof(request_id))
        return 0

    cdef int on_drain(self, bint patient, bint accept) except -1:
        return 0

    cdef int on_closed(self) except -1:
        cdef KeyChannel channel = self.channel
        self.channel = None
        if channel.socket is self:      # closed by the poller
            channel.drop_socket(CLOSED)
        return 0


cdef class SignatureTimer(PollSource):
    """Expires when the request that waits longest may be late."""

    cdef int on_event(self, uint32_t events) except -1:
        cdef uint64_t count
        cdef KeyChannel channel = self.channel
        read(self.fd, &count, sizeof(count))
        channel.queue.timer_armed = False
        if channel.socket is not None:
            channel.socket.read_responses()     # if this process was blocked, they are in time
        return channel.fail_late_requests()

    cdef int on_drain(self, bint patient, bint accept) except -1:
        return 0

    cdef int on_closed(self) except -1:
        self.channel.queue.timer_fd = -1
        self.channel.timer = None
        self.channel = None
        return 0
