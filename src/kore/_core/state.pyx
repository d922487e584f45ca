# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""The stages of an HTTP/1 connection, and which may follow which: the whole state machine.

    IDLE -> READING_HEAD -> RUNNING -> IDLE                     a request without a body
                            RUNNING -> READING_BODY -> RUNNING  its body first, then its handler
                            RUNNING -> STREAMING -> RUNNING     its handler reads the body
                            READING_BODY, STREAMING, RUNNING -> DRAINING -> IDLE
                                                                over before its body has come
    all of them -> CLOSING                                      no further request is read
                            RUNNING -> SWITCHED                 a WebSocket from here on

Only `set_stage` (http1_reader.pxd) changes the stage. In debug builds and in the tests each change
is looked up in the table: set `KORE_CHECK_STAGES` in the environment, or call `check_stages(True)`.
"""

import os

cdef tuple NAMES = ("IDLE", "READING_HEAD", "READING_BODY", "STREAMING", "DRAINING", "RUNNING",
                    "CLOSING", "SWITCHED")

# Which stages may follow each; a stage may always be set again.
cdef dict FOLLOWING = {
    IDLE: {READING_HEAD, RUNNING, CLOSING},
    READING_HEAD: {RUNNING, CLOSING},
    RUNNING: {IDLE, READING_BODY, STREAMING, DRAINING, CLOSING, SWITCHED},
    READING_BODY: {RUNNING, DRAINING, CLOSING, IDLE},
    STREAMING: {RUNNING, DRAINING, CLOSING, IDLE},
    DRAINING: {IDLE, CLOSING},
    CLOSING: set(),
    SWITCHED: set(),
}

TRANSITIONS = {name: frozenset(NAMES[after] for after in FOLLOWING[stage])
               for stage, name in enumerate(NAMES)}


class StageError(AssertionError):
    """A connection went from one stage to another that cannot follow it."""


cdef int check_transition(Stage before, Stage after) except -1:
    """Raise StageError unless the table allows this transition."""
    if before != after and after not in FOLLOWING[before]:
        raise StageError(f"{NAMES[before]} -> {NAMES[after]}")
    return 0


def check_stages(bint on):
    """Look up each transition from now on, or no more; return whether that was so before."""
    before = stage_checks.enabled
    stage_checks.enabled = on
    return bool(before)


stage_checks.enabled = bool(os.environ.get("KORE_CHECK_STAGES"))
