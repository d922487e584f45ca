"""A worker's slot of the scoreboard, which its parent reads: what runs, and counters.

The same fields are declared in Python, in scoreboard.py, because the parent does not import the
core; tests/unit/process/ipc/test_scoreboard.py compares offsets and sizes.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy


cdef enum:
    LABEL_SIZE = 64             # bytes of a label, its NUL included


cdef struct Slot:
    char running[LABEL_SIZE]    # label of the route that runs
    char waiting[LABEL_SIZE]    # label of the latest route whose handler waits
    uint32_t pending            # requests whose handlers wait
    uint8_t state               # written by the worker, in Python
    uint64_t served             # requests
    uint32_t connections        # open ones
    uint32_t heartbeat          # written by the worker, in Python
    uint8_t blocking            # written by the worker, in Python


cdef inline int write_label(char *place, bytes label) except -1:
    """Write a label of a slot, cut to its size."""
    cdef Py_ssize_t size = min(PyBytes_GET_SIZE(label), <Py_ssize_t>LABEL_SIZE - 1)
    memcpy(place, PyBytes_AS_STRING(label), size)
    place[size] = 0
    return 0
