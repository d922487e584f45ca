# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""What all connections of a worker share: limits, counters, and the hooks they call.

The core imports nothing of the application or of the worker. It calls the hooks it was given; their
types are `ServerHooks` in server_context.pyi.
"""

from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.pythread cimport PyThread_get_thread_ident

from kore._core.scoreboard_slot cimport write_label

from kore._core.poller import log_exception


cdef bytes format_hsts(limits):
    """Return the value of Strict-Transport-Security (RFC 6797); empty if none is to be sent."""
    if not limits["http_hsts_enable"]:
        return b""
    cdef bytes subdomains = b"; includeSubDomains" if limits["http_hsts_subdomains"] else b""
    return b"max-age=%d" % limits["http_hsts_enable"] + subdomains


cdef class ServerContext:
    """The shared part of a worker's connections.

    *limits* has the settings by their names, *hooks* what the core calls. *slot* is writable memory
    that survives this process: what runs is published there.
    """

    def __init__(self, limits, hooks, slot=None):
        self.set_limits(limits)
        self.set_hooks(hooks)
        self.networks = {}
        self.listeners = []
        self.thread = PyThread_get_thread_ident()
        self.set_slot(slot)

    def set_limits(self, limits):
        """Take over the settings that limit clients, by their names."""
        cdef ServerLimits *own = &self.limits
        own.head.head = limits["http_header_max"]
        own.head.line = limits["http_request_line_max"]
        own.head.fields = limits["http_header_fields_max"]
        own.body_max = limits["http_body_max"]
        own.body_rate_min = limits["http_body_rate_min"]
        own.body_memory_max = limits["http_body_disk_offload"]
        own.header_timeout_ms = limits["http_header_timeout"] * 1000
        own.body_timeout_ms = limits["http_body_timeout"] * 1000
        own.keepalive_ms = limits["http_keepalive_time"] * 1000
        own.write_timeout_ms = limits["http_write_timeout"] * 1000
        own.half_closed_timeout_ms = limits["http_half_closed_timeout"] * 1000
        own.turn_ms = limits["http_request_ms"]
        own.request_limit = limits["http_request_limit"]
        own.connection_limit = limits["worker_max_connections"]
        own.network_limit = limits["worker_max_connections_per_address"]
        own.accept_limit = limits["worker_accept_threshold"]
        own.pretty_errors = limits["http_pretty_error"]
        own.sendfile = limits["filemap_sendfile"]
        self.writer = HeadWriter(limits["http_server_version"].encode(),
                                 limits["http_keepalive_time"], format_hsts(limits))

    def set_hooks(self, hooks):
        """Keep each hook by itself: some are called for every request."""
        self.start_task = hooks.start_task
        self.send_stream = hooks.send_stream
        self.discard_stream = hooks.discard_stream
        self.report_failure = hooks.report_failure
        self.log_refusal = hooks.log_refusal
        self.call_soon = hooks.call_soon
        self.call_later = hooks.call_later
        self.create_future = hooks.create_future
        self.make_request_data = hooks.make_request_data
        self.make_body_sink = hooks.make_body_sink
        self.call_on_headers = hooks.call_on_headers
        self.release_body = hooks.release_body
        self.query = hooks.query
        self.websockets = hooks.websockets

    def set_slot(self, slot):
        """Publish what runs in *slot*, a writable buffer; None: nowhere."""
        cdef Py_buffer view
        self.slot = &self.unpublished
        if slot is None:
            return
        if len(slot) < sizeof(Slot):
            raise ValueError(f"a slot needs {sizeof(Slot)} bytes, not {len(slot)}")
        PyObject_GetBuffer(slot, &view, PyBUF_WRITABLE)
        self.slot_owner = slot      # a borrowed pointer: the scoreboard's mapping is never resized
        self.slot = <Slot *>view.buf
        PyBuffer_Release(&view)

    def accept_any_method(self):
        """Let requests with any method reach the router, not only those of `parser.Method`.

        `method` of such a request is 0, and `method_name` is the token. CONNECT is never accepted.
        """
        self.limits.head.any_method = True

    def drain(self, *, bint patient=False):
        """From now on every response ends its connection; if *patient*, only those yet to begin."""
        self.draining = True
        self.hurried = not patient

    # ---- connections

    cdef int add_connection(self) except -1:
        self.connections += 1
        self.slot.connections = self.connections
        if self.connections >= self.limits.connection_limit:
            self.full = True    # the listeners see it and stop
        return 0

    cdef int remove_connection(self) except -1:
        self.connections -= 1
        self.slot.connections = self.connections
        if self.full:
            self.full = False
            for listener in list(self.listeners):
                try:
                    listener.resume()
                except BaseException:
                    log_exception("cannot accept clients again")
        return 0

    cdef bint add_network(self, bytes network) except -1:
        """Count a connection of an address; False: it has as many as it may have."""
        cdef int count = self.networks.get(network, 0)
        if count >= self.limits.network_limit:
            return False
        self.networks[network] = count + 1
        return True

    cdef int remove_network(self, bytes network) except -1:
        cdef int count = self.networks.get(network, 0) - 1
        if count > 0:
            self.networks[network] = count
        else:
            self.networks.pop(network, None)
        return 0

    # ---- requests

    cdef int publish_running(self, bytes label) except -1:
        """Publish the route that runs now: the parent reports it if this process dies in it."""
        write_label(self.slot.running, label)
        return 0

    cdef int publish_waiting(self, bytes label) except -1:
        """Publish the latest route that is suspended."""
        write_label(self.slot.waiting, label)
        self.slot.pending = self.requests
        return 0

    cdef int end_request(self) except -1:
        """Count a request that is over."""
        self.requests -= 1
        self.slot.served += 1
        self.slot.pending = self.requests
        return 0

    # ---- hooks that must not fail

    cdef int report(self, object request, object error, object result=None) except -1:
        """Report what went wrong. An error of the hook itself is logged and ends here."""
        try:
            if result is None:
                self.report_failure(request, error)
            else:
                self.report_failure(request, error, result)
        except BaseException:
            log_exception("cannot report %r", error)
        return 0

    cdef int note_refusal(self, object connection, int reason, bytes quote) except -1:
        """Log that a request was refused, and why."""
        if self.log_refusal is None:
            return 0
        try:
            self.log_refusal(connection, reason, quote)
        except BaseException:
            log_exception("cannot log that a request was refused")
        return 0

    cdef int check_thread(self, str what) except -1:
        """Raise RuntimeError in another thread than the worker's."""
        if self.thread != PyThread_get_thread_ident():
            raise RuntimeError(f"{what} belongs to the worker's thread: "
                               "use loop.call_soon_threadsafe()")
        return 0
