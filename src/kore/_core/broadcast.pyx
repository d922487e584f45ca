# cython: language_level=3, boundscheck=False, wraparound=False
"""One message to many: a loop and what the kernel does, so the loop is not left to Python."""

from kore._core.connection cimport Connection


def post(list members not None, bytes frame not None, source):
    """Send a frame to all *members* but *source*. Nothing is raised: who does not read is cut off.
    """
    cdef Connection member
    for member in members:
        if member is not source and member.socket is not None:
            member.socket.post(frame)
