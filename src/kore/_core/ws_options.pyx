# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""Limits of a route's WebSockets, and checks of the messages and close codes it sends. No I/O."""

from cpython.bytes cimport (
    PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE)
from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_Check
from libc.stdint cimport uint32_t
from libc.string cimport memcpy

from kore._core.frames cimport FRAME_HEAD_MAX, OP_BINARY, OP_TEXT, check_utf8, write_frame_head

cdef enum:
    REASON_SIZE_MAX = 123   # bytes: payload of a control frame (125) less the code

# Codes that an application may close with, besides 3000 to 4999: RFC 6455 section 7.4.1, and those
# that were registered with IANA later.
cdef frozenset CLOSE_CODES = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})


cdef class WebSocketOptions:
    """Limits of the WebSockets of one route.

    *limits* has `maxframe`, `maxmessage` and `buffer_max` in bytes, `timeout`, `ping` and
    `close_timeout` in seconds, and `buffer_full`: "raise" or "close". *label* names the route.
    """

    def __init__(self, limits, *, bytes label not None):
        self.frame_max = limits["maxframe"]
        self.message_max = limits["maxmessage"]
        self.buffer_max = limits["buffer_max"]
        self.idle_timeout_ms = int(limits["timeout"] * 1000)
        self.ping_interval_ms = int(limits["ping"] * 1000)
        self.close_timeout_ms = int(limits["close_timeout"] * 1000)
        self.raise_when_full = limits["buffer_full"] == "raise"
        self.label = label


def build_frame(op, data):
    """Return a message as one frame, to be sent to many clients.

    Raises TypeError and ValueError as `websocket_send` does.
    """
    cdef bytes payload = encode_payload(check_opcode(op), data)
    cdef char head[FRAME_HEAD_MAX]
    cdef int size = write_frame_head(head, op, False, len(payload))
    return head[:size] + payload


cdef int check_opcode(op) except -1:
    """Return *op*. Raises TypeError unless it is that of a text or binary message."""
    if not isinstance(op, int) or op not in (OP_TEXT, OP_BINARY):
        raise TypeError("invalid op parameter: WEBSOCKET_OP_TEXT or WEBSOCKET_OP_BINARY, "
                        f"not {op!r}")
    return op


cdef bytes encode_payload(int op, object data):
    """Return the payload of a message, str or bytes-like.

    Raises ValueError if a text is not UTF-8, because every client would have to close the
    connection (RFC 6455 section 8.1).
    """
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
    """Return the payload of a close frame; it is empty for the code 0.

    Calls no Python code, so that it works when the stack is exhausted (RecursionError).
    """
    cdef char raw[2 + REASON_SIZE_MAX]
    cdef Py_ssize_t size = 0
    cdef const char *text
    if not code:
        return b""
    text = PyUnicode_AsUTF8AndSize(reason, &size)
    size = min(size, REASON_SIZE_MAX)
    raw[0] = <char>(code >> 8)
    raw[1] = <char>(code & 0xff)
    memcpy(raw + 2, text, size)
    return PyBytes_FromStringAndSize(raw, 2 + size)


cdef int check_close_code(code, reason) except -1:
    """Raise ValueError or TypeError unless an application may close with *code* and *reason*."""
    if not isinstance(code, int) or not (code in CLOSE_CODES or 3000 <= code <= 4999):
        raise ValueError(f"{code!r} is not a code to close with: 1000 to 1003, 1007 to 1014, "
                         "or 3000 to 4999 with a meaning of your own")
    if not isinstance(reason, str):
        raise TypeError(f"a reason is a str, not {type(reason).__name__}")
    if len(reason.encode()) > REASON_SIZE_MAX:
        raise ValueError(f"a reason has at most {REASON_SIZE_MAX} bytes")
    return 0
