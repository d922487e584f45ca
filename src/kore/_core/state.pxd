"""The stages of an HTTP/1 connection, and which may follow which."""


cdef enum Stage:
    IDLE            # between requests: nothing of the next one is here
    READING_HEAD    # part of a head is here
    READING_BODY    # the head is known, the body arrives; then the handler runs
    STREAMING       # likewise, and the handler runs already
    DRAINING        # likewise, but the request is over: the rest is read and dropped
    RUNNING         # the handler runs, and the whole request is here
    CLOSING         # the last response is queued: the transport flushes it and closes
    SWITCHED        # another protocol has the transport
    STAGE_COUNT


cdef struct StageChecks:
    bint enabled                # each transition is looked up in the table


cdef StageChecks stage_checks

cdef int check_transition(Stage before, Stage after) except -1
