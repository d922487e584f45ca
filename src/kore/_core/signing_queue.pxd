"""The signatures that the handshakes of a worker wait for, in the order of their requests.

A handshake runs as an async job of OpenSSL (remote_key.pyx), which is paused while the key process
signs. A `SigningRequest` lies on the stack of that job; the text to be signed and the room for the
signature belong to the job, too. The request is in the queue as long as the job waits: what resumes
the job has removed the request from the queue, or the job does so itself.

Functions that a job calls use neither Python nor the GIL: a job has a stack of 32 KiB.
"""

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from kore._core.libc cimport (
    CLOCK_MONOTONIC, MSG_DONTWAIT, MSG_NOSIGNAL, clock_gettime, iovec, itimerspec, msghdr, sendmsg,
    timerfd_settime, timespec)


cdef enum:
    WAITING_MAX = 1024      # signatures of a worker; each has a paused job of 32 KiB


cdef enum SigningState:
    WAITING
    SIGNED
    FAILED


cdef struct RequestHead:    # in front of the text, in a datagram to the key process
    uint32_t request_id
    uint32_t key_id
    uint8_t padding         # of RSA, as OpenSSL numbers it; 0: ECDSA
    uint8_t salt_size       # bytes, of PSS
    uint8_t hash            # 1: SHA-256, 2: SHA-384, 3: SHA-512
    uint8_t reserved


cdef struct SigningRequest:
    RequestHead head
    const unsigned char *text
    size_t text_size
    unsigned char *signature
    size_t signature_max
    size_t signature_size
    SigningState state
    const char *error           # why it has failed; a constant
    int64_t deadline            # monotonic milliseconds
    int (*callback)(void *) noexcept    # resumes the job, or has it resumed; may be NULL
    void *callback_argument
    SigningRequest *previous
    SigningRequest *next


cdef struct SigningQueue:
    int references              # of the channel, and of the keys that sign through it
    int fd                      # the channel to the key process; -1: there is none
    int timer_fd                # readable when the first request may be late; -1: closed
    int timeout_ms
    bint timer_armed
    uint32_t last_id
    size_t count
    SigningRequest *first
    SigningRequest *last
    SigningRequest *unsent      # the first that did not fit into the channel, if any


cdef inline int64_t precise_ms() noexcept nogil:
    """Return milliseconds on a monotonic clock, without the error of a timer tick."""
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <int64_t>now.tv_sec * 1000 + now.tv_nsec // 1000000


# ---- its memory

cdef inline SigningQueue *new_queue(int timeout_ms) noexcept nogil:
    """Return an empty queue without a channel, or NULL; `release_queue` frees it."""
    cdef SigningQueue *queue = <SigningQueue *>calloc(1, sizeof(SigningQueue))
    if queue != NULL:
        queue.references = 1
        queue.fd = queue.timer_fd = -1
        queue.timeout_ms = timeout_ms
    return queue


cdef inline SigningQueue *hold_queue(SigningQueue *queue) noexcept nogil:
    """Return the queue, with a further reference to it."""
    queue.references += 1
    return queue


cdef inline void release_queue(SigningQueue *queue) noexcept nogil:
    """Drop a reference; free the queue with the last one. NULL is ignored."""
    if queue == NULL:
        return
    queue.references -= 1
    if queue.references == 0:
        free(queue)


# ---- what jobs call

cdef inline bint send_request(SigningQueue *queue, SigningRequest *request) noexcept nogil:
    """Send a request, unless the channel is full; return False if the channel is broken."""
    cdef iovec parts[2]
    cdef msghdr message
    parts[0].iov_base = &request.head
    parts[0].iov_len = sizeof(RequestHead)
    parts[1].iov_base = <void *>request.text
    parts[1].iov_len = request.text_size
    memset(&message, 0, sizeof(message))
    message.msg_iov = parts
    message.msg_iovlen = 2
    while sendmsg(queue.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0:
        if errno == EAGAIN:
            queue.unsent = request
            return True
        if errno != EINTR:
            return False
    return True


cdef inline void arm_timer(SigningQueue *queue, int64_t milliseconds) noexcept nogil:
    """Have the timer expire once, in *milliseconds*, which are not 0."""
    cdef itimerspec when
    memset(&when, 0, sizeof(when))
    when.it_value.tv_sec = milliseconds // 1000
    when.it_value.tv_nsec = milliseconds % 1000 * 1000000
    queue.timer_armed = timerfd_settime(queue.timer_fd, 0, &when, NULL) == 0


cdef inline bint add_request(SigningQueue *queue, SigningRequest *request) noexcept nogil:
    """Send a request to the key process, and add it to the queue; return False if it fails now.

    A request that does not fit into the channel is sent by `send_unsent`, when there is room.
    """
    if queue.fd < 0:
        request.error = b"the key process is being restarted"
        return False
    if queue.count >= WAITING_MAX:
        request.error = b"too many handshakes wait for signatures"
        return False
    queue.last_id += 1
    request.head.request_id = queue.last_id
    request.deadline = precise_ms() + queue.timeout_ms
    if queue.unsent == NULL and not send_request(queue, request):
        request.error = b"the key process has ended"
        return False
    request.state = WAITING
    request.next = NULL
    request.previous = queue.last
    if queue.last != NULL:
        queue.last.next = request
    else:
        queue.first = request
    queue.last = request
    queue.count += 1
    if not queue.timer_armed:       # else it expires before this request is late
        arm_timer(queue, queue.timeout_ms)
    return True


cdef inline void remove_request(SigningQueue *queue, SigningRequest *request) noexcept nogil:
    """Remove a request; a response to it will find none."""
    if queue.unsent == request:
        queue.unsent = request.next
    if request.previous != NULL:
        request.previous.next = request.next
    else:
        queue.first = request.next
    if request.next != NULL:
        request.next.previous = request.previous
    else:
        queue.last = request.previous
    queue.count -= 1


# ---- what the channel calls

cdef inline void send_unsent(SigningQueue *queue) noexcept nogil:
    """Send what did not fit into the channel before, as far as it fits now."""
    cdef SigningRequest *request = queue.unsent
    queue.unsent = NULL
    while request != NULL and queue.unsent == NULL:
        if not send_request(queue, request):    # its event will follow
            queue.unsent = request
        request = request.next


cdef inline SigningRequest *find_request(SigningQueue *queue, uint32_t request_id) noexcept nogil:
    """Return the request that waits with this id, or NULL. Usually it is the first."""
    cdef SigningRequest *request = queue.first
    while request != NULL and <int32_t>(request.head.request_id - request_id) < 0:
        request = request.next
    if request == NULL or request.head.request_id != request_id:
        return NULL
    return request


cdef inline void finish_request(SigningQueue *queue, SigningRequest *request,
                                SigningState state) noexcept:
    """Remove a request, and have its job resumed."""
    remove_request(queue, request)
    request.state = state
    if request.callback != NULL:
        request.callback(request.callback_argument)


cdef inline void accept_signature(SigningQueue *queue, SigningRequest *request,
                                  const unsigned char *signature, size_t size) noexcept:
    """Finish a request with the response of the key process; of 0 bytes if it was refused."""
    if size == 0 or size > request.signature_max:
        request.error = (b"the key process has refused to sign" if size == 0
                         else b"the key process has sent a signature that is too long")
        finish_request(queue, request, FAILED)
        return
    memcpy(request.signature, signature, size)
    request.signature_size = size
    finish_request(queue, request, SIGNED)
