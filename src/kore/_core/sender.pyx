# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""Outgoing WebSocket messages of one connection: made into frames, sent or queued, limited."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_Check

from kore._core.buffer cimport BLOCK_SIZE
from kore._core.frames cimport FRAME_HEAD_MAX, OP_PONG, write_frame_head
from kore._core.ws_options cimport check_opcode, encode_payload

cdef enum:
    TOGETHER = 4096     # bytes up to which copying a message is cheaper than sending it by itself
    POLICY = 1008


cdef class MessageSender:
    """Sends the messages of one WebSocket; `WebSocket` adds what is received, and the end."""

    cdef bint leave(self, int code, str reason, int64_t wait_ms) except -1:
        return False

    cdef int64_t buffered(self) noexcept:
        """Return how many bytes of ours the socket has not taken."""
        if self.peer.broken:
            return 0
        return max(self.before + self.said - self.peer.transferred, 0)

    cdef bint send(self, object asked, object data) except -1:
        """Queue a message, and send it unless more is about to follow; False: it is too late."""
        cdef const char *text
        cdef Py_ssize_t size = 0
        cdef bytes payload
        cdef int op
        self.peer.poller.mine("websocket_send()")
        op = check_opcode(asked)
        if self.phase != OPEN or self.peer.broken:
            return False
        if self.deflater is None and PyUnicode_Check(data):
            text = PyUnicode_AsUTF8AndSize(data, &size)     # lives as long as the str
            return self.has_room(size) and self.put(op, False, text, size, None)
        payload = encode_payload(op, data)
        if not self.has_room(PyBytes_GET_SIZE(payload)):
            return False
        if self.phase != OPEN:              # what was called has ended it
            return False
        if self.deflater is not None:       # only now: what is not sent must not be referred to
            return self.send_packed(op, payload)
        return self.put(op, False, PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload), payload)

    cdef bint send_packed(self, int op, bytes payload) except -1:
        """Compress and queue a message, then those that code called meanwhile has sent.

        Each refers to what was compressed before, so they leave in the order of compression: what a
        finalizer sends has to wait until this one is queued.
        """
        cdef list entry = [op, payload]
        cdef list backlog = []
        cdef bint sent
        if self.packing is not None:
            self.packing.append(entry)
            return True
        self.packing = backlog
        try:
            sent = self.put_packed(op, payload)
            while backlog and self.phase == OPEN:
                op, payload = backlog.pop(0)
                self.put_packed(op, payload)
        finally:
            self.packing = None
        return sent

    cdef bint put_packed(self, int op, bytes payload) except -1:
        cdef bytes packed = self.deflater.pack(payload)
        if self.phase != OPEN:              # what was called has ended it
            return False
        return self.put(op, True, PyBytes_AS_STRING(packed), PyBytes_GET_SIZE(packed), packed)

    cdef bint put(self, int op, bint packed, const char *data, size_t size, object owner) except -1:
        cdef char head[FRAME_HEAD_MAX]
        cdef int length = write_frame_head(head, op, packed, size)
        self.say(head, length, data, size, owner)
        return True

    cdef int say(self, const char *head, size_t length, const char *data, size_t size,
                 object owner) except -1:
        """Send a frame in two pieces; what the socket does not take is queued. *owner*: of data."""
        cdef size_t gone = 0
        self.peer.prepare_parts(size)
        # Small answers to what has come together leave together.
        if size > TOGETHER or not self.peer.advancing:
            gone = self.peer.send_now(head, length, data, size)
        self.said += length + size
        if gone < length:
            self.peer.put(head + gone, length - gone)
        gone -= min(gone, length)
        if owner is not None and size - gone > BLOCK_SIZE:
            self.peer.put_rest(owner, gone)
        else:
            self.peer.put(data + gone, size - gone)
        self.alive()
        return self.peer.settle()

    cdef bint has_room(self, int64_t size) except -1:
        """Return whether so much may be queued; if not, do what the options say."""
        cdef int64_t waiting = self.buffered()
        # One message may be as large as it likes: it is in memory anyway.
        if waiting == 0 or waiting + size <= self.options.buffer_max:
            return True
        if self.options.raise_when_full:
            raise BufferError(f"the client does not read: {waiting} bytes wait for it, with "
                              f"{size} more they would exceed {self.options.buffer_max} "
                              "(websocket_buffer_max)")
        self.leave(POLICY, "too slow", self.options.close_timeout_ms)
        return False

    cdef bint post(self, bytes frame) except -1:
        """Queue a frame that is made already; who does not read is cut off, nothing is raised."""
        if self.phase != OPEN or self.peer.broken:
            return False
        if (self.buffered() + PyBytes_GET_SIZE(frame) > self.options.buffer_max
                and self.buffered()):
            self.leave(POLICY, "too slow", self.options.close_timeout_ms)
            return False
        self.say(NULL, 0, PyBytes_AS_STRING(frame), PyBytes_GET_SIZE(frame), frame)
        return True

    cdef int put_control(self, int op, bytes payload) except -1:
        cdef char head[FRAME_HEAD_MAX]
        cdef int length = write_frame_head(head, op, False, len(payload))
        if op == OP_PONG and self.buffered() > self.options.buffer_max:
            self.leave(POLICY, "too slow", self.options.close_timeout_ms)
            return 0
        self.peer.put(head, length)
        self.peer.put(PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload))
        self.said += length + PyBytes_GET_SIZE(payload)
        return 0

    cdef int alive(self) except -1:
        """Take note of what we send: it counts as life where no pings find out about that."""
        if self.options.idle_timeout_ms and not self.options.ping_interval_ms:
            self.peer.limit = self.peer.poller.now() + self.options.idle_timeout_ms
        return 0
