# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""What all connections of a worker share: limits, counters, and the callables they were handed.

The core imports nothing of the application or of the worker. It calls what stands here.
"""

from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer

from kore._core.scoreboard_slot cimport write_label

from kore._core.poller import complain


cdef class Service:
    """The shared part of a worker's connections.

    *limits* has the settings by their names. *spawn(coroutine, request)* runs a handler that waits,
    *stream(request, status, items)* an async iterator as a body, *discard(request, items)* closes
    one that is not sent; *failed(request, error)* reports, with None for a handler that gave no
    answer or did not end it, and what that returned; *defer(call)* calls soon, *later(seconds,
    call)* later; *future()* makes what a slow stream waits for, *parts(request, route)* what reads
    parameters, cookies and files, *refused(connection, reason)* takes note of a refusal.

    The others are for routes with *extras*, and for large bodies. *greet(request, extras)* says
    whether a request may go on, before its body is read: False, when it was answered, or when
    `request.proceed()` will be called. *sink(request, extras)* makes where its body goes:
    `feed(piece)` returns False when `request.take_more()` will be called, `end()` follows the last
    piece, `stop()` says that no more will come, and `least` bytes are worth a call.
    *free(request, extras, sink)* is told once that it is over.

    *hub* is for WebSockets: `handshake(request, route, callbacks, terms)` decides, `opened` and
    `closed(connection)` keep the list of them, `converse(socket, awaitable)` awaits a callback.
    *pgsql(db, query, params, binary, bytea)* is awaited for a query of a database.

    *slot* is writable memory that survives this process.
    """

    def __init__(self, limits, *, spawn, stream, failed, defer, later, future, parts,
                 discard=None, refused=None, sink=None, greet=None, free=None, hub=None, pgsql=None,
                 slot=None):
        self.heads = HeadLimits(
            limits["http_header_max"], limits["http_request_line_max"],
            limits["http_header_fields_max"])
        self.body_max = limits["http_body_max"]
        self.body_rate = limits["http_body_rate_min"]
        self.body_memory = limits["http_body_disk_offload"]
        self.header_ms = limits["http_header_timeout"] * 1000
        self.body_ms = limits["http_body_timeout"] * 1000
        self.idle_ms = limits["http_keepalive_time"] * 1000
        self.write_ms = limits["http_write_timeout"] * 1000
        self.half_closed_ms = limits["http_half_closed_timeout"] * 1000
        self.turn_ms = limits["http_request_ms"]
        self.request_limit = limits["http_request_limit"]
        self.connection_limit = limits["worker_max_connections"]
        self.network_limit = limits["worker_max_connections_per_address"]
        self.networks = {}
        self.burst = limits["worker_accept_threshold"]
        self.sendfile = limits["filemap_sendfile"]
        self.writer = HeadWriter(
            limits["http_server_version"].encode(), limits["http_keepalive_time"],
            limits["http_hsts_enable"])
        self.pretty = limits["http_pretty_error"]
        self.spawn = spawn
        self.stream = stream
        self.discard = discard
        self.failed = failed
        self.refused = refused
        self.defer = defer
        self.later = later
        self.future = future
        self.parts = parts
        self.sink = sink
        self.greet = greet
        self.free = free
        self.hub = hub
        self.pgsql = pgsql
        self.listeners = []
        self.set_slot(slot)

    def set_slot(self, slot):
        """Publish what runs in *slot*, a writable buffer; None: nowhere."""
        cdef Py_buffer view
        self.slot = &self.nowhere
        if slot is None:
            return
        if len(slot) < sizeof(Slot):
            raise ValueError(f"a slot needs {sizeof(Slot)} bytes, not {len(slot)}")
        PyObject_GetBuffer(slot, &view, PyBUF_WRITABLE)
        self.owner = slot       # a borrowed pointer: the scoreboard's mapping is never resized
        self.slot = <Slot *>view.buf
        PyBuffer_Release(&view)

    def drain(self, *, bint patient=False):
        """From now on every answer ends its connection; with patience only those yet to begin."""
        self.draining = True
        self.hurried = not patient

    cdef int entered(self) except -1:
        self.connections += 1
        self.slot.connections = self.connections
        if self.connections >= self.connection_limit:
            self.full = True    # the listeners see it and stop
        return 0

    cdef bint enters_network(self, bytes network) except -1:
        """Count a connection of an address; False: it has as many as it may have."""
        cdef int count = self.networks.get(network, 0)
        if count >= self.network_limit:
            return False
        self.networks[network] = count + 1
        return True

    cdef int left_network(self, bytes network) except -1:
        cdef int count = self.networks.get(network, 0) - 1
        if count > 0:
            self.networks[network] = count
        else:
            self.networks.pop(network, None)
        return 0

    cdef int left(self) except -1:
        self.connections -= 1
        self.slot.connections = self.connections
        if self.full:
            self.full = False
            for listener in list(self.listeners):
                try:
                    listener.resume()
                except BaseException:
                    complain("cannot accept clients again")
        return 0

    cdef int report(self, object request, object error, object result=None) except -1:
        """Say what went wrong; the reporter's own failures end here."""
        try:
            if result is None:
                self.failed(request, error)
            else:
                self.failed(request, error, result)
        except BaseException:
            complain("cannot report %r", error)
        return 0

    cdef int tell_refused(self, object connection, int reason) except -1:
        """Have it logged that a request was refused, and why."""
        if self.refused is None:
            return 0
        try:
            self.refused(connection, reason)
        except BaseException:
            complain("cannot log that a request was refused")
        return 0

    cdef int begun(self, bytes label) except -1:
        """Name the route that runs now: what the parent reports if this process dies in it."""
        write_label(self.slot.running, label)
        return 0

    cdef int suspended(self, bytes label) except -1:
        write_label(self.slot.waiting, label)
        self.slot.pending = self.requests
        return 0

    cdef int ended(self) except -1:
        """Count an exchange that is over."""
        self.requests -= 1
        self.slot.served += 1
        self.slot.pending = self.requests
        return 0
