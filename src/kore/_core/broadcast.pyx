# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""One message to many: a loop and what the kernel does, so the loop is not left to Python."""

from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.object cimport PyObject, PyTypeObject

from kore._core.connection cimport Connection
from kore._core.websocket cimport WebSocket

cdef extern from *:
    """
    #define CACHE_LINE 64

    /* Have an object brought near that is soon used. Without effect where the compiler cannot. */
    static void fetch(PyObject *object, Py_ssize_t size) {
    #ifdef __GNUC__
        for (Py_ssize_t at = 0; at < size; at += CACHE_LINE)
            __builtin_prefetch((const char *)object + at, 1);
    #endif
    }
    """
    void fetch(PyObject *object, Py_ssize_t size) noexcept nogil

cdef enum:
    AHEAD = 4       # members: time enough for memory to answer, and they are not pushed out again


def broadcast_frame(list members not None, bytes frame not None, source):
    """Send a frame to all *members* but *source*. Nothing is raised: who does not read is cut off.

    What the kernel does for one pushes the next ones out of the caches, so they are fetched in
    advance: a connection first, then its WebSocket, which the connection leads to.
    """
    cdef Connection member
    cdef Py_ssize_t large = (<PyTypeObject *>Connection).tp_basicsize
    cdef Py_ssize_t small = (<PyTypeObject *>WebSocket).tp_basicsize
    cdef Py_ssize_t i = 0
    while i < PyList_GET_SIZE(members):
        if i + 2 * AHEAD < PyList_GET_SIZE(members):
            fetch(PyList_GET_ITEM(members, i + 2 * AHEAD), large)
        if i + AHEAD < PyList_GET_SIZE(members):
            member = members[i + AHEAD]
            fetch(<PyObject *>member.socket, small)
        member = members[i]
        if member is not source and member.socket is not None:
            member.socket.post(frame)
        i += 1
