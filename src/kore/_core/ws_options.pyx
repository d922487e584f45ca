# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""What may be said over a WebSocket: the terms of a route; messages and close frames, checked."""

from cpython.bytes cimport (
    PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE)
from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_Check
from libc.stdint cimport uint32_t
from libc.string cimport memcpy

from kore._core.frames cimport FRAME_HEAD_MAX, OP_BINARY, OP_TEXT, check_utf8, write_frame_head

cdef enum:
    REASON_MAX = 123    # bytes: a control frame's payload less the code

# Codes that an application may close with: RFC 6455 section 7.4.1, its registry, and the free ones.
cdef frozenset CODES = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})


cdef class WebSocketOptions:
    """What one route allows its WebSockets. Times in seconds, sizes in bytes."""

    def __init__(self, *, maxframe, maxmessage, buffer_max, timeout, ping, close_timeout, raises,
                 label):
        self.maxframe = maxframe
        self.maxmessage = maxmessage
        self.buffer_max = buffer_max
        self.idle_timeout_ms = int(timeout * 1000)
        self.ping_interval_ms = int(ping * 1000)
        self.close_timeout_ms = int(close_timeout * 1000)
        self.raise_when_full = raises
        self.label = label


def build_frame(op, data):
    """Return a whole message as one frame, for many clients. Raises as websocket_send does."""
    cdef bytes payload = encode_payload(check_opcode(op), data)
    cdef char head[FRAME_HEAD_MAX]
    cdef int size = write_frame_head(head, op, False, len(payload))
    return head[:size] + payload


cdef int check_opcode(op) except -1:
    if not isinstance(op, int) or op not in (OP_TEXT, OP_BINARY):
        raise TypeError("invalid op parameter: WEBSOCKET_OP_TEXT or WEBSOCKET_OP_BINARY, "
                        f"not {op!r}")
    return op


cdef bytes encode_payload(int op, object data):
    """Return what is sent for *data*: text is checked, or every client would have to hang up."""
    cdef bytes payload
    cdef uint32_t state = 0
    if PyUnicode_Check(data):
        return data.encode()
    if PyBytes_CheckExact(data):
        payload = data
    else:
        try:
            payload = bytes(memoryview(data))
        except TypeError:
            raise TypeError(
                f"a message is str or bytes-like, not {type(data).__name__}") from None
    if op == OP_TEXT and not (
            check_utf8(&state, PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload))
            and state == 0):
        raise ValueError("a text must be UTF-8: send these bytes as WEBSOCKET_OP_BINARY")
    return payload


cdef bytes build_close_payload(int code, str reason):
    # Without a call of Python's: it has to work where the stack is used up.
    cdef char raw[2 + REASON_MAX]
    cdef Py_ssize_t size = 0
    cdef const char *text
    if not code:
        return b""
    text = PyUnicode_AsUTF8AndSize(reason, &size)
    size = min(size, REASON_MAX)
    raw[0] = <char>(code >> 8)
    raw[1] = <char>(code & 0xff)
    memcpy(raw + 2, text, size)
    return PyBytes_FromStringAndSize(raw, 2 + size)


cdef int check_close_code(code, reason) except -1:
    if not isinstance(code, int) or not (code in CODES or 3000 <= code <= 4999):
        raise ValueError(f"{code!r} is no code to close with: 1000 to 1003, 1007 to 1014, "
                         "or 3000 to 4999 with a meaning of your own")
    if not isinstance(reason, str):
        raise TypeError(f"a reason is a str, not {type(reason).__name__}")
    if len(reason.encode()) > REASON_MAX:
        raise ValueError(f"a reason has at most {REASON_MAX} bytes")
    return 0
