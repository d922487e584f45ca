# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""Outgoing WebSocket messages: made into frames, sent or queued, limited."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_Check

from kore._core.frames cimport FRAME_HEAD_MAX, OP_PONG, write_frame_head
from kore._core.ws_options cimport check_opcode, encode_payload

cdef enum:
    POLICY = 1008


cdef class MessageSender:
    """Sends the messages of one WebSocket; `WebSocket` adds receiving and closing."""

    cdef bint leave(self, int code, str reason, int64_t wait_ms) except -1:
        return False

    cdef int64_t buffered(self) noexcept:
        """Return how many bytes wait to be sent."""
        if self.transport.broken:
            return 0
        return max(self.before + self.queued_size - self.transport.sent_size, 0)

    cdef bint send(self, object given_op, object data) except -1:
        """Queue a message, and send it unless more follow at once; False: it is closing."""
        cdef const char *text
        cdef Py_ssize_t size = 0
        cdef bytes payload
        cdef int op
        self.transport.poller.check_thread("websocket_send()")
        op = check_opcode(given_op)
        if self.phase != OPEN or self.transport.broken:
            return False
        if self.deflater is None and PyUnicode_Check(data):
            text = PyUnicode_AsUTF8AndSize(data, &size)     # lives as long as the str
            return self.has_room(size) and self.put_message(op, False, text, size, None)
        payload = encode_payload(op, data)
        if not self.has_room(PyBytes_GET_SIZE(payload)):
            return False
        if self.phase != OPEN:              # what was called has ended it
            return False
        if self.deflater is not None:       # last: later messages refer to what was compressed
            return self.send_compressed(op, payload)
        return self.put_message(
            op, False, PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload), payload)

    cdef bint send_compressed(self, int op, bytes payload) except -1:
        """Compress and queue a message, then those that were sent meanwhile.

        Each refers to what was compressed before, so they leave in the order of compression: what a
        finalizer sends has to wait until this one is queued.
        """
        cdef list entry = [op, payload]
        cdef list backlog = []
        cdef bint sent
        if self.compressing is not None:
            self.compressing.append(entry)
            return True
        self.compressing = backlog
        try:
            sent = self.put_compressed(op, payload)
            while backlog and self.phase == OPEN:
                op, payload = backlog.pop(0)
                self.put_compressed(op, payload)
        finally:
            self.compressing = None
        return sent

    cdef bint put_compressed(self, int op, bytes payload) except -1:
        cdef bytes compressed = self.deflater.pack(payload)
        if self.phase != OPEN:              # what was called has ended it
            return False
        return self.put_message(
            op, True, PyBytes_AS_STRING(compressed), PyBytes_GET_SIZE(compressed), compressed)

    cdef bint put_message(self, int op, bint compressed, const char *data, size_t size,
                          bytes owner) except -1:
        cdef char head[FRAME_HEAD_MAX]
        cdef int length = write_frame_head(head, op, compressed, size)
        self.send_frame(head, length, data, size, owner)
        return True

    cdef int send_frame(self, const char *head, size_t length, const char *data, size_t size,
                        bytes owner) except -1:
        """Send a frame in two pieces; what the socket does not take is queued. *owner*: of data."""
        self.transport.send(head, length, data, size, owner)
        self.queued_size += length + size
        self.note_sent()
        if self.http is None and self.transport.is_settled():
            self.transport.deadline = self.due
            return 0
        return self.transport.flush_and_rearm()

    cdef bint has_room(self, int64_t size) except -1:
        """Return whether so much may be queued; if not, raise or close, as the options say."""
        cdef int64_t waiting = self.buffered()
        # A single message may be larger than the limit: it is in memory anyway.
        if waiting == 0 or waiting + size <= self.options.buffer_max:
            return True
        if self.options.raise_when_full:
            raise BufferError(f"the client does not read: {waiting} bytes wait for it, with "
                              f"{size} more they would exceed {self.options.buffer_max} "
                              "(websocket_buffer_max)")
        self.leave(POLICY, "too slow", self.options.close_timeout_ms)
        return False

    cdef bint send_prepared_frame(self, bytes frame) except -1:
        """Queue a complete frame; a client that does not read is disconnected, without an error."""
        if self.phase != OPEN or self.transport.broken:
            return False
        if (self.buffered() + PyBytes_GET_SIZE(frame) > self.options.buffer_max
                and self.buffered()):
            self.leave(POLICY, "too slow", self.options.close_timeout_ms)
            return False
        self.send_frame(NULL, 0, PyBytes_AS_STRING(frame), PyBytes_GET_SIZE(frame), frame)
        return True

    cdef int put_control(self, int op, bytes payload) except -1:
        cdef char head[FRAME_HEAD_MAX]
        cdef int length = write_frame_head(head, op, False, len(payload))
        if op == OP_PONG and self.buffered() > self.options.buffer_max:
            self.leave(POLICY, "too slow", self.options.close_timeout_ms)
            return 0
        self.transport.queue_copy(head, length)
        self.transport.queue_copy(PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload))
        self.queued_size += length + PyBytes_GET_SIZE(payload)
        return 0

    cdef int note_sent(self) except -1:
        """Note that something was sent: without pings that counts as activity of the client."""
        if self.options.idle_timeout_ms and not self.options.ping_interval_ms:
            self.due = self.transport.poller.now() + self.options.idle_timeout_ms
        return 0
