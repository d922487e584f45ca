# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""The seam between a transport and what speaks over it: HTTP/1, a WebSocket, later HTTP/2.

A transport has one protocol at a time and may be given another: after its first bytes, after a TLS
handshake (ALPN), after an upgrade. The transport owns the socket. It tells the protocol what
happens, one call at a time; the protocol reads from the transport's inbox, queues output, and says
by the predicates below what it is waiting for. Each method here does what is right for a protocol
that has no use for it.
"""


cdef class Protocol:
    """What a transport expects of the protocol that runs on it."""

    # ---- what happens

    cdef int on_attached(self, object transport) except -1:
        """The protocol runs on *transport* from now on."""
        return 0

    cdef bint on_input(self) except -1:
        """Work on one unit (a request, a frame) of the inbox; True: call again, unless it is empty.

        Also called when nothing has come: after output has left, or when others had a turn.
        """
        return False

    cdef bint on_writable(self) except -1:
        """The outbox is empty: queue more; False: there is nothing more to queue."""
        return False

    cdef bint on_flushed(self) except -1:
        """Output has left, or never will (`transport.broken`); True: more that matters waits."""
        return False

    cdef int on_eof(self) except -1:
        """The peer has ended its sending side and all input was read; called until it is closed."""
        return 0

    cdef bint on_output_lost(self) except -1:
        """Nothing can be sent any more; True: close now, there is nothing left to do."""
        return True

    cdef int on_deadline(self) except -1:
        """The time that `next_deadline` named has passed."""
        return 0

    cdef int on_drain(self, bint patient) except -1:
        """The worker stops: end when idle, at once unless *patient*."""
        return 0

    cdef int on_disconnect(self) except -1:
        """The application ends the connection."""
        return 0

    cdef void on_shut(self) noexcept:
        """The transport is closed; `on_closed` follows when no core code is on the stack."""

    cdef int on_closed(self) except -1:
        """Release what the protocol holds for the connection."""
        return 0

    # ---- what a transport asks

    cdef char *get_input_buffer(self, size_t *size) except? NULL:
        """Return where the next input is to be received, and its size; NULL: into the inbox."""
        return NULL

    cdef int on_buffer_filled(self, size_t size) except -1:
        """So many bytes were received into the buffer that `get_input_buffer` returned."""
        return 0

    cdef bint wants_input(self) noexcept:
        """Return whether to read from the socket."""
        return True

    cdef bint has_input(self) noexcept:
        """Return whether some input is still to be worked on, here or by the application."""
        return False

    cdef bint is_working(self) noexcept:
        """Return whether the application works on a response for this peer."""
        return False

    cdef bint is_ended_by_close(self) noexcept:
        """Return whether a plain close would look like the end of what is being sent."""
        return False

    cdef bint send_probe(self) except -1:
        """Queue something that a living peer ignores.

        True: the transport watches for its effect; False: the protocol finds out by itself.
        """
        return False

    cdef int64_t next_deadline(self, bint pending) noexcept:
        """Return when `on_deadline` is due, on the poller's clock; 0: never. *pending*: output."""
        return 0

    cdef int64_t idle_since(self) noexcept:
        """Return since when nothing has happened; 0: it is not idle, and must not make room."""
        return 0


cdef Protocol DETACHED = Protocol.__new__(Protocol)
