# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""Send one WebSocket message to many connections.

The frame is built once, and the loop is in C, so that what a member costs is mostly its system
call.
"""

from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.object cimport PyObject, PyTypeObject

from kore._core.connection cimport Connection
from kore._core.transport cimport Transport
from kore._core.websocket cimport WebSocket

cdef extern from *:
    """
    #define CACHE_LINE 64

    /* Load an object into the caches, to be written. No effect without GCC or Clang. */
    static void kore_prefetch(PyObject *object, Py_ssize_t size) {
    #ifdef __GNUC__
        for (Py_ssize_t at = 0; at < size; at += CACHE_LINE)
            __builtin_prefetch((const char *)object + at, 1);
    #endif
    }
    """
    void prefetch_object "kore_prefetch" (PyObject *object, Py_ssize_t size) noexcept nogil

cdef enum:
    PREFETCH_AHEAD = 4      # members: as long as memory takes, and not so long that it is evicted


def broadcast_frame(list members not None, bytes frame not None, source):
    """Send a frame to all *members* but *source*.

    Raises nothing: a member whose send buffer is full is disconnected. Each system call evicts the
    next members from the caches, so they are fetched in advance: first the connection, then its
    WebSocket and its transport, whose addresses are in the connection.
    """
    cdef Connection member
    cdef Py_ssize_t connection_size = (<PyTypeObject *>Connection).tp_basicsize
    cdef Py_ssize_t websocket_size = (<PyTypeObject *>WebSocket).tp_basicsize
    cdef Py_ssize_t transport_size = (<PyTypeObject *>Transport).tp_basicsize
    cdef Py_ssize_t i = 0
    while i < PyList_GET_SIZE(members):
        if i + 2 * PREFETCH_AHEAD < PyList_GET_SIZE(members):
            prefetch_object(PyList_GET_ITEM(members, i + 2 * PREFETCH_AHEAD), connection_size)
        if i + PREFETCH_AHEAD < PyList_GET_SIZE(members):
            member = members[i + PREFETCH_AHEAD]
            prefetch_object(<PyObject *>member.websocket, websocket_size)
            prefetch_object(<PyObject *>member.transport, transport_size)
        member = members[i]
        if member is not source and member.websocket is not None:
            member.websocket.send_prepared_frame(frame)
        i += 1
